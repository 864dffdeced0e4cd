"""CVAT's SDK runs masu as an auto-annotation function; its server is played, its checks are real."""

import logging
from types import SimpleNamespace

import cvat_sdk.auto_annotation as cvataa
import pytest
from cvat_sdk import models
from cvat_sdk.auto_annotation import driver
from PIL import Image

from examples.clients.with_cvat import CvatFunction
from tests.clients.answers import assert_same

IDS = {"four": 70, "one": 71, "zero": 72}


class Uploads:
    def update_annotations(self, task, labeled_data_request):
        self.task, self.request = task, labeled_data_request


def annotated(monkeypatch, function, pictures, names, **options):
    """What ``annotate_task`` uploads for a task of these pictures and labels."""
    labels = [
        models.Label(id=IDS[name], name=name, type="rectangle", attributes=[], sublabels=[]) for name in names
    ]
    samples = [
        SimpleNamespace(
            frame_name=f"{i}.png",
            frame_index=i,
            media=SimpleNamespace(load_image=lambda picture=picture: Image.fromarray(picture)),
        )
        for i, picture in enumerate(pictures)
    ]
    task = SimpleNamespace(labels=labels, samples=samples)
    monkeypatch.setattr(driver, "TaskDataset", lambda client, task_id, load_annotations: task)
    uploads = Uploads()
    client = SimpleNamespace(logger=logging.getLogger("cvat"), tasks=SimpleNamespace(api=uploads))
    cvataa.annotate_task(client, 5, function, clear_existing=True, **options)
    assert uploads.task == 5
    return uploads.request.shapes


@pytest.mark.parametrize("threshold", [None, 0.9, 0.0])
def test_rectangles_of_every_frame_are_those_of_predict(monkeypatch, detector, pictures, threshold):
    shapes = annotated(
        monkeypatch, CvatFunction(detector), pictures[:4], tuple(IDS), conf_threshold=threshold
    )
    own = detector.predict(pictures[:4], 0.5 if threshold is None else threshold)
    names = {number: name for name, number in IDS.items()}
    for frame, found in enumerate(own):
        mine = [shape for shape in shapes if shape.frame == frame]
        assert_same(found, [shape.points for shape in mine], found.scores, [names[s.label_id] for s in mine])
    assert {shape.type.value for shape in shapes} == {"rectangle"}
    assert {shape.source for shape in shapes} == {"auto"}


def test_labels_that_the_task_lacks(monkeypatch, detector, pictures):
    function = CvatFunction(detector)
    with pytest.raises(cvataa.BadFunctionError, match="label 'zero' is not in dataset"):
        annotated(monkeypatch, function, pictures[:4], ("one", "four"))
    shapes = annotated(monkeypatch, function, pictures[:4], ("one", "four"), allow_unmatched_labels=True)
    assert {shape.label_id for shape in shapes} == {IDS["one"], IDS["four"]}
