"""supervision draws, counts and tiles what masu found."""

import numpy as np
import supervision as sv

from examples.clients.with_supervision import as_supervision, drawn, in_tiles
from tests.clients.answers import assert_same


def test_detections_are_those_of_predict(detector, pictures):
    found = detector.predict(pictures[:1], threshold=0.5)[0]
    theirs = as_supervision(found)
    assert_same(found, theirs.xyxy, theirs.confidence, theirs.data["class_name"], pixels=0)
    assert theirs.class_id.tolist() == found.labels.tolist()
    assert len(theirs[theirs.class_id == 1]) == found.names.count("one")


def test_a_picture_without_objects(detector):
    found = detector.predict([np.full((240, 320, 3), 127, np.uint8)], threshold=0.9)[0]
    assert len(found) == 0
    merged = sv.Detections.merge([as_supervision(found), as_supervision(found)])
    assert len(merged) == 0
    grey = np.full((240, 320, 3), 127, np.uint8)
    assert np.array_equal(drawn(grey, found), grey)


def test_annotators_draw_where_the_boxes_are(detector, pictures):
    found = detector.predict(pictures[:1], threshold=0.5)[0]
    before = pictures[0].copy()
    after = drawn(pictures[0], found)
    assert np.array_equal(pictures[0], before)
    changed = (after != before).any(2)
    for x1, y1, _, y2 in found.boxes.round().int().tolist():
        edge = changed[max(y1, 0) : y2, max(x1, 0)]
        assert edge.mean() > 0.9, "the left edge of a box is drawn"
    assert changed.mean() < 0.5


def test_a_zone_counts_the_boxes_that_stand_in_it(detector, pictures):
    found = detector.predict(pictures[:1], threshold=0.5)[0]
    width = pictures[0].shape[1]
    middle = width // 2
    left = np.array([[0, 0], [middle, 0], [middle, 400], [0, 400]])
    zone = sv.PolygonZone(left, triggering_anchors=[sv.Position.CENTER])
    inside = zone.trigger(as_supervision(found))
    centres = (found.boxes[:, 0] + found.boxes[:, 2]) / 2
    assert inside.tolist() == (centres < middle).tolist()
    assert 0 < inside.sum() < len(found)


def test_tiles_find_what_small_pictures_show(detector, pictures):
    """Four pictures side by side: tiles as large as one find the objects of each, at their places."""
    tile = [np.asarray(picture)[:224, :296] for picture in pictures[:4]]
    whole = np.concatenate([np.concatenate(tile[:2], 1), np.concatenate(tile[2:], 1)], 0)
    theirs = in_tiles(detector, whole, side=(296, 224), overlap=0)
    every, names = [], []
    for i, found in enumerate(detector.predict(tile, threshold=0.5)):
        left, top = 296 * (i % 2), 224 * (i // 2)
        every += (found.boxes.numpy() + np.array([left, top, left, top])).tolist()
        names += found.names
    assert len(theirs) == len(every) > 4
    order, own = np.lexsort(theirs.xyxy.T), np.lexsort(np.array(every).T)
    np.testing.assert_allclose(theirs.xyxy[order], np.array(every)[own], atol=1e-3)
    assert [theirs.data["class_name"][i] for i in order] == [names[i] for i in own]
