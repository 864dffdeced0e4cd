"""A detector of each kind on a GPU finds and learns what it does on the CPU; without a GPU all this is skipped."""

import copy

import pytest
import torch

from tests.detectors.test_detectors import OBJECTS, assert_same, detectors, generator, named, photographs  # noqa: F401

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.fixture(autouse=True)
def exact():
    """Single precision as on the CPU, where a GPU may take three digits."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_detections(named):  # noqa: F811
    _, detector = named
    there = copy.deepcopy(detector).double().cuda()
    images = [image.double() for image in photographs(2)]
    for found, wanted in zip(
        there.predict(images), copy.deepcopy(detector).double().predict(images), strict=True
    ):
        assert_same(found.to("cpu"), wanted, 1e-3)


def test_losses_and_gradients(named):  # noqa: F811
    _, detector = named
    there = copy.deepcopy(detector).double().cuda()
    raw = there([image.double().cuda() for image in photographs(2)])
    losses = there.losses(raw, [OBJECTS, OBJECTS], torch.Generator("cuda").manual_seed(0))
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    for name, parameter in there.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    here = copy.deepcopy(detector).double()
    wanted = here.losses(here([image.double() for image in photographs(2)]), [OBJECTS, OBJECTS], generator())
    assert losses.keys() == wanted.keys()
