"""DeepLabCut's runners train a detector of masu, score it and predict with it."""

import numpy as np
import pytest
import torch
from deeplabcut.pose_estimation_pytorch.runners.inference import DetectorInferenceRunner
from deeplabcut.pose_estimation_pytorch.runners.snapshots import TorchSnapshotManager
from deeplabcut.pose_estimation_pytorch.runners.train import DetectorTrainingRunner
from torchvision.transforms.functional import to_tensor

from examples.clients.with_deeplabcut import MasuDetector
from tests.clients.learning import mean_loss


class Batches:
    """Batches of one picture as DeepLabCut's loader gives them: boxes x y width height, new ones every epoch."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __iter__(self):
        for i, (image, target) in enumerate(self.pairs):
            x1, y1, x2, y2 = target["boxes"].unbind(1)
            count = len(x1)
            yield {
                "image": image[None],
                "path": [f"{i}.png"],
                "original_size": torch.tensor([image.shape[1:]]),
                "offsets": torch.zeros((1, 2)),
                "scales": torch.ones((1, 2)),
                "annotations": {
                    "boxes": torch.stack([x1, y1, x2 - x1, y2 - y1], 1)[None],
                    "labels": target["labels"][None],
                    "area": ((x2 - x1) * (y2 - y1))[None],
                    "is_crowd": torch.zeros((1, count)),
                },
            }


@pytest.fixture
def runner(tmp_path):
    def made(detector):
        model = MasuDetector(detector)
        weights = [x for x in model.parameters() if x.requires_grad]
        return DetectorTrainingRunner(
            model=model,
            optimizer=torch.optim.SGD(weights, lr=0.003, momentum=0.9),
            snapshot_manager=TorchSnapshotManager("snapshot", tmp_path, save_epochs=1),
        )

    return made


def test_it_learns_and_its_snapshot_loads(beginner, pairs, runner, tmp_path):
    before = mean_loss(beginner, pairs)
    training = runner(beginner)
    training.fit(Batches(pairs), Batches(pairs), epochs=3, display_iters=100)
    learnt = training.model.model.to_masu()
    assert mean_loss(learnt, pairs) < 0.8 * before
    (last,) = tmp_path.glob("snapshot*003.pt")
    again = MasuDetector(beginner)
    again.load_state_dict(torch.load(last, weights_only=False)["model"])
    assert mean_loss(again.model.to_masu(), pairs) == pytest.approx(mean_loss(learnt, pairs), abs=1e-6)


def test_its_scores_are_high_for_a_trained_detector(detector, pairs, runner):
    training = runner(detector)
    with torch.no_grad():
        training._epoch(Batches(pairs), mode="eval")
    figures = training._metadata["metrics"]
    assert figures["metrics/test.mAP@50:95"] > 40


def test_inference_is_predict(detector, pictures):
    running = DetectorInferenceRunner(MasuDetector(detector))
    for picture in pictures[:3]:
        with torch.no_grad():
            (made,) = running.predict(to_tensor(picture)[None])
        found = detector.predict([picture])[0]
        np.testing.assert_allclose(made["detection"]["bboxes"], found.boxes.numpy(), atol=1e-3)
        np.testing.assert_allclose(made["detection"]["scores"], found.scores.numpy(), atol=1e-5)
