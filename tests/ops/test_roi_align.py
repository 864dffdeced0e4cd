from collections import OrderedDict

import pytest
import torch
from torch.testing import assert_close
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops import roi_align as by_level

from masu.ops.roi_align import assign_levels, empty_levels, roi_align

STRIDES = (4, 8, 16, 32)
IMAGE = (256, 320)


def feature_maps(dtype, images=2, channels=3, channels_last=False):
    g = torch.Generator().manual_seed(0)
    maps = [
        torch.randn(images, channels, IMAGE[0] // s, IMAGE[1] // s, generator=g, dtype=torch.float64).to(
            dtype
        )
        for s in STRIDES
    ]
    if channels_last:
        maps = [m.contiguous(memory_format=torch.channels_last) for m in maps]
    return [m.requires_grad_() for m in maps]


def rois(dtype, count=60, images=2):
    """Boxes of all sizes, some beyond the image's borders, sorted by image."""
    g = torch.Generator().manual_seed(1)
    corner = torch.rand(count, 2, generator=g, dtype=torch.float64) * 300 - 40
    sides = 2 ** (torch.rand(count, 2, generator=g, dtype=torch.float64) * 11)
    image = torch.arange(count) * images // max(count, 1)
    return torch.cat([corner, corner + sides], dim=1).to(dtype), image


def pool(maps, boxes, image, cells=7):
    return roi_align(maps, boxes, image, assign_levels(boxes, STRIDES), STRIDES, cells)


def reference(maps, boxes, image, cells=7):
    oracle = MultiScaleRoIAlign([str(i) for i in range(len(maps))], cells, sampling_ratio=2)
    named = OrderedDict((str(i), m) for i, m in enumerate(maps))
    images = maps[0].shape[0]
    return oracle(named, [boxes[image == i] for i in range(images)], [IMAGE] * images)


def test_levels_by_hand():
    sides = torch.tensor([1.0, 111, 112, 223, 224, 447, 448, 5000])
    boxes = torch.stack([torch.zeros(8), torch.zeros(8), sides, sides], dim=1)
    assert assign_levels(boxes, STRIDES).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert assign_levels(boxes, (8, 16, 32)).tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert assign_levels(boxes, (32, 32)).tolist() == [0] * 8


def test_levels_of_odd_boxes():
    boxes = torch.tensor([[5.0, 5, 5, 5], [9, 9, 5, 20]])  # no area, negative area
    assert assign_levels(boxes, STRIDES).tolist() == [0, 0]
    assert assign_levels(torch.zeros(0, 4), STRIDES).shape == (0,)


def test_the_ramp_by_hand():
    # A map whose value is its column: pooling reads the sample points' mean x, in cells.
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    box = torch.tensor([[8.0, 8, 40, 40]])  # cells 2..10 at stride 4
    zero = torch.zeros(1, dtype=torch.int64)
    found = roi_align([ramp], box, zero, zero, (4,), output_size=4)
    assert_close(found[0, 0], torch.tensor([3.0, 5, 7, 9]).expand(4, 4))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_forward_and_gradient_are_torchvisions(dtype, tolerance, channels_last):
    maps, (boxes, image) = feature_maps(dtype, channels_last=channels_last), rois(dtype)
    assert set(assign_levels(boxes, STRIDES).tolist()) == {0, 1, 2, 3}
    found, wanted = pool(maps, boxes, image), reference(maps, boxes, image)
    assert_close(found, wanted, rtol=0, atol=tolerance)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
    ours = torch.autograd.grad(found, maps, upstream)
    theirs = torch.autograd.grad(wanted, maps, upstream)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=0, atol=tolerance)


def test_the_order_of_images_does_not_matter():
    maps, (boxes, image) = feature_maps(torch.float64), rois(torch.float64)
    order = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(0))
    assert_close(pool(maps, boxes[order], image[order]), pool(maps, boxes, image)[order], rtol=0, atol=0)


def test_the_result_is_channels_last_in_memory():
    maps, (boxes, image) = feature_maps(torch.float32), rois(torch.float32, 3)
    found = pool(maps, boxes, image)
    assert found.shape == (3, 3, 7, 7)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_the_gradient_is_equal_to_the_bit_every_time():
    boxes, image = rois(torch.float32, 100)
    runs = []
    for _ in range(2):
        maps = feature_maps(torch.float32)
        runs.append(torch.autograd.grad(pool(maps, boxes, image).square().sum(), maps))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_gradcheck():
    g = torch.Generator().manual_seed(0)
    maps = [torch.randn(1, 2, s, s, generator=g, dtype=torch.float64, requires_grad=True) for s in (4, 2)]
    boxes = torch.tensor([[1.0, 2, 9, 11], [-3, 0, 20, 6], [2, 2, 3, 3]], dtype=torch.float64)
    image, level = torch.zeros(3, dtype=torch.int64), torch.tensor([0, 1, 1])
    assert torch.autograd.gradcheck(lambda *m: roi_align(m, boxes, image, level, (4, 8), 2), maps)


