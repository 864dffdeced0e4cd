"""cleanlab finds pictures whose labels were spoiled, from what masu predicts."""

from dataclasses import replace

import numpy as np
from cleanlab.object_detection.filter import find_label_issues

from examples.clients.with_cleanlab import label_quality


def test_spoiled_labels_score_lowest(detector, train_data):
    """Two pictures whose every label is turned into the next class."""
    before = label_quality(detector, train_data)
    spoiled = [i for i, (_, target) in enumerate(train_data) if len(target) > 1][:2]
    data = [
        (path, replace(target, labels=(target.labels + 1) % 3) if i in spoiled else target)
        for i, (path, target) in enumerate(train_data)
    ]
    after = label_quality(detector, data)
    others = [i for i in range(len(data)) if i not in spoiled]
    np.testing.assert_allclose(after[others], before[others], atol=1e-9)
    assert (after[spoiled] < before[spoiled]).all()
    assert set(np.argsort(after)[:2]) == set(spoiled)


def test_issues_are_the_pictures_that_were_spoiled(detector, train_data):
    """Labels as the detector sees them; in one picture each class is turned into the next."""
    labels, predictions = [], []
    for path, _ in train_data:
        found = detector.predict([path], threshold=0.8)[0]
        boxes, classes = found.boxes.numpy(), found.labels.numpy()
        labels.append({"bboxes": boxes, "labels": classes})
        rows = np.concatenate([boxes, found.scores.numpy()[:, None]], 1)
        predictions.append([rows[classes == k] for k in range(len(detector.names))])
    assert not find_label_issues(labels, predictions).any()
    labels[3] = {"bboxes": labels[3]["bboxes"], "labels": (labels[3]["labels"] + 1) % 3}
    assert np.flatnonzero(find_label_issues(labels, predictions)).tolist() == [3]
