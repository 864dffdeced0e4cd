"""albumentations and kornia vary pictures in masu's training; boxes go where the objects go."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou

import masu
from examples.clients.with_albumentations import settings
from examples.clients.with_kornia import Varied


def varied_by_albumentations(picture, target):
    made = settings().augmentation(
        image=picture, bboxes=target.boxes.numpy(), labels=target.labels.numpy().tolist()
    )
    return made["image"], made["bboxes"], made["labels"]


def varied_by_kornia(picture, target):
    image = torch.from_numpy(picture).permute(2, 0, 1)
    image, varied = Varied()(image, target)
    return (255 * image).round().byte().permute(1, 2, 0).numpy(), varied.boxes.numpy(), varied.labels.tolist()


@pytest.mark.parametrize("varied", [varied_by_albumentations, varied_by_kornia])
def test_the_detector_finds_objects_where_the_boxes_went(detector, train_data, varied):
    """Sure detections lie on the varied boxes, and hardly on those of before."""
    torch.manual_seed(0)
    met, unmoved, count = 0, 0, 0
    for path, target in list(train_data)[:4]:
        picture, boxes, labels = varied(np.array(Image.open(path)), target)
        found = detector.predict([np.ascontiguousarray(picture)], threshold=0.9)[0]
        overlap = box_iou(found.boxes, torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4))
        best, which = overlap.max(1)
        right = [labels[i] for i in which.tolist()] == found.labels.numpy()
        met += int(((best > 0.5).numpy() & right).sum())
        unmoved += int((box_iou(found.boxes, target.boxes).max(1).values > 0.9).sum())
        count += len(found)
    assert count >= 5
    assert met >= 0.8 * count
    assert unmoved < 0.5 * count


@pytest.mark.parametrize(
    "augmentation", [settings().augmentation, Varied()], ids=["albumentations", "kornia"]
)
def test_masu_trains_with_it(train_data, tmp_path, augmentation):
    done = masu.train(
        train_data,
        None,
        masu.TrainSettings(image_size=96, epochs=1, batch_size=2, augmentation=augmentation),
        tmp_path / "run",
    )
    assert np.isfinite(done.history[0]["loss"])
    kind = type(augmentation).__name__
    assert kind in json.dumps(json.loads((tmp_path / "run" / "settings.json").read_text()))


def test_gradients_reach_a_parameter_of_kornia(model, pairs):
    """Brightness before the detector, as one learns a preprocessing."""
    from kornia.enhance import adjust_brightness

    factor = torch.tensor([0.1], requires_grad=True)
    images = [adjust_brightness(image[None], factor)[0] for image, _ in pairs[:1]]
    losses, found = model.losses_and_detections(images, [target for _, target in pairs[:1]])
    (slope,) = torch.autograd.grad(sum(losses.values()) + found[0]["scores"].sum(), factor)
    assert torch.isfinite(slope).all()
    assert float(slope.abs()) > 0
