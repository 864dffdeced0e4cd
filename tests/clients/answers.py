"""Whether a program's answer is the detector's own."""

import numpy as np


def assert_same(found, boxes, scores, classes, *, pixels=1e-3):
    """One picture's detections, in any order.

    Args:
        found: the detector's own answer.
        boxes: ``(k, 4)`` xyxy.
        scores: ``(k,)``.
        classes: ``k`` names or ids ``0..K-1``.
        pixels: by how much a coordinate may differ.
    """
    classes = list(classes)
    assert len(found) == len(boxes) == len(scores) == len(classes)
    assert len(found) > 0
    own = list(found.names) if isinstance(classes[0], str) else found.labels.tolist()
    order, other = np.argsort(-found.scores.numpy()), np.argsort(-np.asarray(scores, float))
    np.testing.assert_allclose(np.asarray(boxes, float)[other], found.boxes.numpy()[order], atol=pixels)
    np.testing.assert_allclose(np.asarray(scores, float)[other], found.scores.numpy()[order], atol=1e-5)
    assert [classes[i] for i in other] == [own[i] for i in order]
