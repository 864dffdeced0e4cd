"""CVAT's SDK runs masu as an auto-annotation function; its server is played, its checks are real."""

import logging
from types import SimpleNamespace

import cvat_sdk.auto_annotation as cvataa
import pytest
from cvat_sdk import models
from cvat_sdk.auto_annotation import driver
from PIL import Image

from examples.clients.with_cvat import draft_task
from masu.cvat import create
from tests.clients.answers import assert_same

IDS = {"four": 70, "one": 71, "zero": 72}


class Uploads:
    def update_annotations(self, task, labeled_data_request):
        self.task, self.request = task, labeled_data_request


def annotated(monkeypatch, annotate, pictures, names):
    """What ``annotate(client, 5)`` uploads for a task of these pictures and labels."""
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
    annotate(client, 5)
    assert uploads.task == 5
    return uploads.request.shapes


@pytest.mark.parametrize("threshold", [None, 0.9, 0.0])
def test_rectangles_of_every_frame_are_those_of_predict(monkeypatch, detector, pictures, threshold):
    def annotate(client, task):
        draft_task(client, task, detector, clear_existing=True, conf_threshold=threshold)

    shapes = annotated(monkeypatch, annotate, pictures[:4], tuple(IDS))
    own = detector.predict(pictures[:4], 0.5 if threshold is None else threshold)
    names = {number: name for name, number in IDS.items()}
    for frame, found in enumerate(own):
        mine = [shape for shape in shapes if shape.frame == frame]
        classes = [names[shape.label_id] for shape in mine]
        assert_same(found, [shape.points for shape in mine], found.scores, classes, pixels=0.0051)
        assert [shape.score for shape in mine] == pytest.approx(found.scores.tolist(), abs=0.00005)
    assert {shape.type.value for shape in shapes} == {"rectangle"}
    assert {shape.source for shape in shapes} == {"auto"}


def test_labels_that_the_task_lacks(monkeypatch, detector, pictures):
    with pytest.raises(cvataa.BadFunctionError, match="label 'zero' is not in dataset"):
        annotated(
            monkeypatch,
            lambda client, task: draft_task(client, task, detector),
            pictures[:4],
            ("one", "four"),
        )
    shapes = annotated(
        monkeypatch,
        lambda client, task: draft_task(
            client, task, detector, clear_existing=True, allow_unmatched_labels=True
        ),
        pictures[:4],
        ("one", "four"),
    )
    assert {shape.label_id for shape in shapes} == {IDS["one"], IDS["four"]}


def test_the_module_makes_the_function_of_a_file(model_file, pictures, detector):
    """As ``cvat-cli`` does with ``--function-module masu.cvat -p model=str:PATH -p threshold=float:0.8``."""
    context = SimpleNamespace(frame_name="a.png", conf_threshold=None, conv_mask_to_poly=False)
    function = create(str(model_file), threshold=0.8, device="cpu")
    assert [(label.name, label.type) for label in function.spec.labels] == [
        (name, "rectangle") for name in detector.names
    ]
    found = detector.predict(pictures[0], threshold=0.8)
    assert len(function.detect(context, Image.fromarray(pictures[0]))) == len(found)