def test_gradients_of_gradients_of_any_order():
    g = torch.Generator().manual_seed(0)
    maps = [torch.randn(1, 2, s, s, generator=g, dtype=torch.float64, requires_grad=True) for s in (4, 2)]
    boxes = torch.tensor([[1.0, 2, 9, 11], [-3, 0, 20, 6], [2, 2, 3, 3]], dtype=torch.float64)
    image, level = torch.zeros(3, dtype=torch.int64), torch.tensor([0, 1, 1])

    def curved(*m):
        return roi_align([x.square() for x in m], boxes, image, level, (4, 8), 2)

    assert torch.autograd.gradgradcheck(curved, maps)

    def second(*m):
        first = torch.autograd.grad(curved(*m).pow(4).sum(), m, create_graph=True)
        return torch.autograd.grad(sum(x.square().sum() for x in first), m, create_graph=True)

    assert torch.autograd.gradcheck(second, maps)


def test_no_boxes_forward_and_backward():
    maps = feature_maps(torch.float32)
    found = pool(maps, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    assert found.shape == (0, 3, 7, 7)
    found.sum().backward()
    assert all(torch.equal(m.grad, torch.zeros_like(m)) for m in maps)


def test_a_box_outside_the_image_pools_zeros():
    maps = feature_maps(torch.float32, images=1)
    boxes = torch.tensor([[-500.0, -500, -100, -100], [9000, 9000, 9100, 9100], [1e30, 0, 2e30, 5]])
    level = torch.tensor([0, 3, 1])
    found = roi_align(maps, boxes, torch.zeros(3, dtype=torch.int64), level, STRIDES)
    assert torch.equal(found, torch.zeros_like(found))
    found.sum().backward()
    assert all(torch.equal(m.grad, torch.zeros_like(m)) for m in maps)


def test_a_level_of_one_pixel():
    pixel = torch.tensor([[[[5.0]], [[7.0]]]], requires_grad=True)  # (1, 2, 1, 1)
    zero = torch.zeros(1, dtype=torch.int64)
    found = roi_align([pixel], torch.tensor([[0.0, 0, 32, 32]]), zero, zero, (32,), 2)
    assert_close(found, pixel.detach().expand(1, 2, 2, 2))
    found.sum().backward()
    assert_close(pixel.grad, torch.full_like(pixel, 4.0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", range(4))
def test_coordinates_that_are_no_numbers_do_not_crash(bad, place):
    maps, (boxes, image) = feature_maps(torch.float32), rois(torch.float32, 4)
    broken = boxes.clone()
    broken[1, place] = bad
    level = assign_levels(boxes, STRIDES)
    found = roi_align(maps, broken, image, level, STRIDES)
    assert torch.isfinite(found).all()
    others = [0, 2, 3]
    assert_close(found[others], roi_align(maps, boxes, image, level, STRIDES)[others], rtol=0, atol=0)
    found.sum().backward()
    assert all(torch.isfinite(m.grad).all() for m in maps)


def test_without_a_gradient_nothing_is_recorded():
    maps = [m.detach() for m in feature_maps(torch.float32)]
    assert not pool(maps, *rois(torch.float32, 5)).requires_grad


def test_levels_in_one_table_are_read_without_a_copy(monkeypatch):
    boxes, image = rois(torch.float64)
    maps = [m.detach() for m in feature_maps(torch.float64)]
    wanted = pool(maps, boxes, image)
    levels = empty_levels(maps[0], [(m.shape[2], m.shape[3]) for m in maps])
    for level, values in zip(levels, maps, strict=True):
        assert level.shape == values.shape
        level.copy_(values)
    monkeypatch.setattr(torch, "cat", None)  # what would copy them
    assert torch.equal(pool(levels, boxes, image), wanted)
    coarse = torch.ones(len(boxes), dtype=torch.int64)
    from_table = roi_align(levels[1:3], boxes, image, coarse, STRIDES[1:3])
    assert torch.equal(from_table, roi_align(maps[2:3], boxes, image, 0 * coarse, STRIDES[2:3]))


def test_levels_with_a_gradient_or_a_gap_are_copied():
    boxes, image = rois(torch.float64)
    maps = feature_maps(torch.float64)
    wanted = pool(maps, boxes, image).detach()
    levels = empty_levels(maps[0], [(1, 1), *((m.shape[2], m.shape[3]) for m in maps)])
    apart = [levels[1], *(m.detach().clone() for m in maps[1:])]
    apart[0].copy_(maps[0].detach())
    assert torch.equal(pool(apart, boxes, image), wanted)
    tracked = [
        level.copy_(m.detach()).detach().requires_grad_() for level, m in zip(levels[1:], maps, strict=True)
    ]
    ours = torch.autograd.grad(pool(tracked, boxes, image).sum(), tracked)
    theirs = torch.autograd.grad(pool(maps, boxes, image).sum(), maps)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_the_single_one_rounded_once(dtype):
    """Of the same rounded maps, there and back, to the bit."""
    halves, (boxes, image) = feature_maps(dtype), rois(torch.float32)
    singles = [m.detach().float().requires_grad_() for m in halves]
    found, wanted = pool(halves, boxes, image), pool(singles, boxes, image)
    assert found.dtype == dtype
    assert torch.equal(found, wanted.to(dtype))
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    ours = torch.autograd.grad(found, halves, upstream)
    theirs = torch.autograd.grad(wanted, singles, upstream.float())
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b.to(dtype))
    assert torch.equal(pool([m.detach() for m in halves], boxes, image), found)


def test_half_precision_is_torchvisions_under_autocast():
    """Both sum in single precision; what is rounded up here may be rounded down there, 2⁻⁷ of it."""
    maps, (boxes, image) = feature_maps(torch.bfloat16), rois(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = pool(maps, boxes, image), reference(maps, boxes, image)
    assert found.dtype == wanted.dtype == torch.bfloat16
    assert_close(found, wanted, rtol=2**-7, atol=1e-4)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(2)).bfloat16()
    ours = torch.autograd.grad(found, maps, upstream)
    theirs = torch.autograd.grad(wanted, maps, upstream)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=2**-7, atol=1e-4)


SETTINGS = [
    (size, ratio, aligned)
    for size in (1, 3, (2, 5))
    for ratio in (-1, 0, 1, 3, 4, 5)
    for aligned in (False, True)
]


@pytest.mark.parametrize(("size", "ratio", "aligned"), SETTINGS)
def test_every_setting_is_torchvisions_there_and_back(size, ratio, aligned):
    maps, (boxes, image) = feature_maps(torch.float64), rois(torch.float64, 24)
    level = torch.arange(24) % 4  # no order, and boxes much larger and smaller than their cells
    found = roi_align(maps, boxes, image, level, STRIDES, size, ratio, aligned)
    wanted = torch.empty_like(found)
    for i, (features, stride) in enumerate(zip(maps, STRIDES, strict=True)):
        own = torch.cat([image[:, None].double(), boxes], 1)[level == i]
        wanted[level == i] = by_level(features, own, size, 1 / stride, ratio, aligned)
    assert found.shape[2:] == ((size, size) if isinstance(size, int) else size)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert_close(found, wanted, rtol=0, atol=1e-9)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    ours = torch.autograd.grad(found, maps, upstream)
    theirs = torch.autograd.grad(wanted, maps, upstream)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=0, atol=1e-9)


