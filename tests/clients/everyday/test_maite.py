"""MAITE predicts and evaluates with a detector of masu by its protocols."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from maite.interop.torchmetrics import TMDetectionMetric
from maite.protocols import object_detection as od
from maite.tasks import evaluate, predict
from torchmetrics.detection import MeanAveragePrecision

import masu
from examples.clients.with_maite import MaiteModel
from tests.clients.answers import assert_same


@dataclass
class Labelled:
    boxes: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor


class Pictures:
    def __init__(self, data, pictures):
        self.metadata = {"id": "digits"}
        self.targets = [target for _, target in data]
        self.pictures = [np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in pictures]

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        own = self.targets[index]
        wanted = Labelled(own.boxes, own.labels, torch.ones(len(own)))
        return self.pictures[index], wanted, {"id": index}


def test_protocols(detector, data, pictures):
    assert isinstance(MaiteModel(detector), od.Model)
    assert isinstance(Pictures(data, pictures), od.Dataset)
    assert isinstance(detector.predict(pictures[:1])[0], od.ObjectDetectionTarget.__origin__)


def test_predict_is_predict(detector, data, pictures):
    answers, _ = predict(model=MaiteModel(detector), dataset=Pictures(data, pictures), batch_size=2)
    every = [one for batch in answers for one in batch]
    for theirs, found in zip(every, detector.predict(pictures), strict=True):
        assert len(theirs.boxes) == len(found)
        if len(found):
            assert_same(found, theirs.boxes, theirs.scores, theirs.labels.tolist())


def test_evaluate_is_evaluate(detector, data, pictures):
    metric = TMDetectionMetric(MeanAveragePrecision(), output_key="ap", output_transform=lambda x: x["map"])
    figures, _, _ = evaluate(
        model=MaiteModel(detector), dataset=Pictures(data, pictures), metric=metric, batch_size=2
    )
    assert float(figures["ap"]) == pytest.approx(masu.evaluate(detector, data).ap, abs=1e-6)
