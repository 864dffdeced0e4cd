import importlib
import sys

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from masu.ops.geometry import iou
from masu.ops.nms import (
    WORTH_COMPILING,
    batched_nms,
    best_first,
    compiled,
    nms,
    plain,
    suppress,
    suppressors,
    top_k,
)

module = importlib.import_module("masu.ops.nms")  # the name of the function is also that of its file
ABSENT = -torch.inf


def scattered(count, seed):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=g) * 40
    boxes = torch.cat([corner, corner + 5 + torch.rand(count, 2, generator=g) * 30], dim=1)
    scores = torch.randperm(count, generator=g).float() / max(count, 1)  # no ties: one right answer
    return boxes, scores, torch.randint(0, 3, (count,), generator=g)


def plain_nms(boxes, scores, threshold):
    """As one would write it on a blackboard."""
    overlap, kept = iou(boxes, boxes), []
    for i in scores.argsort(descending=True).tolist():
        if all(overlap[i, j] <= threshold for j in kept):
            kept.append(i)
    return kept


def reference(boxes, scores, groups, threshold):
    """The definition, in single precision: a row is dropped for any better one that is kept."""
    boxes, scores, groups = boxes.numpy(), scores.numpy(), groups.numpy()
    with np.errstate(all="ignore"):
        x1, y1, x2, y2 = boxes.T
        areas = (x2 - x1) * (y2 - y1)
        there, kept, nothing = np.ones(len(boxes), bool), [], np.float32(0)
        for i in np.argsort(np.where(np.isnan(scores), -np.inf, -scores), kind="stable"):
            if not there[i]:
                continue
            kept.append(int(i))
            width = np.maximum(nothing, np.minimum(x2[i], x2) - np.maximum(x1[i], x1))
            height = np.maximum(nothing, np.minimum(y2[i], y2) - np.maximum(y1[i], y1))
            shared = width * height
            overlap = shared / (areas[i] + areas - shared)
            there &= ~((overlap.astype(np.float64) > threshold) & (groups == groups[i]))
    return kept


case = (st.integers(0, 30), st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.5, 0.7]))


