"""torchmetrics scores a detector as masu does."""

import pytest
from torchmetrics.detection import MeanAveragePrecision
from torchvision.transforms.functional import to_tensor

import masu
from examples.clients.with_torchmetrics import average_precision


def test_average_precision_is_that_of_masu(detector, data):
    theirs, own = average_precision(detector, data), masu.evaluate(detector, data)
    assert own.ap50 > 0.7
    assert float(theirs["map"]) == pytest.approx(own.ap, abs=1e-6)
    assert float(theirs["map_50"]) == pytest.approx(own.ap50, abs=1e-6)
    assert float(theirs["map_75"]) == pytest.approx(own.ap75, abs=1e-6)


def test_labels_from_1_score_alike(detector, model, data, pictures):
    metric = MeanAveragePrecision()
    for (_, target), picture in zip(data, pictures, strict=True):
        found = model([to_tensor(picture)])
        wanted = [{"boxes": target.boxes, "labels": target.labels + 1}]
        metric.update([{name: x.detach() for name, x in found[0].items()}], wanted)
    own = masu.evaluate(detector, data)
    assert float(metric.compute()["map"]) == pytest.approx(own.ap, abs=2e-3)
