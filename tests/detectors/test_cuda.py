"""A detector of each kind on a GPU finds and learns what it does on the CPU; without a GPU all this is skipped."""

import copy
import json

import pytest
import torch

import masu
from masu.verbs.detect import detect
from tests.detectors.test_detectors import OBJECTS, assert_same, detectors, generator, named, photographs  # noqa: F401
from tests.networks import spread

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


GPU = "cuda"


def test_detections_of_tiles_lie_where_those_of_whole_images_do():
    torch.manual_seed(0)
    there = spread(masu.build("faster_rcnn_lite0_fpn", ["coin"], "imagenet", image_size=64)).to(GPU)
    (photograph,) = photographs(1)
    whole, tiled = (one.predict([photograph])[0] for one in (there, masu.tiled(there, 32)))
    assert whole.boxes.device == tiled.boxes.device == there.device


def test_a_training_goes_on_from_one_device_on_the_other(coins, tmp_path):
    data = masu.read_dataset(coins, split="train")
    settings = masu.TrainSettings(weights="none", image_size=64, epochs=2, precision="bf16")

    def stop(event):
        if event["event"] == "epoch":
            raise KeyboardInterrupt

    assert masu.train(data, data, settings, tmp_path / "run", report=stop, device=GPU).interrupted
    done = masu.train(data, data, settings, tmp_path / "run", resume=True, device="cpu")
    assert [row["epoch"] for row in done.history] == [1, 2]
    for device in ("cpu", GPU):
        detector = masu.load(done.last, device=device)
        assert next(detector.parameters()).device.type == device
        assert 0 <= masu.evaluate(detector, data, batch_size=2).as_dict()["ap"] <= 1


def test_detections_in_files_are_those_of_the_cpu(coins, tmp_path):
    torch.manual_seed(0)
    detector = spread(masu.build("faster_rcnn_lite0_fpn", ["coin"], "imagenet", image_size=64))
    masu.save(detector, tmp_path / "m.safetensors")
    boxes = []
    for device in ("cpu", GPU):
        found = detect(masu.load(tmp_path / "m.safetensors", device=device), [coins], threshold=0.0)
        boxes.append([one["box"] for image in json.loads(found.text) for one in image["detections"]])
    assert len(boxes[0]) == len(boxes[1]) > 0
    torch.testing.assert_close(torch.tensor(boxes[0]), torch.tensor(boxes[1]), rtol=0, atol=0.05)
