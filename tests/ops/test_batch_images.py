import random

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from masu.ops import images as module
from masu.ops.images import InputPolicy, batch_images, bilinear, bilinear_of_large, resized_size

PLAIN = InputPolicy(min_size=8, max_size=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), divisor=4)


def oracle(policy):
    return GeneralizedRCNNTransform(
        policy.min_size,
        policy.max_size,
        list(policy.mean),
        list(policy.std),
        size_divisible=policy.divisor,
    )


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((600, 800), (800, 1066)),  # 800 · (800 / 600) = 1066.67
        ((800, 600), (1066, 800)),
        ((400, 1600), (333, 1333)),  # the longer side wins
        ((800, 800), (800, 800)),
        ((1, 5000), (1, 1333)),  # never thinner than a pixel
    ],
)
def test_sizes_by_hand(size, wanted):
    found = resized_size(*size, InputPolicy())
    assert found[0] == pytest.approx(wanted[0], abs=1)
    assert found[1] == pytest.approx(wanted[1], abs=1)
    assert min(found) >= 1


@pytest.mark.parametrize("policy", [InputPolicy(96, 160), InputPolicy(32, 33), InputPolicy(40, 60)])
def test_sizes_are_torchvisions(policy):
    transform = oracle(policy)
    choose = random.Random(0)
    for _ in range(60):
        height, width = choose.randint(20, 300), choose.randint(20, 300)
        wanted = transform.resize(torch.zeros(1, height, width))[0].shape[-2:]
        assert resized_size(height, width, policy) == tuple(wanted), (height, width)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-6)])
def test_pixels_are_torchvisions(dtype, tolerance):
    policy = InputPolicy(60, 100)
    torch.manual_seed(0)
    images = [torch.rand(3, h, w, dtype=dtype) for h, w in [(40, 50), (120, 90), (30, 200), (60, 60)]]
    found = batch_images(images, policy, dtype)
    wanted, _ = oracle(policy)(images)
    assert found.sizes.tolist() == [list(s) for s in wanted.image_sizes]
    assert_close(found.pixels, wanted.tensors, rtol=0, atol=tolerance)


def test_an_image_of_the_right_size_is_only_normalised_and_padded():
    image = torch.full((3, 8, 10), 0.75)
    batch = batch_images([image], InputPolicy(8, 16, (0.5,) * 3, (0.25,) * 3, 4))
    assert batch.pixels.shape == (1, 3, 8, 12)
    assert_close(batch.pixels[0, :, :, :10], torch.ones(3, 8, 10))
    assert not batch.pixels[0, :, :, 10:].any()
    assert batch.sizes.tolist() == batch.original_sizes.tolist() == [[8, 10]]


def test_bytes_and_floats_are_the_same_image():
    image = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert_close(batch_images([image], PLAIN).pixels, batch_images([image / 255], PLAIN).pixels)


def test_images_of_several_sizes_share_one_padded_batch():
    batch = batch_images([torch.ones(3, 8, 8), torch.ones(3, 16, 32)], PLAIN)
    assert batch.pixels.shape == (2, 3, 8, 16)
    assert batch.sizes.tolist() == [[8, 8], [8, 16]]
    assert batch.original_sizes.tolist() == [[8, 8], [16, 32]]
    assert batch.sizes.dtype == batch.original_sizes.dtype == torch.int64
    assert not batch.pixels[0, :, :, 8:].any()
    assert_close(batch.pixels[1], torch.ones(3, 8, 16))
    assert batch.pixels.is_contiguous(memory_format=torch.channels_last)


def test_the_batch_has_the_wanted_type_and_the_images_stay_as_they_are():
    image = torch.full((3, 8, 8), 200, dtype=torch.uint8)
    assert batch_images([image], PLAIN, torch.float64).pixels.dtype == torch.float64
    assert (image == 200).all()


def test_gradients_flow_to_the_images():
    """Through resizing up and down, normalisation and padding, of images of several sizes."""
    g = torch.Generator().manual_seed(0)
    images = [
        torch.rand(3, h, w, generator=g, dtype=torch.float64, requires_grad=True)
        for h, w in [(3, 4), (6, 5), (4, 8)]
    ]
    policy = InputPolicy(4, 6, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), divisor=4)

    def pixels(*images):
        return batch_images(images, policy, torch.float64).pixels

    assert {i.shape[1:] for i in images} != {tuple(s) for s in batch_images(images, policy).sizes.tolist()}
    assert torch.autograd.gradcheck(pixels, images)
    with torch.no_grad():
        assert torch.equal(pixels(*images), pixels(*(i.detach() for i in images)))


def test_a_gradient_leaves_the_pixels_as_they_are():
    image = torch.rand(3, 9, 13, generator=torch.Generator().manual_seed(0))
    with_gradient = batch_images([image.clone().requires_grad_(), image], PLAIN).pixels
    assert with_gradient.requires_grad
    assert torch.equal(with_gradient, batch_images([image, image], PLAIN).pixels)


@pytest.mark.parametrize(
    "shape", [(8, 8), (1, 8, 8), (4, 8, 8), (8, 8, 3), (2, 3, 8, 8), (3, 0, 8), (3, 8, 0)]
)
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"^images\[1\]: found shape .*, wanted \(3, H, W\)$"):
        batch_images([torch.zeros(3, 8, 8), torch.zeros(shape)], PLAIN)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.int8])
def test_another_type_is_refused(dtype):
    with pytest.raises(ValueError, match=rf"^images\[0\]: found {dtype}, wanted uint8 0..255 or float 0..1$"):
        batch_images([torch.zeros(3, 8, 8, dtype=dtype)], PLAIN)


def test_a_file_is_no_tensor():
    with pytest.raises(
        TypeError, match=r"^images\[0\]: found str, wanted a tensor \(3, H, W\); detector.predict takes"
    ):
        batch_images(["a.jpg"], InputPolicy())


@pytest.mark.parametrize("size", [(7, 9), (40, 31), (1, 60), (13, 200), (64, 64)])
def test_large_images_are_resized_as_all_others(size):
    image = torch.randint(0, 256, (3, 64, 97), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert_close(
        bilinear_of_large(image, size, torch.float32),
        bilinear(image, size, torch.float32),
        rtol=0,
        atol=2e-3,
    )


def test_only_images_of_bytes_above_the_limit_take_that_way(monkeypatch):
    image = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)
    wanted = batch_images([image], PLAIN).pixels
    called = []
    monkeypatch.setattr(module, "bilinear_of_large", lambda *given: called.append(given) or bilinear(*given))
    monkeypatch.setattr(module, "LARGE", 40 * 50 - 1)
    assert torch.equal(batch_images([image, image / 255], PLAIN).pixels[:1], wanted)
    assert len(called) == 1
