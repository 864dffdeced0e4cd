"""Settings of stages: their names, a step milder or stricter, and configurations that take another value."""

import pytest
import torch

import masu
from masu.detectors.stage_settings import settings_of
from masu.detectors.zoo import ARCHITECTURES
from masu.errors import InputError


def built(config):
    with torch.device("meta"):
        return masu.build(config, ["cat", "dog"], weights="none")


def steps(name):
    return {
        f"{one.stage}.{one.name}": (one.value, one.milder, one.stricter)
        for one in settings_of(built(ARCHITECTURES[name]()).stages)
    }


def test_steps_by_hand():
    assert steps("faster_rcnn_resnet50_fpn") == {
        "proposals.score_thresh": (0.0, 0.0, 0.0),
        "proposals.pre_nms_top_n": (1000, 2000, 500),
        "proposals.min_size": (1e-3, 0.0, 1e-3),
        "proposals.nms_thresh": (0.7, 0.8, 0.6),
        "proposals.post_nms_top_n": (1000, 2000, 500),
        "detections.score_thresh": (0.05, 0.01, 0.05),
        "detections.min_size": (1e-2, 0.0, 1e-2),
        "detections.nms_thresh": (0.5, 0.6, 0.4),
        "detections.detections_per_img": (100, 200, 50),
        "detections.vote_sigma": (0.0, 0.0, 0.025),
    }
    assert steps("fcos_resnet50_fpn") == {
        "detections.score_thresh": (0.2, 0.04, 0.2),
        "detections.pre_nms_top_n": (1000, 2000, 500),
        "detections.min_size": (1e-2, 0.0, 1e-2),
        "detections.nms_thresh": (0.6, 0.7, 0.5),
        "detections.detections_per_img": (100, 200, 50),
    }


@pytest.mark.parametrize(
    ("value", "milder", "stricter"), [(0.9, 0.95, 0.8), (0.95, 0.95, 0.85), (0.1, 0.2, 0.05)]
)
def test_a_suppression_ends_before_none_and_all(value, milder, stricter):
    config = ARCHITECTURES["fcos_lite0_fpn"]().with_setting("detections", "nms_thresh", value)
    (one,) = (one for one in settings_of(built(config).stages) if one.attribute == "nms_thresh")
    assert (one.milder, one.stricter) == (milder, stricter)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "lite0" in name or "rpn" in name])
def test_every_setting_of_every_detector_can_be_another(name):
    config = ARCHITECTURES[name]()
    before = list(settings_of(built(config).stages))
    for number, one in enumerate(before):
        value = 7 if isinstance(one.value, int) else 0.25
        after = list(settings_of(built(config.with_setting(one.stage, one.name, value)).stages))
        assert after[number].value == value
        assert after[:number] + after[number + 1 :] == before[:number] + before[number + 1 :]


def test_a_value_out_of_range_is_refused():
    with pytest.raises(InputError) as caught:
        ARCHITECTURES["faster_rcnn_lite0_fpn"]().with_setting("proposals", "nms_thresh", 1.5)
    assert caught.value.thing == "nms_thresh"
