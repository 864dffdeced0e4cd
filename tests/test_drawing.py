import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from masu.drawing import class_colour, draw
from masu.records import Detections, Target

GREY = 127


def plain(width=200, height=150):
    return Image.new("RGB", (width, height), (GREY, GREY, GREY))


def found(boxes, names=None, labels=None):
    labels = [0] * len(boxes) if labels is None else labels
    return Detections(boxes, [0.5] * len(boxes), labels, ["thing"] * len(boxes) if names is None else names)


def changed(picture):
    return (np.asarray(picture) != GREY).any(axis=2)


def count(picture, colour):
    return int((np.asarray(picture) == colour).all(axis=2).sum())


def test_box_is_drawn_in_the_colour_of_its_class_and_the_input_stays():
    image = plain()
    picture = draw(image, found([[50, 60, 150, 120]], labels=[3]))
    pixels = np.asarray(picture)
    assert (pixels[120, 50:151] == class_colour(3)).all()
    assert (pixels[60:121, 150] == class_colour(3)).all()
    assert (pixels[70:110, 60:140] == GREY).all()
    assert not changed(image).any()
    assert (picture.size, picture.mode) == (image.size, "RGB")


def test_nothing_found_draws_nothing():
    assert not changed(draw(plain(), found([]), Target([], []))).any()


@pytest.mark.parametrize("size", [(1, 1), (12, 300), (64, 64), (640, 480), (1500, 1000)])
def test_labels_stay_inside_at_any_size(size, monkeypatch):
    grounds = []
    rectangle = ImageDraw.ImageDraw.rectangle

    def spy(self, xy, fill=None, outline=None, width=1):
        if fill is not None:
            grounds.append(tuple(xy))
        rectangle(self, xy, fill, outline, width)

    monkeypatch.setattr(ImageDraw.ImageDraw, "rectangle", spy)
    w, h = size
    boxes = [
        [0, 0, w, h],
        [w - 3, h - 3, w, h],
        [-50, -50, 2, 2],
        [w + 10, 0, w + 20, 5],
        [w / 2, h / 2, w, h],
    ]
    names = ["a very long name of a class that fits nowhere"] * 4 + ["x"]
    picture = draw(plain(w, h), found(boxes, names, [0, 1, 2, 3, 4]))
    assert picture.size == size
    assert len(grounds) == 5
    for x1, y1, x2, y2 in grounds:
        assert x1 >= 0
        assert y1 >= 0
        if w >= 64:
            assert (x2 < w, y2 < h) == (True, True)


def test_labels_of_overlapping_boxes_do_not_cover_each_other():
    boxes = [[40, 60, 160, 130], [42, 62, 160, 130]]
    picture = draw(plain(), found(boxes, labels=[0, 1]))
    first, second = (
        count(draw(plain(), found([box], labels=[k])), class_colour(k)) for k, box in enumerate(boxes)
    )
    assert count(picture, class_colour(1)) > 0.6 * second
    assert count(picture, class_colour(0)) > 0.6 * first


def test_lines_and_letters_grow_with_the_image():
    def drawn(scale):
        picture = draw(
            plain(400 * scale, 300 * scale), found([[80 * scale, 90 * scale, 300 * scale, 250 * scale]])
        )
        return changed(picture).mean()

    assert drawn(4) == pytest.approx(drawn(1), rel=0.35)


def test_letters_contrast_with_their_ground():
    for label, letters in ((4, (0, 0, 0)), (6, (255, 255, 255))):
        picture = draw(plain(800, 600), found([[50, 60, 150, 120]], labels=[label]))
        assert count(picture.crop((50, 30, 150, 58)), letters) > 30


def test_objects_are_dashed_white_and_ignored_ones_grey():
    box = [[50, 60, 150, 120]]
    picture = draw(plain(), found([]), Target(box, [0]))
    edge = np.asarray(picture)[60, 50:151]
    white, ground = (edge == 255).all(axis=1), (edge == GREY).all(axis=1)
    assert white.sum() > 30
    assert ground.sum() > 10
    assert np.diff(white.astype(int)).clip(min=0).sum() > 5
    assert count(picture, (0, 0, 0)) > 100
    assert count(draw(plain(), found([]), Target(box, [0], [True])), (255, 255, 255)) == 0


def test_a_detection_shows_through_the_dashes_of_its_object():
    box = [[50, 60, 150, 120]]
    both = draw(plain(), found(box), Target(box, [0]))
    assert (np.asarray(both)[120, 50:151] == class_colour(0)).all(axis=1).sum() > 10
    assert (np.asarray(both)[120, 50:151] == 255).all(axis=1).sum() > 10


def test_colours_of_21_classes_differ_and_repeat_after():
    colours = [class_colour(k) for k in range(21)]
    assert len(set(colours)) == 21
    assert class_colour(21) == class_colour(0)
    assert (0, 0, 0) not in colours


def test_arrays_and_tensors_are_drawn_like_pictures():
    detections = found([[50, 60, 150, 120]])
    wanted = np.asarray(draw(plain(), detections))
    array = np.asarray(plain())
    tensor = torch.tensor(array).permute(2, 0, 1)
    assert (np.asarray(draw(array, detections)) == wanted).all()
    assert (np.asarray(draw(tensor, detections)) == wanted).all()
    assert (np.asarray(draw(tensor / 255, detections)) == wanted).all()


@pytest.mark.parametrize("name", ["", "   ", "two\nlines", "汉字"])
def test_any_name_can_be_drawn(name):
    assert changed(draw(plain(), found([[50, 60, 150, 120]], [name]))).any()
