import sys

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from masu.ops.compiled_nms import suppress
from masu.ops.geometry import iou
from masu.ops.nms import batched_nms, compiled, nms, suppressors, topk_per_level


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


case = (st.integers(0, 30), st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.5, 0.7]))


@pytest.fixture(params=["torchvision", "compiled"], autouse=True, scope="module")
def path(request):
    """Every test here runs with either suppression."""
    with pytest.MonkeyPatch.context() as patch:
        compiled.cache_clear()
        patch.setattr("masu.ops.nms._pairs_so_far", -(10**18))
        if request.param == "compiled":
            assert compiled() is suppress
        yield request.param
        compiled.cache_clear()


@pytest.fixture
def unloaded(path, monkeypatch):
    """As in a fresh process."""
    compiled.cache_clear()
    monkeypatch.setattr("masu.ops.nms._pairs_so_far", 0)
    yield
    compiled.cache_clear()
    if path == "compiled":
        compiled()


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
@settings(max_examples=30, deadline=None)
def test_nms_is_the_blackboards_and_idempotent(count, seed, threshold):
    boxes, scores, _ = scattered(count, seed)
    kept = nms(boxes, scores, threshold)
    assert kept.tolist() == plain_nms(boxes, scores, threshold)
    assert nms(boxes[kept], scores[kept], threshold).tolist() == list(range(len(kept)))


@given(*case)
@settings(max_examples=30, deadline=None)
def test_batched_nms_is_nms_of_each_group(count, seed, threshold):
    boxes, scores, groups = scattered(count, seed)
    wanted = []
    for group in range(3):
        rows = torch.where(groups == group)[0]
        wanted += rows[nms(boxes[rows], scores[rows], threshold)].tolist()
    wanted.sort(key=lambda i: -scores[i].item())
    assert batched_nms(boxes, scores, groups, threshold).tolist() == wanted


def test_topk_per_level_by_hand():
    scores = torch.tensor([[1.0, 3, 2, 9, 8], [5, 4, 6, 0, 7]])
    index, level = topk_per_level(scores, [3, 2], 2)
    assert index.tolist() == [[1, 2, 3, 4], [2, 0, 4, 3]]
    assert level.tolist() == [0, 0, 1, 1]


def test_a_small_level_gives_what_it_has():
    index, level = topk_per_level(torch.tensor([[1.0, 2, 3, 4]]), [1, 3, 0], 2)
    assert index.tolist() == [[0, 3, 2]]
    assert level.tolist() == [0, 1, 1]


@pytest.mark.parametrize(("images", "k"), [(0, 2), (2, 0)])
def test_topk_of_nothing(images, k):
    index, level = topk_per_level(torch.zeros(images, 4), [3, 1], k)
    assert index.shape == (images, min(3, k) + min(1, k))
    assert len(level) == index.shape[1]


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


def test_compiled_suppression_loads_only_when_it_has_paid_off(unloaded, monkeypatch):
    boxes, scores, groups = scattered(30, 0)
    batched_nms(boxes, scores, groups, 0.5)
    assert compiled.cache_info().currsize == 0
    monkeypatch.setattr("masu.ops.nms.LOADING", 1000)
    batched_nms(boxes, scores, groups, 0.5)
    assert compiled.cache_info().currsize == 1


def test_without_a_folder_for_compiled_code_torchvisions_serves(unloaded, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("cannot cache function 'suppress': no locator available")

    monkeypatch.setattr("numba.njit", refuse)
    monkeypatch.delitem(sys.modules, "masu.ops.compiled_nms")
    monkeypatch.setattr("masu.ops.nms._pairs_so_far", 10**12)
    assert len(batched_nms(*scattered(30, 0), 0.5)) > 0
    assert compiled() is None


def test_without_numba_torchvisions_serves(unloaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "masu.ops.compiled_nms", None)
    monkeypatch.setattr("masu.ops.nms._pairs_so_far", 10**12)
    boxes, scores, groups = scattered(30, 0)
    assert len(batched_nms(boxes, scores, groups, 0.5)) > 0
    assert compiled() is None


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
@settings(max_examples=30, deadline=None)
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
