"""Targets and detections: what they take, what they refuse and in which words."""

import copy

import numpy as np
import pytest
import torch
from torchvision.ops import box_convert

from masu.records import Detections, Target, check_labels

BOX = [10.0, 20, 30, 40]


def message(error, make, *arguments):
    with pytest.raises(error) as caught:
        make(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_target_of_lists():
    target = Target([BOX, [0, 0, 1, 2]], [3, 0], [True, False])
    assert (target.boxes.dtype, target.labels.dtype, target.ignored.dtype) == (
        torch.float32,
        torch.int64,
        torch.bool,
    )
    assert (target.boxes.tolist()[0], target.labels.tolist(), len(target)) == (BOX, [3, 0], 2)
    assert Target([BOX], [0]).ignored.tolist() == [False]


def test_a_target_of_nothing():
    target = Target([], [])
    assert (target.boxes.shape, target.labels.shape, target.ignored.shape) == ((0, 4), (0,), (0,))
    assert (target.areas.shape, target.difficult.shape) == ((0,), (0,))


def test_areas_are_the_boxes_own_unless_they_are_given():
    assert Target([BOX, [0, 0, 1, 2]], [0, 0]).areas.tolist() == [400, 2]
    target = Target([BOX, [0, 0, 1, 2]], [0, 0], areas=[312.5, 0])
    assert (target.areas.dtype, target.areas.tolist()) == (torch.float64, [312.5, 0])
    assert target.with_boxes(target.boxes * 2).areas.tolist() == [1600, 8]
    assert target.taken(torch.tensor([1, 0])).areas.tolist() == [0, 312.5]


def test_difficult_objects_are_ignored_too():
    target = Target([BOX] * 3, [0, 1, 2], [True, False, False], difficult=[False, True, False])
    assert (target.ignored.tolist(), target.difficult.tolist()) == ([True, True, False], [False, True, False])
    assert Target([BOX], [0], [True]).difficult.tolist() == [False]
    assert target.with_boxes(target.boxes + 1).difficult.tolist() == [False, True, False]
    assert target.taken(target.ignored).difficult.tolist() == [False, True]
    assert (target.without_ignored().labels.tolist(), target.without_ignored().difficult.tolist()) == (
        [2],
        [False],
    )


WANTED = "wanted x1 y1 x2 y2 with x1 < x2 and y1 < y2"
HABIT = "; this looks like x y width height: give x, y, x + width, y + height"


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([[100, 50, 20, 30]], f"found 100 50 20 30 in row 0, {WANTED}{HABIT}"),
        ([BOX, [10, 200, 30, 40]], f"found 10 200 30 40 in row 1, {WANTED}{HABIT}"),
        ([BOX, BOX, [5, 5, 5, 9]], f"found 5 5 5 9 in row 2, {WANTED}"),  # no area
        ([[5, 5, 9, 5], [0, 0, 0, 0]], f"found 5 5 9 5 in row 0, {WANTED}"),
        ([[5, 5, -3, 9]], f"found 5 5 -3 9 in row 0, {WANTED}"),  # no width is below 0
        ([[90, 5, 20, 9], [1, 1, 0, 4]], f"found 90 5 20 9 in row 0, {WANTED}"),
        ([[0.5, 0.25, 0.125, 0.3]], f"found 0.5 0.25 0.125 0.3 in row 0, {WANTED}{HABIT}"),
    ],
)
def test_boxes_without_area_are_refused(boxes, said):
    assert message(ValueError, Target, boxes, [0] * len(boxes)) == f"Target.boxes: {said}"


def test_the_advice_for_widths_and_heights_is_right():
    sides = torch.tensor([[100.0, 50, 20, 30], [10, 200, 30, 40]])
    x, y, width, height = sides.T
    boxes = Target(torch.stack([x, y, x + width, y + height], 1), [0, 0]).boxes
    assert torch.equal(boxes, box_convert(sides, "xywh", "xyxy"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([[1, 2, 3]], [0]), "Target.boxes: found shape (1, 3), wanted (m, 4) as x1 y1 x2 y2"),
        (([[0, 0, torch.nan, 1]], [0]), "Target.boxes: found a value that is not finite, wanted pixels"),
        (([BOX], [0, 1]), "Target.labels: found shape (2,), wanted (1,), one per box"),
        (([BOX], [-1]), "Target.labels: found -1, wanted class ids from 0; background has none"),
        (([BOX], [0], []), "Target.ignored: found shape (0,), wanted (1,), one per box"),
        (([BOX], [0], None, [1, 2]), "Target.areas: found shape (2,), wanted (1,), one per box"),
        (([BOX], [0], None, [-1]), "Target.areas: found one below 0 or not finite, wanted square pixels"),
        (
            ([BOX], [0], None, [torch.nan]),
            "Target.areas: found one below 0 or not finite, wanted square pixels",
        ),
        (([BOX], [0], None, None, []), "Target.difficult: found shape (0,), wanted (1,), one per box"),
    ],
)
def test_other_targets_that_are_refused(arguments, said):
    assert message(ValueError, Target, *arguments) == said


