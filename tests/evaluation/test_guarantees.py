"""Thresholds with a promised recall: by hand, by the law that they are made for, and where they cannot be."""

import numpy as np
import pytest
import torch

from masu.errors import InputError
from masu.evaluation.guarantees import finders, recall_thresholds, refuse_recall
from masu.evaluation.matches import match_image
from masu.records import Detections, Target

BOX = torch.tensor([[0.0, 0, 10, 10]])


def found_at(*scores, ignored=False):
    """An image with an object for each score; it is found with that score, with 0 not at all."""
    boxes = torch.cat([BOX + 20 * i for i in range(len(scores))])
    seen = torch.tensor([score > 0 for score in scores], dtype=torch.bool)
    target = Target(boxes, [0] * len(scores), ignored=[ignored] * len(scores))
    kept = torch.tensor(scores)[seen]
    return match_image(target, Detections(boxes[seen], kept, [0] * len(kept)))


def nowhere():
    return match_image(Target(torch.zeros(0, 4), []), Detections(BOX, [0.9], [0]))


def test_finders():
    assert finders(found_at(0.9, 0.0, 0.4), 0).tolist() == pytest.approx([0.9, 0, 0.4])
    assert len(finders(found_at(0.9, ignored=True), 0)) == 0
    assert len(finders(found_at(0.9), 1)) == 0


def test_by_hand():
    # nine images with an object each, found from 0.1 to 0.9; one that has none does not count
    matches = [found_at(k / 10) for k in range(1, 10)] + [nowhere()]
    # recall 0.8: (missed + 1) / 10 ≤ 0.2, so that one may be missed: 0.2 has to pass, with room below it
    assert recall_thresholds(matches, ["ant"], 0.8) == {"ant": pytest.approx(0.199)}
    assert recall_thresholds(matches, ["ant"], 0.5) == {"ant": pytest.approx(0.499)}
    assert recall_thresholds(matches, ["ant"], 0.9) == {"ant": pytest.approx(0.099)}


def test_an_image_counts_once_however_many_objects_it_has():
    crowd = [0.1] * 5 + [0.9] * 5
    matches = [found_at(*crowd), *(found_at(0.5) for _ in range(8))]
    # at 0.5 half of one image of nine is missed: (0.5 + 1) / 10 ≤ 0.15
    assert recall_thresholds(matches, ["ant"], 0.85) == {"ant": pytest.approx(0.499)}


def test_the_higher_the_recall_the_lower_the_threshold():
    draw = np.random.default_rng(0)
    matches = [found_at(*draw.random(3).tolist()) for _ in range(60)]
    least = [recall_thresholds(matches, ["ant"], recall)["ant"] for recall in (0.3, 0.5, 0.7, 0.9, 0.97)]
    assert least == sorted(least, reverse=True)


def test_a_class_without_objects_has_no_threshold():
    assert set(recall_thresholds([found_at(0.5)] * 20, ["ant", "bee"], 0.8)) == {"ant"}


@pytest.mark.parametrize(
    ("matches", "recall"),
    [
        ([found_at(0.5)] * 8, 0.9),
        ([found_at(0.0)] * 5 + [found_at(0.5)] * 20, 0.9),
        ([found_at(0.5)] * 50, 1.0),
    ],
)
def test_what_cannot_be_promised(matches, recall):
    with pytest.raises(InputError) as caught:
        recall_thresholds(matches, ["ant"], recall)
    assert caught.value.thing == f"--recall {recall:g}"
    assert "of class 'ant'" in caught.value.found


def test_what_is_refused_for_the_labels_alone():
    refuse_recall(0.9, {"ant": 9, "bee": 100})
    with pytest.raises(InputError) as caught:
        refuse_recall(0.9, {"ant": 100, "bee": 8})
    assert (caught.value.found, caught.value.wanted) == ("8 images with objects of class 'bee'", "at least 9")
    with pytest.raises(InputError, match="no data can promise all"):
        refuse_recall(1.0, {"ant": 10_000})


@pytest.mark.parametrize("recall", [0.8, 0.9])
def test_the_promise_is_kept_on_images_that_were_not_seen(recall):
    """On the mean of many drawn sets, however hard their images are."""
    draw = np.random.default_rng(0)
    shares = []
    for _ in range(60):
        hard = draw.random(60)
        images = [
            found_at(*np.where(draw.random(3) < 0.01, 0, draw.random(3) ** (0.2 + 2 * h)).tolist())
            for h in hard
        ]
        threshold = recall_thresholds(images[:30], ["ant"], recall)["ant"]
        shares.append(np.mean([(finders(match, 0) >= threshold).mean() for match in images[30:]]))
    assert recall - 0.01 < np.mean(shares) < recall + 0.06  # kept, and not by letting everything pass
