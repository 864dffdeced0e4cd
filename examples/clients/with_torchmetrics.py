"""torchmetrics: average precision."""

from torchmetrics.detection import MeanAveragePrecision


def average_precision(detector, data):
    """``map``, ``map_50`` and the other figures of a data set that ``masu.read_dataset`` has read."""
    metric = MeanAveragePrecision()
    for path, target in data:
        found = detector.predict([path])[0]
        metric.update([found.to_dict()], [{"boxes": target.boxes, "labels": target.labels}])
    return metric.compute()
