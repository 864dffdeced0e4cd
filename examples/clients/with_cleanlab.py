"""cleanlab: pictures whose labels look wrong."""

import torch
from cleanlab.object_detection.rank import get_label_quality_scores


def label_quality(detector, data):
    """``(N,)`` in 0..1, low where the labels of a picture look wrong."""
    labels, predictions = [], []
    for path, target in data:
        labels.append({"bboxes": target.boxes.numpy(), "labels": target.labels.numpy()})
        found = detector.predict([path])[0]
        rows = torch.cat([found.boxes, found.scores[:, None]], 1)
        predictions.append([rows[found.labels == k].numpy() for k in range(len(detector.names))])
    return get_label_quality_scores(labels, predictions)
