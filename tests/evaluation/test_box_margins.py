"""Margins that keep a promise: what a box needs, the choice by hand, the law, and refusals."""

import numpy as np
import pytest
import torch

from masu.detectors.margins import check_margins, enlarged
from masu.errors import InputError
from masu.evaluation.box_margins import box_margins, needed_margins
from masu.evaluation.matches import match_image
from masu.records import Detections, Target


def found(*outs, score=0.9):
    """An image with a box of 20 × 20 for each number; its object sticks out of the right side by so many pixels."""
    boxes = torch.tensor([[100.0 * i, 0, 100 * i + 20, 20] for i in range(len(outs))]).reshape(-1, 4)
    objects = boxes + torch.tensor([[0.0, 0, out, 0] for out in outs]).reshape(-1, 4)
    label = [0] * len(outs)
    return match_image(Target(objects, label), Detections(boxes, [score] * len(outs), label))


def test_what_a_box_needs():
    # 16 × 25 pixels: its size is 20; the object sticks out by 3 above and 4 on the left
    target = Target([[6.0, 7, 26, 35]], [0])
    match = match_image(target, Detections([[10.0, 10, 26, 35]], [0.8], [0]))
    assert needed_margins(match, 0, 0.5).tolist() == [pytest.approx(4 / 20)]
    assert needed_margins(match, 0, 0.81).tolist() == []
    assert needed_margins(match, 1, 0.5).tolist() == []
    inside = match_image(Target([[11.0, 11, 25, 34]], [0]), Detections([[10.0, 10, 26, 35]], [0.8], [0]))
    assert needed_margins(inside, 0, 0.5).tolist() == [0]


def test_by_hand():
    # nine images: (missed + 1) / 10 ≤ 0.2, so that one of them may stick out: 8 of 20 pixels
    images = [found(out) for out in range(1, 10)]
    assert box_margins(images, ["ant"], 0.8, {}) == {"ant": pytest.approx(8 / 20, abs=1e-5)}
    assert box_margins(images, ["ant"], 0.9, {}) == {"ant": pytest.approx(9 / 20, abs=1e-5)}
    # what lies under the threshold does not count, nor an image without objects
    images += [found(9, score=0.4), found()]
    assert box_margins(images, ["ant"], 0.8, {}) == {"ant": pytest.approx(8 / 20, abs=1e-5)}
    assert box_margins(images, ["ant"], 0.8, {"ant": 0.4})["ant"] > 8.5 / 20


def test_an_image_counts_once_however_many_objects_it_has():
    crowd = found(*[0] * 5, *[9] * 5)
    # 0.85 of nine images: half of one image may stick out
    assert box_margins([crowd, *[found(2)] * 8], ["ant"], 0.85, {}) == {
        "ant": pytest.approx(2 / 20, abs=1e-5)
    }


def test_boxes_that_hold_their_objects_need_no_margin():
    assert box_margins([found(0, -2)] * 9, ["ant", "bee"], 0.9, {}) == {"ant": pytest.approx(0, abs=1e-5)}


def test_enlarged_boxes_stay_in_the_image():
    found_ = Detections([[10.0, 10, 26, 35], [0, 0, 4, 4]], [0.9, 0.8], [0, 1], ["ant", "bee"])
    grown = enlarged(found_, {"ant": 0.6}, height=40, width=50)
    assert grown.boxes.tolist() == [[0, 0, 38, 40], [0, 0, 4, 4]]
    assert (grown.scores.tolist(), grown.names) == (found_.scores.tolist(), found_.names)


@pytest.mark.parametrize(
    ("images", "share", "said"),
    [
        ([found(1)] * 8, 0.9, "8 images in which an object of class 'ant' is found"),
        ([found()] * 20, 0.9, "no object that is found"),
    ],
)
def test_what_cannot_be_promised(images, share, said):
    with pytest.raises(InputError) as caught:
        box_margins(images, ["ant"], share, {})
    assert (caught.value.thing, caught.value.found) == (f"--store-margins {share:g}", said)


@pytest.mark.parametrize(
    "margins", [{"bee": 0.1}, {"ant": -0.1}, {"ant": float("nan")}, {"ant": float("inf")}]
)
def test_what_is_no_margin(margins):
    with pytest.raises(InputError, match=r"^margin of class "):
        check_margins(margins, ["ant"])


@pytest.mark.parametrize("share", [0.8, 0.9])
def test_the_promise_is_kept_on_images_that_were_not_seen(share):
    """On the mean of many drawn sets, however badly placed the boxes of an image are together."""
    draw = np.random.default_rng(0)
    held = []
    for _ in range(60):
        images = [found(*(draw.random(4) * 9 * bad).tolist()) for bad in draw.random(60)]
        margin = box_margins(images[:30], ["ant"], share, {})["ant"]
        held.append(np.mean([(needed_margins(match, 0, 0.5) <= margin).mean() for match in images[30:]]))
    assert share - 0.01 < np.mean(held) < share + 0.06  # kept, and not by boxes of any size
