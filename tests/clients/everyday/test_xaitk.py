"""xaitk-saliency hides parts of a picture from a detector of masu."""

import numpy as np

from examples.clients.with_xaitk import Blackbox, heat
from tests.clients.answers import assert_same


def test_the_blackbox_is_predict(detector, pictures):
    (theirs,) = Blackbox(detector)([pictures[3]])
    boxes = [np.concatenate([box.min_vertex, box.max_vertex]) for box, _ in theirs]
    names = [max(scores, key=scores.get) for _, scores in theirs]
    assert_same(detector.predict(pictures[3:4])[0], boxes, [max(s.values()) for _, s in theirs], names)


def test_hiding_the_object_counts_most(detector, pictures):
    found = detector.predict(pictures[3:4], threshold=0.9)[0]
    assert len(found) > 1
    maps = heat(detector, pictures[3], found)
    assert maps.shape == (len(found), *pictures[3].shape[:2])
    for (x1, y1, x2, y2), own in zip(found.boxes.round().int().tolist(), maps, strict=True):
        inside = own[max(y1, 0) : y2, max(x1, 0) : x2].mean()
        assert inside > own.mean() + 0.5 * own.std()
