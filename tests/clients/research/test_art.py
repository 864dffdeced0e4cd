"""ART predicts, trains, attacks and defends a detector of masu.

Its own tests of detectors (in its source archive) ask for COCO weights and CIFAR-10, which are downloads; what they do
is done here with masu's detector.
"""

import numpy as np
import pytest
import torch
from art.attacks.evasion import DPatch, FastGradientMethod, ProjectedGradientDescent, RobustDPatch
from art.defences.preprocessor import SpatialSmoothing
from art.estimators.object_detection import PyTorchObjectDetector
from torchvision.ops import box_iou

import masu
from examples.clients.with_art import as_estimator
from tests.clients.answers import assert_same

SIZE = (224, 290)


@pytest.fixture(scope="module")
def batch(pictures):
    height, width = SIZE
    cut = np.stack([picture[:height, :width] for picture in pictures[2:4]])
    return np.ascontiguousarray(cut.transpose(0, 3, 1, 2)).astype(np.float32) / 255


@pytest.fixture
def estimator(detector):
    return as_estimator(detector, *SIZE)


def truth(estimator, batch):
    """What the detector itself is sure of."""
    return [
        {name: x[found["scores"] > 0.5] for name, x in found.items()} for found in estimator.predict(batch)
    ]


def right(every, wanted):
    """Which share of the sure detections lies on a wanted box of its label."""
    hits, count = 0, 0
    for found, own in zip(every, wanted, strict=True):
        sure = found["scores"] > 0.5
        overlap = box_iou(*(torch.from_numpy(x) for x in (found["boxes"][sure], own["boxes"]))).numpy()
        same = found["labels"][sure][:, None] == own["labels"][None]
        hits += int(((overlap > 0.5) & same).any(1).sum())
        count += int(sure.sum())
    return hits / max(count, 1)


def seeded_loss(estimator, batch, wanted):
    torch.manual_seed(0)
    return float(estimator.compute_loss(batch, wanted))


def test_predictions_are_those_of_predict(detector, estimator, batch):
    own = detector.predict(list(torch.from_numpy(batch)))
    for theirs, found in zip(estimator.predict(batch), own, strict=True):
        assert_same(found, theirs["boxes"], theirs["scores"], (theirs["labels"] - 1).tolist())


def test_its_gradient_is_that_of_autograd(detector, estimator, batch):
    """Targets with scores too, as ART hands them on."""
    wanted = truth(estimator, batch)
    torch.manual_seed(0)
    theirs = estimator.loss_gradient(batch, wanted)
    model = masu.to_torchvision(detector).train()
    pixels = torch.from_numpy(batch).requires_grad_()
    torch.manual_seed(0)
    targets = [{name: torch.from_numpy(x) for name, x in own.items()} for own in wanted]
    sum(model(pixels, targets).values()).backward()
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(theirs, pixels.grad.numpy(), atol=1e-5 * float(pixels.grad.abs().max()))


@pytest.mark.parametrize("attack", [FastGradientMethod, ProjectedGradientDescent])
def test_an_attack_raises_the_loss_and_makes_answers_wrong(estimator, batch, attack):
    wanted = truth(estimator, batch)
    more = {"max_iter": 4, "eps_step": 0.02, "verbose": False} if attack is ProjectedGradientDescent else {}
    made = attack(estimator, norm=np.inf, eps=0.06, **more).generate(batch, wanted)
    assert np.abs(made - batch).max() <= 0.06 + 1e-6
    assert seeded_loss(estimator, made, wanted) > 1.5 * seeded_loss(estimator, batch, wanted)
    assert right(estimator.predict(batch), wanted) == 1.0
    assert right(estimator.predict(made), wanted) < 0.8


def test_the_same_noise_without_its_gradient_does_less(estimator, batch):
    wanted = truth(estimator, batch)
    made = FastGradientMethod(estimator, norm=np.inf, eps=0.06).generate(batch, wanted)
    sign = np.random.default_rng(0).choice([-1, 1], batch.shape)
    noise = np.clip(batch + 0.06 * sign, 0, 1).astype(np.float32)
    assert seeded_loss(estimator, made, wanted) > seeded_loss(estimator, noise, wanted)


@pytest.mark.parametrize("kind", [DPatch, RobustDPatch])
def test_a_patch(estimator, batch, kind):
    """ART changes the patch alone, within 0..1."""
    torch.manual_seed(0)
    np.random.seed(0)
    attack = kind(estimator, patch_shape=(3, 40, 40), learning_rate=0.05, max_iter=2, verbose=False)
    patch = attack.generate(x=batch[:1])
    again = kind(estimator, patch_shape=(3, 40, 40), learning_rate=0.05, max_iter=2, verbose=False)
    assert patch.shape == (3, 40, 40)
    assert np.isfinite(patch).all()
    assert patch.min() >= 0
    assert patch.max() <= 1
    assert not np.array_equal(patch, again._patch)
    covered = attack.apply_patch(batch[:1].copy())
    assert (covered != batch[:1]).any()
    assert estimator.predict(covered)[0]["boxes"].shape[1] == 4


def test_fit_lowers_the_loss(beginner, batch, pairs):
    estimator = as_estimator(beginner, *SIZE)
    images, wanted = [], []
    for image, target in pairs:
        inside = (target["boxes"][:, 2] <= SIZE[1]) & (target["boxes"][:, 3] <= SIZE[0])
        if inside.all() and inside.any():
            images.append(image[:, : SIZE[0], : SIZE[1]].numpy())
            wanted.append({name: x.numpy() for name, x in target.items()})
    assert len(images) >= 2
    before = seeded_loss(estimator, np.stack(images), wanted)
    estimator.fit(np.stack(images), wanted, batch_size=2, nb_epochs=8)
    assert seeded_loss(estimator, np.stack(images), wanted) < 0.7 * before


def test_a_defence_before_the_detector(estimator, batch):
    wanted = truth(estimator, batch)
    estimator.set_params(preprocessing_defences=SpatialSmoothing())
    assert estimator.loss_gradient(batch, wanted).shape == batch.shape
    assert sum(len(own["boxes"]) for own in estimator.predict(batch)) > 0


def test_one_stage(batch):
    """RetinaNet through ART's estimator for any detector."""
    torch.manual_seed(0)
    detector = masu.build("retinanet_lite0_fpn", ["a", "b"], image_size=128)
    estimator = PyTorchObjectDetector(
        masu.to_torchvision(detector),
        input_shape=(3, *SIZE),
        clip_values=(0, 1),
        attack_losses=("classification", "bbox_regression"),
        device_type="cpu",
    )
    wanted = [{"boxes": np.array([[20.0, 20, 90, 90]], np.float32), "labels": np.array([1])}] * 2
    slope = estimator.loss_gradient(batch, wanted)
    assert slope.shape == batch.shape
    assert np.abs(slope).max() > 0
