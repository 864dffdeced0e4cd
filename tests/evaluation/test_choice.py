"""Some classes only, another suppression, fewer boxes: chosen after a model was loaded."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import masu
from masu.detectors.prediction import PredictionNetwork
from masu.detectors.zoo import ARCHITECTURES
from masu.errors import InputError
from masu.evaluation.choice import OnlyClasses, classes_of, in_precision, only_classes, set_suppression
from masu.evaluation.evaluate import evaluate
from masu.ops import iou
from tests.networks import small_detector

NAMES = ("cat", "dog", "red, big")


@pytest.fixture(scope="module")
def detector():
    return small_detector(NAMES, scores=3)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_takes_another_suppression_and_keeps_all_else(name):
    config = ARCHITECTURES[name]()
    with torch.device("meta"):
        before = masu.build(config, NAMES, weights="none").stages
        last = before[-1]
        config = config.with_setting(last.name, "nms_thresh", 0.25).with_setting(
            last.name, last.limit_name, 7
        )
        after = masu.build(config, NAMES, weights="none").stages
    assert (after[-1].nms_thresh, after[-1].limit) == (0.25, 7)
    assert (before[-1].nms_thresh, before[-1].limit) != (0.25, 7)
    fields = ("name", "score_thresh", "pre_nms_top_n", "min_size")
    for one, other in zip(before, after, strict=True):
        assert [getattr(one, field) for field in fields] == [getattr(other, field) for field in fields]
    assert [one.nms_thresh for one in before[:-1]] == [one.nms_thresh for one in after[:-1]]


def test_what_is_found_keeps_to_it(detector):
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    config = detector.config
    set_suppression(detector)
    assert detector.config is config
    before = detector.predict([image])[0]
    set_suppression(detector, most=3)
    few = detector.predict([image])[0]
    assert len(before) > len(few) == 3
    assert torch.equal(few.boxes, before.boxes[:3])
    set_suppression(detector, iou=0.1, most=1000)
    found = detector.predict([image])[0]
    for label in range(3):
        boxes = found.boxes[found.labels == label]
        assert float((iou(boxes, boxes) - torch.eye(len(boxes))).max()) <= 0.1 + 1e-6
    detector.config = config


def test_classes_are_named_one_by_one_or_with_commas():
    assert classes_of([], NAMES) == ()
    assert classes_of(["dog,cat", "dog"], NAMES) == ("dog", "cat")
    assert classes_of(["red, big", "cat"], NAMES) == ("red, big", "cat")
    with pytest.raises(
        masu.InputError, match=r"^--classes: found 'dgo', wanted one of cat, dog.*mean dog\?$"
    ):
        classes_of(["cat, dgo"], NAMES)
    with pytest.raises(masu.InputError, match=r"^--classes: found ''"):
        classes_of([""], NAMES)


def test_only_some_classes_are_reported(detector):
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    only = OnlyClasses(detector, ["dog"])
    assert (only.names, only.kind, only.input) == (NAMES, "detector", detector.input)
    every, some = detector.predict([image])[0], only.predict([image], threshold=None)[0]
    dogs = every.labels == 1
    assert 0 < int(dogs.sum()) < len(every)
    assert torch.equal(some.boxes, every.boxes[dogs])
    assert set(some.names) == {"dog"}


def test_data_of_some_classes_gives_their_figures(detector, coins):
    data = masu.read_dataset(coins, "val")
    data = replace(
        data, names=("cat", "dog"), category_ids=(1, 2), supercategories=(), labels=data.labels.copy()
    )
    data.labels[::2] = 1
    whole, dogs = evaluate(detector, data), evaluate(detector, only_classes(data, ["dog"]))
    assert whole.per_class["dog"].ap == dogs.per_class["dog"].ap == dogs.ap
    assert list(dogs.per_class) == ["dog"]
    assert (dogs.images, dogs.objects) == (whole.images, int(np.sum(data.labels == 1)))


def test_a_precision_is_a_network_that_computes_in_it(detector):
    assert in_precision(detector, "fp32") is detector
    network = in_precision(detector, "bf16")
    assert isinstance(network, PredictionNetwork)
    assert (network.precision, network.names) == ("bf16", NAMES)


def test_an_exported_file_has_its_numbers_built_in(detector):
    exported = OnlyClasses(detector, NAMES[:1])  # stands for all that is no detector of masu
    assert in_precision(exported, "fp32") is exported
    with pytest.raises(InputError, match=r"^--precision: found bf16 for an exported file"):
        in_precision(exported, "bf16")
