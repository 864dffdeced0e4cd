"""FiftyOne's model layer: what `apply_model` calls for each picture, and the labels that it keeps."""

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image

from examples.clients.with_fiftyone import as_fiftyone
from tests.clients.answers import assert_same


def columns(labels, picture):
    """Labels of FiftyOne, whose boxes are x y width height as shares of the picture."""
    height, width = picture.shape[:2]
    boxes = []
    for one in labels.detections:
        x, y, w, h = one.bounding_box
        boxes.append([x * width, y * height, (x + w) * width, (y + h) * height])
    return boxes, [one.confidence for one in labels.detections], [one.label for one in labels.detections]


@pytest.mark.parametrize("kind", ["array", "pillow"])
def test_predict_is_predict(detector, pictures, kind):
    with as_fiftyone(detector) as model:
        for picture in pictures[:4]:
            given = picture if kind == "array" else Image.fromarray(picture)
            labels = model.predict(given)
            assert isinstance(labels, fo.Detections)
            assert_same(detector.predict([picture], threshold=0.5)[0], *columns(labels, picture))


def test_pictures_of_one_size_in_one_call(detector, pictures):
    cut = [np.ascontiguousarray(picture[:224, :290]) for picture in pictures[:3]]
    with as_fiftyone(detector) as model:
        every = model.predict_all(cut)
    for labels, picture in zip(every, cut, strict=True):
        assert_same(detector.predict([picture], threshold=0.5)[0], *columns(labels, picture))


def test_the_labels_survive_fiftyones_documents(detector, pictures):
    """As JSON, the form in which FiftyOne's database has them."""
    with as_fiftyone(detector) as model:
        labels = model.predict(pictures[0])
    sample = fo.Sample(filepath="/a.png", found=labels)
    again = fo.Sample.from_dict(sample.to_dict())
    found = detector.predict(pictures[:1], threshold=0.5)[0]
    assert_same(found, *columns(again["found"], pictures[0]))


def test_classes_are_names(detector, pictures):
    model = as_fiftyone(detector)
    assert model.classes == ["background", "zero", "one", "four"]
    assert all(isinstance(one.label, str) for one in model.predict(pictures[0]).detections)