def test_a_target_that_moves_is_not_looked_at_again(monkeypatch):
    target = Target([BOX], [2], [True], [5], [True])
    monkeypatch.setattr(Target, "__post_init__", None)
    for moved in (target.to("cpu"), target.to("meta"), copy.deepcopy(target)):
        assert (moved.boxes.shape, moved.labels.dtype, moved.ignored.dtype) == (
            (1, 4),
            torch.int64,
            torch.bool,
        )
        assert (moved.areas.shape, moved.areas.dtype, moved.difficult.dtype) == (
            (1,),
            torch.float64,
            torch.bool,
        )
    assert target.to("cpu").areas.tolist() == [5]
    assert target.to("meta").boxes.device.type == "meta"
    squeezed = Target._trusted(torch.zeros(1, 4), target.labels, target.ignored)
    assert (len(squeezed), squeezed.labels.tolist(), squeezed.ignored.tolist()) == (1, [2], [True])


def of_labels(*labels):
    return Target([BOX] * len(labels), labels)


@pytest.mark.parametrize("targets", [[], [of_labels()], [of_labels(0, 2), of_labels(1)], [of_labels(1, 2)]])
def test_known_labels_pass(targets):
    check_labels(targets, ("a", "b", "c"))


def test_an_unknown_label_is_named_with_its_image():
    found = message(
        ValueError, check_labels, [of_labels(0), of_labels(), of_labels(1, 4), of_labels(5)], "abc"
    )
    assert found == "targets[2].labels: found 4, wanted class ids 0..2, one per name"


def test_labels_that_count_background_are_recognised():
    targets = [of_labels(1), of_labels(), of_labels(2, 3)]
    assert message(ValueError, check_labels, targets, "abc") == (
        "targets[2].labels: found 3, wanted class ids 0..2, one per name; all labels lie in 1..3, as torchvision "
        "counts with 0 for background: subtract 1, since masu counts classes from 0"
    )
    check_labels([Target(t.boxes, t.labels - 1) for t in targets], "abc")
    for other in ([of_labels(0, 3)], [of_labels(1), of_labels(4)]):
        assert message(ValueError, check_labels, other, "abc").endswith("one per name")


def found():
    return Detections([BOX, [0, 0, 5, 5]], [0.9, 0.4], [1, 0], ("b", "a"))


def test_detections_move_with_their_names():
    moved = found().to("meta")
    assert {x.device.type for x in (moved.boxes, moved.scores, moved.labels)} == {"meta"}
    assert (moved.names, len(moved)) == (("b", "a"), 2)


def test_detections_as_others_take_them():
    plain = found().to_dict()
    assert {name: value.tolist() for name, value in plain.items()} == {
        "boxes": [BOX, [0, 0, 5, 5]],
        "scores": pytest.approx([0.9, 0.4]),
        "labels": [1, 0],
    }
    assert all(isinstance(value, torch.Tensor) for value in plain.values())


def test_what_is_no_target_is_named():
    with pytest.raises(
        TypeError, match=r"^targets\[1\]: found dict, wanted masu.Target\(boxes=…, labels=…\), whose labels"
    ):
        check_labels([Target([], []), {"boxes": [], "labels": []}], ["cat"])


def test_names_are_no_labels():
    with pytest.raises(ValueError, match=r"^Target.labels: found \['cat'\], wanted 1 numbers, one per box$"):
        Target([[0, 0, 1, 1]], ["cat"])


def test_labels_are_whole_numbers_and_a_target_is_its_own():
    with pytest.raises(ValueError, match=r"^Target.labels: found \[0\.5\], wanted whole numbers$"):
        Target([[0, 0, 1, 1]], [0.5])
    boxes = np.array([[0, 0, 5, 5]], np.float32)
    target = Target(boxes, [0.0])
    boxes[0, 2] = 0
    assert target.boxes.tolist() == [[0, 0, 5, 5]]