@pytest.fixture(params=["plain", "compiled"], autouse=True, scope="module")
def path(request):
    """Every test here runs with either suppression."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORTH_COMPILING", 0 if request.param == "compiled" else 10**9)
        assert compiled() is not None
        yield request.param


@pytest.fixture
def uncached():
    compiled.cache_clear()
    yield
    compiled.cache_clear()


def test_nms_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 10, 4]])
    assert nms(boxes, torch.tensor([0.5, 0.9, 0.1, 0.2]), 0.5).tolist() == [1, 3, 2]


def test_a_box_at_the_threshold_stays():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]


def test_groups_never_meet():
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(3, 1)
    assert batched_nms(boxes, torch.tensor([0.2, 0.9, 0.5]), torch.tensor([0, 7, 0]), 0.5).tolist() == [1, 2]


def test_no_boxes():
    none, empty = torch.zeros(0, 4), torch.zeros(0)
    assert nms(none, empty, 0.5).shape == (0,)
    kept = batched_nms(none, empty, empty.long(), 0.5)
    assert (kept.shape, kept.dtype) == ((0,), torch.int64)


@given(*case)
@settings(max_examples=30)
def test_nms_is_the_blackboards_and_idempotent(count, seed, threshold):
    boxes, scores, _ = scattered(count, seed)
    kept = nms(boxes, scores, threshold)
    assert kept.tolist() == plain_nms(boxes, scores, threshold)
    assert nms(boxes[kept], scores[kept], threshold).tolist() == list(range(len(kept)))


@given(*case)
@settings(max_examples=30)
def test_batched_nms_is_nms_of_each_group(count, seed, threshold):
    boxes, scores, groups = scattered(count, seed)
    wanted = []
    for group in range(3):
        rows = torch.where(groups == group)[0]
        wanted += rows[nms(boxes[rows], scores[rows], threshold)].tolist()
    wanted.sort(key=lambda i: -scores[i].item())
    assert batched_nms(boxes, scores, groups, threshold).tolist() == wanted


def test_the_limit_keeps_the_best():
    boxes, scores, groups = scattered(60, 1)
    every = batched_nms(boxes, scores, groups, 0.5)
    for limit in (0, 1, 7, 1000):
        assert batched_nms(boxes, scores, groups, 0.5, limit).tolist() == every[:limit].tolist()


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("widest", [1.5, 1e4])
def test_thousands_of_boxes_of_all_shapes(threshold, dtype, widest):
    g = torch.Generator().manual_seed(0)
    centre = torch.randn(3000, 2, generator=g, dtype=torch.float64) * 30
    sides = 40 * widest ** (torch.rand(3000, 2, generator=g, dtype=torch.float64) - 0.5)
    boxes = torch.cat([centre - sides / 2, centre + sides / 2], dim=1).to(dtype)
    scores, groups = torch.randperm(3000, generator=g).to(dtype), torch.randint(-2, 3, (3000,), generator=g)
    wanted = torchvision.ops.boxes._batched_nms_vanilla(boxes, scores, groups, threshold)
    assert batched_nms(boxes, scores, groups, threshold).tolist() == wanted.tolist()


def test_boxes_just_over_the_threshold_in_every_direction():
    # Equal boxes pushed apart until their IoU is the threshold: pairs at the edge of what is searched.
    for side in (0.01, 1.0, 3.0, 1000.0):
        for threshold in (0.2, 0.5, 0.7):
            apart = side * (1 - threshold) / (1 + threshold)
            for part in (0.999, 1.001):
                for move in ([apart * part, 0], [-apart * part, 0], [0, apart * part], [0, -apart * part]):
                    first = torch.tensor([7.0, 7, 7 + side, 7 + side])
                    second = first + torch.tensor(move * 2)
                    kept = nms(torch.stack([first, second]), torch.tensor([0.9, 0.8]), threshold)
                    assert len(kept) == (1 if part < 1 else 2), (side, threshold, move)
            inside = torch.tensor([[0.0, 0, side, side], [0, 0, side, side * threshold * 1.001]])
            assert len(nms(inside, torch.tensor([0.9, 0.8]), threshold)) == 1


def test_odd_boxes_are_kept_and_suppress_nothing():
    nan, inf = torch.nan, torch.inf
    odd = [[5.0, 5, 5, 5]] * 2 + [[9, 9, 5, 5]] * 2 + [[0, nan, 9, 9]] * 2 + [[0, 0, inf, 9]] * 2
    boxes = torch.tensor([*odd, [0, 0, 9, 9], [0, 0, 9, 8]])
    scores = torch.linspace(1, 0.1, len(boxes))
    assert nms(boxes, scores, 0.5).tolist() == list(range(len(boxes) - 1))


def crowded(choose):
    """Boxes of which many overlap by about as much as the threshold, or exactly; and a threshold."""
    count, threshold = choose.integers(1, 16), choose.choice([0.1, 0.2, 0.25, 0.5, 0.7, 0.9, 0.999, 1.0])
    place = choose.integers(0, 6, (count, 2))
    match choose.integers(6):
        case 0:  # whole numbers: duplicates, touching, without area, negative, overlaps of 1/2, 1/4, 1/5
            boxes = np.concatenate([place, place + choose.integers(-1, 6, (count, 2))], 1)
        case 1:  # tenths, that are no floats
            boxes = np.concatenate([place, place + choose.integers(1, 40, (count, 2))], 1) / 10
        case 2:  # tiny and huge
            boxes = np.concatenate([place, place + 6 * choose.random((count, 2))], 1)
            boxes *= 10.0 ** choose.uniform(-22, 19)
        case 3:  # far away, where floats lie apart as far as the sides are long
            boxes = np.concatenate([place, place + choose.integers(1, 6, (count, 2))], 1)
            boxes = boxes + 2.0 ** choose.integers(20, 26)
        case 4:  # all shapes, some rows no numbers
            sides = 10.0 ** choose.uniform(-2, 2, (count, 2))
            boxes = np.concatenate([place - sides / 2, place + sides / 2], 1)
            boxes[choose.random((count, 4)) < 0.03] = choose.choice([np.nan, np.inf, -np.inf, 3e38, -3e38])
        case _:  # one box pushed apart until the overlap is the threshold
            side = 10.0 ** choose.uniform(-2, 4)
            moved = np.zeros((count, 2))
            moved[:, choose.integers(2)] = side * (1 - threshold) / (1 + threshold)
            moved *= choose.integers(-1, 2, (count, 1)) * choose.choice([1, 1 - 1e-7, 1 + 1e-7], (count, 1))
            corner = side * 10 * choose.random((1, 2)) + moved
            boxes = np.concatenate([corner, corner + side], 1)
    scores = choose.integers(0, choose.choice([1, 3, 1000]), count).astype(np.float32)
    scores[choose.random(count) < 0.02] = np.nan
    groups = choose.integers(-1, choose.choice([0, 3]), count)
    return *map(torch.from_numpy, (boxes.astype(np.float32), scores, groups)), float(threshold)


@pytest.mark.parametrize("seed", range(4))
def test_crowds_are_those_of_the_definition_to_the_bit(seed):
    choose, overlapping = np.random.default_rng(seed), 0
    for number in range(1500):
        boxes, scores, groups, threshold = crowded(choose)
        wanted = reference(boxes, scores, groups, threshold)
        found = batched_nms(boxes, scores, groups, threshold).tolist()
        assert found == wanted, (number, threshold, boxes.tolist(), scores.tolist(), groups.tolist())
        overlapping += len(found) < len(boxes)
    assert overlapping > 400


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("groups", [1, 400])
def test_many_boxes_are_those_of_the_definition_to_the_bit(threshold, groups):
    choose = np.random.default_rng(groups)
    corner = choose.integers(0, 200, (8000, 2))
    boxes = torch.from_numpy(np.concatenate([corner, corner + choose.integers(0, 40, (8000, 2))], 1)).float()
    scores, group = torch.from_numpy(choose.integers(0, 99, 8000)).float(), torch.arange(8000) % groups
    wanted = reference(boxes, scores, group, threshold)
    assert batched_nms(boxes, scores, group, threshold).tolist() == wanted
    assert plain(boxes, scores, group, threshold).tolist() == wanted


def test_far_and_tiny_boxes_suppress_as_others_do():
    """Areas of a unit in the last place of the smallest numbers: the overlap comes out as 1, not as 0.7."""
    far = torch.tensor([[1e13, 1e13, 2e13, 2e13]] * 2)
    assert nms(far, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0]
    least = 2.0**-149
    tiny = torch.tensor([[0.0, 0, 1, least], [0, 0, 1.4, least]])
    assert nms(tiny, torch.tensor([0.9, 0.8]), 0.95).tolist() == [0]


def test_of_equal_scores_the_earlier_row_comes_first_over_all_groups():
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(6, 1)
    scores, groups = torch.tensor([0.5, 0.5, 0.9, 0.5, 0.9, 0.5]), torch.tensor([3, 1, 2, 0, 2, 1])
    assert batched_nms(boxes, scores, groups, 0.5).tolist() == [2, 0, 1, 3]


def test_which_form_serves_follows_from_the_input_alone(monkeypatch, uncached):
    served = []
    monkeypatch.setattr(module, "compiled", lambda: served.append("compiled"))
    monkeypatch.setattr(module, "WORTH_COMPILING", WORTH_COMPILING)
    boxes, scores, groups = scattered(WORTH_COMPILING, 0)
    least = [0.0, 0.0, 1e-20, 1e-20]
    for used, arguments in (
        (True, (boxes, scores, groups, 0.5)),
        (False, (boxes[1:], scores[1:], groups[1:], 0.5)),
        (True, (boxes, scores, groups, 0.1)),
        (False, (boxes, scores, groups, 0.09)),
        (True, (boxes, scores, groups, 1.0)),
        (False, (boxes, scores, groups, 1.01)),
        (False, (boxes.double(), scores.double(), groups, 0.5)),
        (False, (torch.cat([boxes[1:], torch.tensor([least])]), scores, groups, 0.5)),
    ):
        served.clear()
        batched_nms(*arguments)
        assert bool(served) == used, arguments[3]


def test_without_a_folder_for_compiled_code_the_plain_form_serves(uncached, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("cannot cache function 'suppress': no locator available")

    monkeypatch.setattr("numba.njit", refuse)
    monkeypatch.delitem(sys.modules, "masu.ops.compiled_nms")
    boxes, scores, groups = scattered(30, 0)
    assert torch.equal(batched_nms(boxes, scores, groups, 0.5), plain(boxes, scores, groups, 0.5))
    assert compiled() is None


def test_without_numba_the_plain_form_serves(uncached, monkeypatch):
    monkeypatch.setitem(sys.modules, "masu.ops.compiled_nms", None)
    boxes, scores, groups = scattered(30, 0)
    assert torch.equal(batched_nms(boxes, scores, groups, 0.5), plain(boxes, scores, groups, 0.5))
    assert compiled() is None


def test_where_torchvision_fuses_products_the_plain_form_serves(uncached, monkeypatch):
    def fused(boxes, scores, groups, threshold):
        """The product that is subtracted is not rounded; double precision holds it whole."""
        (_, _, x, y), (_, _, a, b) = boxes
        exact = torch.minimum(x, a).double() * torch.minimum(y, b).double()
        union = ((x * y + a * b).double() - exact).float()
        return torch.arange(1 if (exact.float() / union).double() > threshold else 2)

    assert compiled() is not None
    compiled.cache_clear()
    monkeypatch.setattr(module, "plain", fused)
    assert compiled() is None


def random_lists(seed, count=3):
    g = torch.Generator().manual_seed(seed)
    parts = [scattered(40, 3 * seed + i) for i in range(3)]
    boxes, scores, _ = (torch.stack(x) for x in zip(*parts, strict=True))
    scores[torch.rand(scores.shape, generator=g) < 0.3] = ABSENT
    return boxes, scores, torch.randint(0, count, scores.shape, generator=g)


@pytest.mark.parametrize("seed", range(5))
def test_suppress_is_batched_nms_of_each_list(seed):
    boxes, scores, groups = random_lists(seed)
    found, alone = suppress(boxes, scores, groups, 0.5, 3), suppress(boxes, scores, None, 0.5)
    assert (found.shape, found.dtype) == (scores.shape, torch.bool)
    for i in range(len(boxes)):
        rows = torch.where(scores[i] > ABSENT)[0]
        kept = rows[batched_nms(boxes[i, rows], scores[i, rows], groups[i, rows], 0.5)]
        assert torch.where(found[i])[0].tolist() == kept.sort().values.tolist()
        kept = rows[nms(boxes[i, rows], scores[i, rows], 0.5)]
        assert torch.where(alone[i])[0].tolist() == kept.sort().values.tolist()


def test_suppress_by_hand():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8]]]).repeat(2, 1, 1)
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.9, ABSENT, torch.nan]])
    assert suppress(boxes, scores, None, 0.5).tolist() == [[False, True, False], [True, False, False]]
    groups = torch.tensor([[0, 0, 1], [1, 0, 0]])
    assert suppress(boxes, scores, groups, 0.5, 2).tolist() == [[False, True, True], [True, False, False]]


@pytest.mark.parametrize("shape", [(0, 5), (2, 0), (2, 5)])
def test_suppress_of_nothing(shape):
    absent, groups = torch.full(shape, ABSENT), torch.full(shape, 99)
    assert not suppress(torch.zeros(*shape, 4), absent, groups, 0.5, 2).any()
    assert suppress(torch.zeros(*shape, 4), absent, None, 0.5).shape == shape


@pytest.mark.parametrize(("group", "count"), [(2, 2), (-1, 2), (1, 1)])
def test_a_group_beyond_their_number_is_refused(group, count):
    wanted = rf"^groups: found {group}, wanted 0\.\.{count - 1}; give their number as count$"
    with pytest.raises(ValueError, match=wanted):
        suppress(torch.zeros(1, 1, 4), torch.ones(1, 1), torch.tensor([[group]]), 0.5, count)


def ranked(scores, k, above):
    """The definition of :func:`best_first`, with a bound."""
    values, index = [], []
    for row in scores.tolist():
        order = sorted((i for i, x in enumerate(row) if x > above), key=lambda i: -row[i])[:k]
        values.append([row[i] for i in order] + [ABSENT] * (k - len(order)))
        index.append(order + [0] * (k - len(order)))
    return values, index


scores_of_all_kinds = st.integers(0, 3).flatmap(
    lambda images: st.integers(0, 12).flatmap(
        lambda width: st.lists(
            st.lists(
                st.sampled_from([ABSENT, torch.nan, -1.0, 0.0, 0.5, 2.0]), min_size=width, max_size=width
            ),
            min_size=images,
            max_size=images,
        ).map(lambda rows: torch.tensor(rows).reshape(images, width))
    )
)


@given(scores_of_all_kinds, st.integers(0, 15), st.sampled_from([ABSENT, -1.0, 0.25, 9.0]))
@settings(max_examples=200)
def test_the_best_are_those_of_the_definition(scores, k, above):
    values, index = top_k(scores, k, above)
    assert (values.shape, index.shape, index.dtype) == ((len(scores), k), (len(scores), k), torch.int64)
    assert values.tolist() == ranked(scores, k, above)[0]
    there = values > ABSENT
    assert not index[~there].any()
    row, place = torch.where(there)
    assert torch.equal(scores[row, index[row, place]], values[row, place])
    assert len({(r, c) for r, c in zip(row.tolist(), index[row, place].tolist(), strict=True)}) == len(row)
    values, index = best_first(scores, k)
    assert (values.tolist(), index.tolist()) == ranked(scores, k, ABSENT)


@pytest.mark.parametrize("above", [ABSENT, 0.5])
def test_the_best_of_one_row_do_not_depend_on_the_others(above):
    """Which of equal entries topk takes depends on how many there are."""
    g = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 4, (6, 3000), generator=g).float() / 3
    scores[torch.rand(scores.shape, generator=g) < torch.arange(6)[:, None] / 6] = ABSENT
    index = top_k(scores, 40, above)[1]
    for i, row in enumerate(scores):
        assert torch.equal(top_k(row[None], 40, above)[1][0], index[i])


def test_the_best_carry_their_gradient():
    scores = torch.rand(2, 9, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    for found in (top_k(scores, 3), top_k(scores, 3, 0.1), best_first(scores, 3)):
        (grad,) = torch.autograd.grad(found[0].sum(), scores)
        assert torch.equal(grad, torch.zeros_like(grad).scatter(1, found[1], 1.0))


def test_a_dropped_box_gave_way_to_the_best_survivor_of_its_group():
    boxes = torch.tensor(
        [[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 6], [0, 0, 10, 8], [50, 0, 60, 10], [0, 0, 10, 10]]
    )
    groups = torch.tensor([0, 0, 0, 1, 0, 0])
    usable = torch.tensor([True, True, True, True, True, False])
    scores = torch.tensor([0.7, 0.9, 0.8, 0.6, 0.5, 1.0])
    rows = torch.where(usable)[0]
    survivors = rows[batched_nms(boxes[rows], scores[rows], groups[rows], 0.65)]
    # box 1 takes box 0 (0.9) and box 2 (6/9); box 3 is of another group, box 5 took no part
    assert survivors.tolist() == [1, 3, 4]
    assert suppressors(boxes, groups, usable, survivors, 0.65).tolist() == [1, -1, 1, -1, -1, -1]


@given(*case)
@settings(max_examples=30)
def test_suppressors_are_those_of_the_blackboard(count, seed, threshold):
    boxes, scores, groups = scattered(count, seed)
    usable = torch.ones(count, dtype=torch.bool)
    survivors = batched_nms(boxes, scores, groups, threshold)
    found = suppressors(boxes, groups, usable, survivors, threshold)
    for i in range(count):
        over = [
            j
            for j in survivors.tolist()
            if groups[j] == groups[i] and iou(boxes[[i]], boxes[[j]]) > threshold
        ]
        assert found[i] == (-1 if i in survivors else over[0])


def test_there_is_a_score_and_a_group_for_every_box():
    boxes, scores, groups = scattered(5, 0)
    with pytest.raises(ValueError, match=r"^scores: found shape \(3,\), wanted \(5,\), one per box$"):
        nms(boxes, scores[:3], 0.5)
    with pytest.raises(ValueError, match=r"^groups: found shape \(4,\), wanted \(5,\), one per box$"):
        batched_nms(boxes, scores, groups[:4], 0.5)
    with pytest.raises(ValueError, match=r"^scores: found shape \(1, 3\), wanted \(1, 5\), one per box$"):
        suppress(boxes[None], scores[None, :3], None, 0.5)
