"""torchgeo's task trains, scores and predicts with a detector of masu in place of its own."""

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from torchgeo.trainers.utils import GeneralizedRCNNTransformNoOp

import masu
from examples.clients.with_torchgeo import as_task
from tests.clients.answers import assert_same
from tests.clients.learning import mean_loss


def collated(batch):
    images, targets = zip(*batch, strict=True)
    return {
        "image": torch.stack([image[:, :224, :296] for image in images]),
        "bbox_xyxy": [target["boxes"] for target in targets],
        "label": [target["labels"] for target in targets],
    }


@pytest.fixture
def batches(pairs):
    """torchgeo's batches; what lies outside of the common size is left out."""
    inside = []
    for image, target in pairs:
        keep = (target["boxes"][:, 2] <= 296) & (target["boxes"][:, 3] <= 224)
        inside.append((image, {name: x[keep] for name, x in target.items()}))
    return DataLoader(inside, batch_size=2, collate_fn=collated)


def trainer(folder, **more):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", default_root_dir=folder, **quiet, **more)


def test_it_learns(beginner, batches, pairs, tmp_path):
    task = as_task(beginner, lr=3e-4)
    before = mean_loss(beginner, pairs)
    trainer(tmp_path, max_epochs=5).fit(task, batches, batches)
    assert mean_loss(task.model.to_masu(), pairs) < 0.8 * before


def test_its_test_scores_and_predictions(detector, batches, tmp_path):
    task = as_task(detector)
    (figures,) = trainer(tmp_path).test(task, batches, verbose=False)
    assert figures["test_map_50"] > 0.7
    answers = [one for batch in trainer(tmp_path).predict(task, batches) for one in batch]
    pictures = [image for batch in batches for image in batch["image"]]
    for theirs, found in zip(answers, detector.predict(pictures), strict=True):
        assert len(theirs["boxes"]) == len(found)
        if len(found):
            assert_same(found, theirs["boxes"], theirs["scores"], (theirs["labels"] - 1).tolist())


def test_its_own_way_to_a_model_on_another_backbone(detector, pairs):
    """What torchgeo does to a torchvision model: another transform, a first convolution of more channels."""
    torch.manual_seed(0)
    resnet = masu.build("faster_rcnn_resnet50_fpn", ["a", "b"], weights="none", image_size=96)
    model = masu.to_torchvision(resnet).eval()
    model.transform = GeneralizedRCNNTransformNoOp()
    first = model.backbone.body.conv1
    first.weight = torch.nn.Parameter(torch.cat([first.weight, first.weight[:, :1]], 1))
    first.in_channels = 4
    found = model(torch.rand((2, 4, 96, 128)))
    assert [sorted(own) for own in found] == [["boxes", "labels", "scores"]] * 2
    losses = model.train()(
        torch.rand((2, 4, 96, 128)),
        [{"boxes": torch.tensor([[9.0, 9, 60, 60]]), "labels": torch.tensor([1])}] * 2,
    )
    assert all(torch.isfinite(term) for term in losses.values())
