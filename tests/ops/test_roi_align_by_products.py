"""RoIAlign as matrix products is RoIAlign."""

import torch

from masu.ops.roi_align import roi_align
from masu.ops.roi_align_by_products import roi_align_by_products


def test_a_box_of_one_cell_by_hand():
    """Cells 0 to 3 hold 0 to 3; the box covers the second: its samples lie at 1.25 and 1.75 of them."""
    features = [torch.arange(4.0).reshape(1, 1, 1, 4)]
    boxes = torch.tensor([[8.0, 0.0, 16.0, 8.0]])
    found = roi_align_by_products(features, boxes, torch.zeros(1), torch.zeros(1), [8], 1)
    assert found.tolist() == [[[[1.5]]]]


def test_it_is_the_other_form():
    random = torch.Generator().manual_seed(0)
    features = [torch.randn((1, 5, *size), generator=random) for size in ((12, 20), (6, 10), (3, 5))]
    start = torch.rand((60, 2), generator=random) * 160 - 20  # beyond every edge
    boxes = torch.cat([start, start + torch.rand((60, 2), generator=random) ** 2 * 150], dim=1)
    boxes[:3] = torch.tensor([[0, 0, 160, 96], [5, 5, 5, 5], [-90, -90, -50, -50]])
    image, level = torch.zeros(60, dtype=torch.int64), torch.arange(60) % 3
    wanted = roi_align(features, boxes, image, level, (8, 16, 32), 7)
    found = roi_align_by_products(features, boxes, image, level, (8, 16, 32), 7)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
