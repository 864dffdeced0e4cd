import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection._utils import Matcher

from masu.ops import matching
from masu.ops.anchors import cell_anchors, grid_anchors
from masu.ops.geometry import iou
from masu.ops.matching import BLOCK, block_overlaps, dense_overlaps, match
from masu.records import BACKGROUND, IGNORE, OBJECT

OBJECT_BOX = torch.tensor([[0.0, 0, 10, 10]])


def shares(*parts):
    """Anchors inside ``OBJECT_BOX`` whose IoU with it is each of ``parts``."""
    return torch.tensor([[0.0, 0, 10, 10 * p] for p in parts])


def test_thresholds_by_hand():
    index, label = match(shares(1.0, 0.7, 0.6, 0.3, 0.2), OBJECT_BOX, high=0.69, low=0.29)
    assert label.tolist() == [OBJECT, OBJECT, IGNORE, IGNORE, BACKGROUND]
    assert index.tolist() == [0] * 5


def test_thresholds_themselves_belong_above():
    _, label = match(shares(0.5, 0.25), OBJECT_BOX, high=0.5, low=0.25)
    assert label.tolist() == [OBJECT, IGNORE]


def test_each_anchor_takes_its_best_object_and_the_first_of_equals():
    objects = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 20]])
    index, label = match(torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 19]]), objects, 0.7, 0.3)
    assert index.tolist() == [0, 1]
    assert label.tolist() == [OBJECT, OBJECT]


def test_low_quality_matches_are_an_objects_best_anchors_ties_included():
    anchors = torch.cat([shares(0.2, 0.2, 0.1), torch.tensor([[50.0, 50, 60, 60]])])
    assert match(anchors, OBJECT_BOX, 0.7, 0.3)[1].tolist() == [BACKGROUND] * 4
    _, label = match(anchors, OBJECT_BOX, 0.7, 0.3, allow_low_quality_matches=True)
    assert label.tolist() == [OBJECT, OBJECT, BACKGROUND, BACKGROUND]


def test_a_low_quality_match_keeps_its_own_best_object():
    # The second object's best anchor overlaps the first object more: it is labelled, but for the first.
    objects = torch.tensor([[0.0, 0, 10, 10], [0, 8, 10, 28]])
    index, label = match(torch.tensor([[0.0, 0, 10, 10]]), objects, 0.7, 0.3, allow_low_quality_matches=True)
    assert (index.tolist(), label.tolist()) == ([0], [OBJECT])


def test_an_object_that_no_anchor_touches_has_no_low_quality_match():
    _, label = match(torch.tensor([[50.0, 50, 60, 60]]), OBJECT_BOX, 0.7, 0.3, allow_low_quality_matches=True)
    assert label.tolist() == [BACKGROUND]


def test_an_object_without_area_matches_nothing():
    objects = torch.tensor([[5.0, 5, 5, 5]])
    anchors = torch.tensor([[0.0, 0, 10, 10], [5, 5, 5, 5]])
    assert match(anchors, objects, 0.7, 0.3, allow_low_quality_matches=True)[1].tolist() == [BACKGROUND] * 2


@pytest.mark.parametrize("low_quality", [False, True])
def test_no_objects_make_everything_background(low_quality):
    index, label = match(shares(1, 0.5), torch.zeros(0, 4), 0.7, 0.3, low_quality)
    assert (index.tolist(), label.tolist()) == ([0, 0], [BACKGROUND] * 2)
    assert index.dtype == label.dtype == torch.int64


@pytest.mark.parametrize("low_quality", [False, True])
@pytest.mark.parametrize("objects", [0, 2])
def test_no_anchors(low_quality, objects):
    index, label = match(torch.zeros(0, 4), OBJECT_BOX.repeat(objects, 1), 0.7, 0.3, low_quality)
    assert index.shape == label.shape == (0,)


@pytest.mark.parametrize("low_quality", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_match_is_torchvisions(low_quality, seed):
    torch.manual_seed(seed)
    corner = torch.rand(210, 2) * 60
    boxes = torch.cat([corner, corner + 5 + torch.rand(210, 2) * 40], dim=1)
    anchors, objects = boxes[:200], boxes[200:]
    index, label = match(anchors, objects, 0.5, 0.3, low_quality)
    wanted = Matcher(0.5, 0.3, allow_low_quality_matches=low_quality)(iou(objects, anchors))
    assert_close(label, torch.where(wanted >= 0, OBJECT, torch.where(wanted == -1, BACKGROUND, IGNORE)))
    assert_close(index[wanted >= 0], wanted[wanted >= 0])
    assert {OBJECT, BACKGROUND, IGNORE} == set(label.tolist())


def crowd(count, seed, spread=300.0, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=g, dtype=dtype) * spread
    return torch.cat([corner, corner + 1 + torch.rand(count, 2, generator=g, dtype=dtype) * 60], dim=1)


def assert_twins(anchors, objects):
    for name, a, b in zip(
        ("best", "index", "best_of_any"),
        block_overlaps(anchors, objects),
        dense_overlaps(anchors, objects),
        strict=True,
    ):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("anchors", "objects"), [(1, 1), (BLOCK, 3), (BLOCK + 1, 40), (5 * BLOCK - 7, 300), (2000, 2500)]
)
def test_blocks_give_what_the_whole_table_gives(anchors, objects, dtype):
    assert_twins(crowd(anchors, 0, dtype=dtype), crowd(objects, 1, dtype=dtype))


def test_blocks_on_a_grid_with_ties():
    anchors = grid_anchors(cell_anchors((16, 32), (0.5, 1, 2)), (40, 50), (8, 8))
    objects = (crowd(200, 2, 350) / 8).round() * 8  # corners on the grid: many anchors are equally good
    assert_twins(anchors, objects)


def test_blocks_with_odd_boxes():
    nan, inf = torch.nan, torch.inf
    anchors, objects = crowd(3 * BLOCK, 3), crowd(30, 4)
    odd = [[5, 5, 5, 5], [50, 50, 20, 20], [50, 20, 20, 50], [-900, -900, -800, -800], [0, 0, 1e9, 1e9]]
    objects[: len(odd)] = torch.tensor(odd)
    objects[10:12] = objects[12:14]  # twins: the first counts
    anchors[5], anchors[6], anchors[7] = torch.tensor([[nan] * 4, [0, 0, inf, inf], [0, nan, 9, 9]])
    anchors[BLOCK : 2 * BLOCK] = nan
    anchors[2 * BLOCK : 2 * BLOCK + len(odd)] = torch.tensor(odd)
    assert_twins(anchors, objects)


def test_an_anchor_that_is_no_number_is_background_and_spoils_nothing():
    anchors = torch.tensor([[torch.nan] * 4, [0.0, 0, 10, 9]])
    index, label = match(anchors, OBJECT_BOX, 0.95, 0.3, allow_low_quality_matches=True)
    assert (index.tolist(), label.tolist()) == ([0, 0], [BACKGROUND, OBJECT])


def test_ten_thousand_objects_need_little_memory(monkeypatch):
    anchors = grid_anchors(cell_anchors((32,), (0.5, 1, 2)), (100, 100), (8, 8))
    objects = crowd(10_000, 5, 760)
    largest, real = 0, matching.iou

    def watched(a, b):
        nonlocal largest
        overlap = real(a, b)
        largest = max(largest, overlap.numel())
        return overlap

    monkeypatch.setattr(matching, "iou", watched)
    _, label = match(anchors, objects, 0.7, 0.3, allow_low_quality_matches=True)
    assert (label == OBJECT).sum() > 1000
    assert largest <= max(matching.CHUNK, BLOCK * len(objects))
