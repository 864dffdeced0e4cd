import pytest
import torch
from scipy.stats import t as student

from masu.explanation.faithfulness import (
    CHANCES,
    ONE_IN_TWENTY,
    STEPS,
    TOGETHER,
    Faithfulness,
    crop,
    details,
    faithfulness,
    margin,
    margins,
    middle,
    scene,
    window_around,
)
from masu.ops.images import InputPolicy
from masu.records import Detections

BOX = torch.tensor([10.0, 10, 30, 30])
"""In an image of 40×40 pixels, so that its window is the image."""


def marked():
    """160 of 1600 pixels: a tenth, in rows 14 to 23."""
    values = torch.zeros(40, 40)
    values[14:24, 12:28] = 1
    return values


class Counts:
    """Finds one thing, with the mean red of the marked pixels as its score."""

    names = ("dust", "thing")
    kind = "detector"
    input = InputPolicy(40, 40)

    def __init__(self, boxes=((10, 10, 30, 30),), labels=(1,)):
        self.boxes, self.labels = boxes, labels

    def predict(self, images, threshold=None, batch_size=1):
        found = []
        for image in images:
            score = float(image[0][marked() > 0].mean())
            names = tuple(self.names[k] for k in self.labels)
            found.append(Detections(self.boxes, [score] * len(self.boxes), self.labels, names))
        return found


def picture():
    return torch.stack([marked(), torch.zeros(40, 40), torch.zeros(40, 40)])


def place(detector=None):
    return scene(detector or Counts(), picture(), BOX, 1)


@pytest.mark.parametrize(
    ("box", "size", "window"),
    [
        ((10, 10, 30, 20), (100, 100), (0, 0, 40, 30)),
        ((40, 50, 50, 54), (100, 100), (35, 45, 55, 59)),
        ((40.4, 50.6, 50.4, 54.6), (100, 100), (35, 45, 56, 60)),
        ((-20, 90, 4, 120), (100, 100), (0, 75, 19, 100)),
        ((98, 98, 98.5, 98.5), (100, 100), (97, 97, 99, 99)),
    ],
)
def test_the_window_by_hand(box, size, window):
    assert window_around(torch.tensor(box), size) == window


def test_what_is_wiped_out_has_the_mean_colour_of_the_edge():
    image = torch.zeros(1, 30, 30)
    image[0, 10:14, 10] = 1  # left edge of the window, which has 4 + 4 + 4 + 4 pixels counted by sides
    blank = scene(Counts(), image, torch.tensor([11.0, 11, 13, 13]), 1).blank
    assert crop(blank, (10, 10, 14, 14)).unique().tolist() == [6 / 16]  # the left side and one of both others
    assert blank.sum() == pytest.approx(6)


def test_deletion_and_insertion_by_hand():
    assert faithfulness(place(), marked()) == Faithfulness(pytest.approx(0.05), pytest.approx(0.95))
    assert faithfulness(place(), 1 - marked()) == Faithfulness(pytest.approx(0.95), pytest.approx(0.05))
    # equal values go row by row: after 4, 5 and 6 tenths 2, 6 and 10 of the marked rows are gone
    flat = faithfulness(place(), torch.zeros(40, 40))
    assert flat == Faithfulness(pytest.approx(0.47), pytest.approx(0.53))
    assert flat.gain == pytest.approx(0.06)


def test_only_the_order_of_a_map_counts():
    values = torch.rand((40, 40), generator=torch.Generator().manual_seed(1))
    assert faithfulness(place(), values) == faithfulness(place(), 3 * values**2)


def test_the_score_is_the_best_iou_times_score_of_the_class():
    halves = ((10, 10, 30, 20), (10, 10, 30, 30), (10, 10, 30, 35), (10, 10, 30, 19))  # IoU 0.5, 1, 0.8, 0.45
    assert place(Counts(halves, (1, 0, 1, 1))).score([picture(), picture() / 2]) == pytest.approx([0.8, 0.4])
    assert place(Counts(halves[:1], (1,))).score([picture()]) == pytest.approx([0.5])
    assert place(Counts(halves[3:], (1,))).score([picture()]) == [0.0]
    assert place(Counts(halves[:1], (0,))).score([picture()]) == [0.0]
    assert place(Counts((), ())).score([picture()]) == [0.0]


def test_the_spot_in_the_middle():
    spot = middle(place())
    assert spot.shape == (40, 40)
    assert spot[19:21, 19:21].min() == spot.max()
    assert torch.equal(spot, spot.flip(0))
    assert torch.equal(spot, spot.T)
    assert spot[20, 25] == pytest.approx(
        torch.exp(torch.tensor(-0.5 * (1.1**2 + 0.1**2))).item()
    )  # sigma 5 px


def test_the_gains_of_an_order_and_its_reverse_cancel():
    values = torch.randperm(1600, generator=torch.Generator().manual_seed(0)).reshape(40, 40).float()
    forth, back = faithfulness(place(), values), faithfulness(place(), -values)
    assert forth.gain == pytest.approx(-back.gain)
    assert forth.deletion == pytest.approx(back.insertion)


def test_the_margin_by_hand():
    # details within the marked tenth change nothing: all of it is shown, or gone, with the first part
    assert margin(place(), marked(), 0.9) == pytest.approx(0, abs=1e-6)
    assert margin(place(), marked(), 0.8) == pytest.approx(0.1 * ONE_IN_TWENTY)
    assert margin(place(), marked(), 1.0) == pytest.approx(0.1 * ONE_IN_TWENTY)
    assert student.ppf(0.95, CHANCES) == pytest.approx(ONE_IN_TWENTY, abs=5e-4)


def test_random_orders_are_above_their_margin_once_in_twenty_times():
    generator, at, groups = torch.Generator().manual_seed(7), place(), 50
    gains = [faithfulness(at, details(marked(), generator)).gain for _ in range(groups * (CHANCES + 1))]
    squares = torch.tensor(gains).reshape(groups, CHANCES + 1) ** 2
    others = (squares.sum(dim=1, keepdim=True) - squares) / CHANCES
    either_side = (squares > ONE_IN_TWENTY**2 * others).float().mean()  # the reverse has the opposite gain
    assert either_side / 2 == pytest.approx(0.05, abs=0.025)
    # five of them tell the spread: chi-squared of 5 lies between 0.41 and 16.7 in 99 % of cases
    known = squares.mean().sqrt()
    least = margins(at, faithfulness(at, middle(at))).random
    assert 0.29 < least / ONE_IN_TWENTY / known < 1.83


def test_a_margin_takes_so_many_predictions_and_few_images_at_a_time():
    class Counted(Counts):
        asked = ()

        def predict(self, images, threshold=None, batch_size=1):
            self.asked += (len(images),)
            return super().predict(images, threshold, batch_size)

    detector = Counted()
    at = place(detector)
    assert at.ends == pytest.approx((1, 0))
    detector.asked = ()
    margin(at, marked(), 0.9)
    assert sum(detector.asked) == CHANCES * 2 * (STEPS - 1)
    assert max(detector.asked) == TOGETHER


def test_images_are_made_when_they_are_asked_for():
    made = []

    def images():
        for _ in range(2 * TOGETHER):
            made.append(0)
            yield picture()

    class Late(Counts):
        def predict(self, images, threshold=None, batch_size=1):
            asked.append(len(made))
            return super().predict(images, threshold, batch_size)

    asked = []
    assert place(Late()).score(images()) == pytest.approx([1.0] * 2 * TOGETHER)
    assert asked == [TOGETHER, 2 * TOGETHER]