def test_the_defaults_are_two_samples_and_not_aligned():
    maps, (boxes, image) = feature_maps(torch.float32), rois(torch.float32, 8)
    level = assign_levels(boxes, STRIDES)
    short = roi_align(maps, boxes, image, level, STRIDES)
    assert torch.equal(short, roi_align(maps, boxes, image, level, STRIDES, (7, 7), 2, False))
    assert not torch.allclose(short, roi_align(maps, boxes, image, level, STRIDES, aligned=True))
    assert not torch.allclose(short, roi_align(maps, boxes, image, level, STRIDES, sampling_ratio=-1))


@pytest.mark.parametrize("ratio", [-1, 3])
def test_no_boxes_and_half_precision_of_every_setting(ratio):
    none, nowhere = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    found = roi_align(feature_maps(torch.float32), none, nowhere, nowhere, STRIDES, (2, 3), ratio, True)
    assert found.shape == (0, 3, 2, 3)
    found.sum().backward()
    halves, (boxes, image) = feature_maps(torch.bfloat16), rois(torch.float32, 6)
    singles = [m.detach().float() for m in halves]
    level = assign_levels(boxes, STRIDES)
    found, wanted = (
        roi_align(maps, boxes, image, level, STRIDES, sampling_ratio=ratio) for maps in (halves, singles)
    )
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, wanted.bfloat16())


def test_boxes_without_end_are_refused_where_samples_follow_from_the_box():
    maps, zero = feature_maps(torch.float32), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"boxes: found coordinates that are not finite.*sampling_ratio=0"):
        roi_align(maps, torch.tensor([[0.0, 0, float("inf"), 9]]), zero, zero, STRIDES, sampling_ratio=0)


@pytest.mark.parametrize("size", [0, (3, 0), (-1, 2)])
def test_a_grid_without_cells_is_refused(size):
    maps, zero = feature_maps(torch.float32), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"output_size: found .*, wanted at least 1 cell"):
        roi_align(maps, torch.ones(1, 4), zero, zero, STRIDES, size)


def test_other_settings_within_an_export_are_refused():
    class Pooled(torch.nn.Module):
        def forward(self, maps, boxes, image):
            return roi_align([maps], boxes, image, image, (4,), 2, aligned=True)

    given = (torch.rand(1, 2, 8, 8), torch.tensor([[0.0, 0, 9, 9]]), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"found output_size=2, sampling_ratio=2, aligned=True within"):
        torch.export.export(Pooled(), given, strict=False)
