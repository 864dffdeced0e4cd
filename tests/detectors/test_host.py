"""How often a step waits for the device: not in proportion to objects or anchors."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import masu
from masu.records import Target

WAITS = ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.unique")


class Waiting(TorchDispatchMode):
    """Counts the operators whose result, or its size, the host has to know."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += str(func).startswith(WAITS) or _by_mask(func, args)
        return func(*args, **(kwargs or {}))


def _by_mask(func, args):
    """Indexed by booleans."""
    return str(func).startswith("aten.index") and any(
        isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in args[1] or ()
    )


def waits(detector, objects):
    x = torch.arange(objects) % 8 * 8.0
    y = torch.arange(objects) // 8 * 8.0
    target = Target(torch.stack([x, y, x + 7, y + 7], 1), torch.zeros(objects))
    image = torch.zeros(3, 64, 64)
    detector.train()
    with Waiting() as waiting:
        losses = detector.losses(detector([image]), [target], torch.Generator().manual_seed(0))
        sum(losses.values()).backward()
    return waiting.count


@pytest.mark.parametrize(
    "architecture",
    ["faster_rcnn_lite0_fpn", "retinanet_lite0_fpn", "fcos_lite0_fpn", "cascade_rcnn_lite0_fpn"],
)
def test_a_step_waits_as_often_for_many_objects_as_for_few(architecture):
    torch.manual_seed(0)
    detector = masu.build(architecture, ["thing"], "none", image_size=64)
    assert waits(detector, 2) == waits(detector, 60) > 0
