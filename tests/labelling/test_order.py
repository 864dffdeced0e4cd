"""Which photographs come, and of what the figure on the page is."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from masu.data.formats import label_files
from masu.labelling.desk import Desk
from masu.labelling.held_back import HELD, HeldBack, draw
from masu.labelling.photographs import Photographs
from tests.labelling.test_sitting import found

COUNT = 40
ANSWERED = 21


@pytest.fixture
def desk_of(tmp_path):
    """A desk on forty photographs, each with detections of which a model is the less sure the harder it is."""

    def make(name, hardness):
        folder, out = tmp_path / name, tmp_path / f"{name}-out"
        folder.mkdir()
        out.mkdir()
        for number in range(COUNT):
            Image.new("L", (8, 8)).save(folder / f"{number}.png")
        form, files = label_files(folder)
        desk = Desk(Photographs.below(folder), files, form, out, 0.0, print)
        rng = np.random.default_rng(0)
        for number, hard in enumerate(hardness):
            seen = found(((1, 1, 5, 5), "cat", 0.99 - 0.49 * hard))
            scene = rng.integers(0, 255, (32, 32), np.uint8)
            desk.teaching.found[f"{number}.png"] = replace(seen, small=scene)
        return desk

    return make


def labelled_in(desk, order):
    """The photographs that come, each answered before the next is asked for."""
    at, names = None, []
    for _ in range(ANSWERED):
        at = desk.next(at, order)["id"]
        names.append(at)
        desk.sitting.answer(at, "", [])
    return names


def held_among(desk, names):
    held_back = HeldBack(desk.out / "held-back.json")
    parts = held_back.decide(names, [], draw(desk.sitting.known))
    return [name for name, part in zip(names, parts, strict=True) if part == HELD]


def test_what_is_held_back_does_not_depend_on_what_the_model_thinks(desk_of):
    """Neither with the hardest first nor with the easiest, nor at random; the others are what was asked for."""
    hardness = np.random.default_rng(1).permutation(COUNT) / (COUNT - 1)
    answered, held = {}, {}
    for name, order, hard in (
        ("hardest", "best", hardness),
        ("easiest", "best", 1 - hardness),
        ("any", "random", hardness),
    ):
        desk = desk_of(name, hard)
        answered[name] = labelled_in(desk, order)
        held[name] = held_among(desk, answered[name])
    assert held["hardest"] == held["easiest"] == held["any"]
    assert len(held["any"]) == 4
    of = {
        name: np.mean([hardness[int(one.removesuffix(".png"))] for one in names if one not in held[name]])
        for name, names in answered.items()
    }
    assert of["easiest"] < 0.35 < of["any"] < 0.65 < of["hardest"]


def test_every_fifth_from_the_sixth_on_is_held_back(desk_of):
    desk = desk_of("photos", np.zeros(COUNT))
    names = labelled_in(desk, "best")
    held = held_among(desk, names)
    assert [names.index(name) for name in held] == [5, 10, 15, 20]
    assert desk.next("0.png", "name")["id"] == next(
        f"{number}.png" for number in range(1, COUNT) if f"{number}.png" not in names
    )


def test_one_to_hold_back_that_is_skipped_makes_way_for_another(desk_of):
    desk = desk_of("photos", np.zeros(COUNT))
    drawn = draw(desk.sitting.known)
    for _ in range(5):
        name = desk.next(None, "random")["id"]
        assert name not in drawn
        desk.sitting.answer(name, "", [])
    skipped = desk.next(None, "random")
    assert (skipped["id"] in drawn, skipped["why"]) == (True, "at random, as one of five")
    other = desk.next(skipped["id"], "random")["id"]
    assert other not in drawn
    desk.sitting.answer(other, "", [])
    instead = desk.next(other, "random")["id"]
    assert instead in drawn - {skipped["id"]}
