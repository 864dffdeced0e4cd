import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from masu.ops.losses import (
    BOX_LOSSES,
    bce,
    cross_entropy,
    first_non_finite,
    focal,
    giou,
    l1,
    l2,
    smooth_l1,
)


def test_smooth_l1_by_hand():
    # β = 1/9: |0.1| < β → 0.5 · 0.01 · 9 = 0.045; |2| ≥ β → 2 − 1/18
    found = smooth_l1(torch.tensor([[0.1, 0, 2, 0]]), torch.zeros(1, 4), 2)
    assert found.item() == pytest.approx((0.045 + 2 - 1 / 18) / 2)
    assert smooth_l1(torch.tensor([0.5]), torch.zeros(1), 1, beta=1).item() == pytest.approx(0.125)


def test_l1_and_l2_by_hand():
    prediction, target = torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[0.0, 0], [5, 4]])
    assert l1(prediction, target, 5).item() == pytest.approx(1)  # (1 + 2 + 2 + 0) / 5
    assert l2(prediction, target, 3).item() == pytest.approx(1.5)  # ½ (1 + 4 + 4 + 0) / 3


def test_l2_has_the_slope_of_l1_at_one():
    slopes = []
    for loss in (l1, l2):
        x = torch.tensor([1.0], requires_grad=True)
        slopes.append(torch.autograd.grad(loss(x, torch.zeros(1), 1), x)[0].item())
    assert slopes == [1, 1]


def test_bce_by_hand_with_whole_number_targets():
    assert bce(torch.tensor([0.0, 0.0]), torch.tensor([0, 1]), 2).item() == pytest.approx(math.log(2))
    extreme = bce(torch.tensor([1000.0, -1000.0]), torch.tensor([1, 0]), 1)
    assert extreme.item() == 0
    assert bce(torch.tensor([-1000.0]), torch.tensor([1]), 1).item() == 1000


def test_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, 0, 0], [0, math.log(2), 0]])
    assert cross_entropy(logits, torch.tensor([2, 1]), 2).item() == pytest.approx(
        (math.log(3) + math.log(2)) / 2
    )


def test_losses_are_torchs_means_with_the_number_as_norm():
    torch.manual_seed(0)
    p, t = torch.randn(8, 4), torch.randn(8, 4)
    assert_close(smooth_l1(p, t, 32), F.smooth_l1_loss(p, t, beta=1 / 9))
    assert_close(l1(p, t, 32), F.l1_loss(p, t))
    assert_close(l2(p, t, 32), F.mse_loss(p, t) / 2)


@pytest.mark.parametrize("loss", BOX_LOSSES.values(), ids=BOX_LOSSES)
def test_an_equal_box_costs_nothing(loss):
    box = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert loss(box, box, 3).item() == 0


@pytest.mark.parametrize(
    ("loss", "shape", "target"),
    [(loss, (0, 4), torch.zeros(0, 4)) for loss in BOX_LOSSES.values()]
    + [
        (bce, (0,), torch.zeros(0, dtype=torch.int64)),
        (cross_entropy, (0, 3), torch.zeros(0, dtype=torch.int64)),
    ],
)
def test_an_empty_prediction_costs_zero_with_a_zero_gradient(loss, shape, target):
    source = torch.randn(5, *shape[1:], requires_grad=True)
    value = loss(source[:0], target, 1)
    value.backward()
    assert value.shape == ()
    assert value.item() == 0
    assert torch.equal(source.grad, torch.zeros_like(source))


def test_the_selectable_losses():
    assert {"smooth_l1": smooth_l1, "l1": l1, "l2": l2} == BOX_LOSSES


def test_first_non_finite_names_the_term():
    good, nan, inf = torch.tensor(1.0), torch.tensor(float("nan")), torch.tensor(float("inf"))
    assert first_non_finite({"a": good, "b": good}) is None
    assert first_non_finite({"a": good, "b": nan, "c": inf}) == "b"
    assert first_non_finite({"a": -inf, "b": nan}) == "a"


def test_focal_by_hand():
    # p = ½ everywhere: object α · ½² · ln 2, background (1 − α) · ½² · ln 2
    found = focal(torch.zeros(2), torch.tensor([1.0, 0.0]), 2)
    assert found.item() == pytest.approx((0.25 + 0.75) * 0.25 * math.log(2) / 2)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0), (0.9, 1.5)])
def test_focal_is_torchvisions(alpha, gamma):
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 7, generator=g, dtype=torch.float64).mul(4).requires_grad_()
    target = (torch.rand(50, 7, generator=g) < 0.1).double()
    found = focal(logits, target, 3, alpha, gamma)
    wanted = sigmoid_focal_loss(logits, target, alpha, gamma, reduction="sum") / 3
    assert_close(found, wanted)
    for a, b in zip(torch.autograd.grad(found, logits), torch.autograd.grad(wanted, logits), strict=True):
        assert_close(a, b)


def test_focal_of_extreme_logits_is_finite():
    logits = torch.tensor([1000.0, -1000.0, 1000.0, -1000.0], requires_grad=True)
    loss = focal(logits, torch.tensor([1.0, 0.0, 0.0, 1.0]), 1)
    assert loss.item() == pytest.approx(1000)
    assert torch.isfinite(torch.autograd.grad(loss, logits)[0]).all()


def test_giou_by_hand():
    box = torch.tensor([[0.0, 0, 2, 2]])
    assert giou(box, box, 1).item() == pytest.approx(0, abs=1e-6)
    apart = torch.tensor([[2.0, 0, 4, 2]])  # IoU 0, the hull is filled
    assert giou(box, apart, 1).item() == pytest.approx(1)
    far = torch.tensor([[6.0, 0, 8, 2]])  # hull 16, union 8
    assert giou(box, far, 2).item() == pytest.approx(1.5 / 2)


def test_giou_is_torchvisions():
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(2, 40, 2, generator=g, dtype=torch.float64) * 20
    boxes = torch.cat([corner, corner + torch.rand(2, 40, 2, generator=g, dtype=torch.float64) * 20], dim=2)
    boxes[0, 0] = boxes[1, 0] = torch.tensor([3.0, 3, 3, 3])  # no area
    a, b = boxes[0].requires_grad_(), boxes[1]
    found, wanted = giou(a, b, 1), generalized_box_iou_loss(a, b, reduction="sum")
    assert_close(found, wanted)
    assert_close(torch.autograd.grad(found, a)[0][1:], torch.autograd.grad(wanted, a)[0][1:])


def test_giou_of_no_boxes():
    none = torch.zeros(0, 4, requires_grad=True)
    giou(none, torch.zeros(0, 4), 1).backward()
    assert none.grad.shape == (0, 4)
