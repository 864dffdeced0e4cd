"""Differences of two models with intervals: laws, hand-worked figures, gates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from masu.errors import InputError
from masu.evaluation.compare_page import chart_of, write_page
from masu.evaluation.comparison import Change, Run, compare, difference_of
from masu.evaluation.evaluate import Scored
from masu.evaluation.gates import Gate
from masu.evaluation.matches import match_image
from masu.evaluation.metrics import coco_metrics, proposal_metrics
from masu.evaluation.resampling import Figure
from masu.records import Detections, Target
from tests.evaluation.test_resampling import NAMES, scene

AP = Figure("ap")


def scored(targets, found, names=NAMES):
    metrics = coco_metrics(targets, found, names)
    paths = tuple(Path(f"{i}.png") for i in range(len(targets)))
    return Scored(metrics, tuple(names), paths, tuple(targets), tuple(found))


def run(targets, found, **values):
    return Run(Path("m"), scored(targets, found), **values)


def worse(found, share, seed=0):
    """The same with a share of the detections gone."""
    draw = np.random.default_rng(seed)
    return [one[torch.from_numpy(draw.random(len(one)) >= share)] for one in found]


@pytest.fixture(scope="module")
def pair():
    targets, found = scene(1, images=60)
    return run(targets, found), run(targets, worse(found, 0.8))


def test_a_model_beside_itself(pair):
    comparison = compare([pair[0]], [pair[0]])
    for one in comparison.figures.values():
        assert (one.difference, one.low, one.high, one.verdict) == (0, 0, 0, "not told apart")
    assert comparison.changes == ()
    assert "cannot be told apart on 60 images" in comparison.said


def test_both_ways(pair):
    there, back = compare(*([one] for one in pair)), compare(*([one] for one in reversed(pair)))
    assert there.figures["ap"].verdict == "worse"
    assert "B is worse than A" in there.said
    for name, one in there.figures.items():
        other = back.figures[name]
        assert (one.a, one.b) == (other.b, other.a)
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert {n: pair[::-1] for n, pair in there.objects_changed().items()} == back.objects_changed()


def test_figures_are_cocos(pair):
    comparison = compare(*([one] for one in pair))
    for name, one in comparison.figures.items():
        for side, value in zip(pair, (one.a, one.b), strict=True):
            assert value == pytest.approx(getattr(side.scored.metrics, name), abs=1e-9)
    assert comparison.per_class["ant"]["ap50"].b == pytest.approx(
        pair[1].scored.metrics.per_class["ant"].ap50
    )


def test_what_is_hard_for_both_cancels(pair):
    targets, found = scene(1, images=60)
    near = compare([pair[0]], [run(targets, worse(found, 0.02))]).figures["ap"]
    alone = pair[0].scored.with_intervals().metrics.intervals["ap"]
    assert near.high - near.low < 0.5 * (alone.high - alone.low)


def values(*of_runs):
    return [{AP: np.array(of)} for of in of_runs]


def test_noise_of_images_and_of_seeds_by_hand():
    images = 101
    # draws of B − A around 0.10 with variance 0.0004: ± 0.02 by turns
    a, b = values([0.5, 0.5, 0.5]), values([0.6, 0.62, 0.58])
    one = difference_of(AP, a, b, images)
    assert (one.a, one.b, one.difference) == pytest.approx((0.5, 0.6, 0.1))
    reach = 1.98397 * (0.0008 * 102 / 100) ** 0.5  # t of 100; Dirichlet weights vary a mean by (n−1)/(n+1)
    assert one.high - one.difference == pytest.approx(reach, rel=1e-4)
    many = 10**6  # so that images are no noise
    # three runs each, 0.01 apart, and no noise of images: variance 0.0001, standard error √(0.0001 · 2/3)
    a = values([0.49, 0.49, 0.49], [0.50, 0.50, 0.50], [0.51, 0.51, 0.51])
    b = values([0.59, 0.59, 0.59], [0.60, 0.60, 0.60], [0.61, 0.61, 0.61])
    one = difference_of(AP, a, b, many)
    assert one.difference == pytest.approx(0.1)
    assert one.high - one.difference == pytest.approx(2.77645 * (0.0001 * 2 / 3) ** 0.5, rel=1e-4)  # t of 4
    # what the runs differ by in single images is noise of images already: ± 0.006 from draw to draw
    a = values([0.49, 0.496, 0.484], [0.50, 0.494, 0.506], [0.51, 0.51, 0.51])
    b = values([0.59, 0.596, 0.584], [0.60, 0.594, 0.606], [0.61, 0.61, 0.61])
    one = difference_of(AP, a, b, many)
    in_images = 2 * 0.000072 / 2  # two runs of each side vary by 0.000072
    variance = (0.0001 - in_images) * 2 / 3
    assert one.high - one.difference == pytest.approx(2.77645 * variance**0.5, rel=1e-4)
    a = values([0.49, 0.49, 0.49], [0.50, 0.50, 0.50], [0.51, 0.51, 0.51])
    b = values([0.59, 0.59, 0.59])
    # a single run of B has the spread of the runs of A: two degrees of freedom
    one = difference_of(AP, a, b, many)
    assert one.high - one.difference == pytest.approx(4.30265 * (0.0001 * 4 / 3) ** 0.5, rel=1e-4)


def test_a_difference_that_rests_on_few_images_is_none():
    a, b = values([1.0, 1.0, 1.0]), values([0.0, 0.0, 0.0])
    one = difference_of(AP, a, b, 1)
    assert (one.difference, one.low, one.high, one.verdict) == (-1, -1, 1, "not told apart")
    # two or three images that all say the same: as if there were another one that says nothing
    assert [difference_of(AP, a, b, images).verdict for images in (2, 3, 4)] == ["not told apart"] * 2 + [
        "worse"
    ]


def test_seeds_are_counted_where_there_are_several_runs(pair):
    targets, found = scene(1, images=60)
    runs = [run(targets, worse(found, 0.1, seed)) for seed in range(3)]
    others = [run(targets, worse(found, 0.1, seed)) for seed in range(3, 6)]
    assert compare(runs, others).seeds
    assert "trained again" not in compare(runs, others).said
    single = compare(runs[:1], others[:1])
    assert not single.seeds
    assert "trained again is not in the interval" in single.said


def test_objects_won_and_lost():
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    target = Target(boxes=boxes, labels=[0, 0, 1], ignored=[False, False, False])

    def at(*rows):
        return Detections(boxes[list(rows)], torch.full((len(rows),), 0.9), target.labels[list(rows)])

    sides = [run([target] * 2, [at(0, 1), at(0)]), run([target] * 2, [at(1, 2), at(0)])]
    comparison = compare(*([replace(side, thresholds={"ant": 0.5, "bee": 0.5})] for side in sides))
    assert comparison.objects_changed() == {"ant": (0, 1), "bee": (1, 0), "cow": (0, 0)}
    (change,) = comparison.changes
    assert (change.path, change.won.tolist(), change.lost.tolist()) == (
        Path("0.png"),
        [False, False, True],
        [True, False, False],
    )
    assert comparison.as_dict()["changed_images"][0]["won"] == 1


def test_an_ignored_object_is_neither_won_nor_lost():
    box = torch.tensor([[0.0, 0, 10, 10]])
    target = Target(boxes=box, labels=[0], ignored=[True])
    a, b = (
        match_image(target, Detections(torch.zeros(0, 4), [], [])),
        match_image(target, Detections(box, [0.9], [0])),
    )
    assert Change(Path("a"), a, b).weight == 0


def test_images_that_one_of_them_could_not_read_are_left_out(pair):
    some = pair[1].scored.of(pair[1].scored.paths[:40])
    comparison = compare([pair[0]], [replace(pair[1], scored=some)])
    assert comparison.images == 40
    again = compare(*([replace(side, scored=side.scored.of(some.paths))] for side in pair))
    assert comparison.figures == again.figures


def test_too_little_to_compare(pair):
    one = replace(pair[0], scored=pair[0].scored.of(pair[0].scored.paths[:1]))
    with pytest.raises(InputError, match="1 image, wanted at least 2") as caught:
        compare([one], [pair[1]])
    assert caught.value.thing == "data"
    targets = [Target(boxes=torch.zeros(0, 4), labels=[])] * 3
    nothing = run(targets, [Detections(torch.zeros(0, 4), [], [])] * 3)
    with pytest.raises(InputError) as caught:
        compare([nothing], [nothing])
    assert caught.value.code == "no-objects"
    targets, found = scene(1)
    proposals = replace(nothing, scored=replace(nothing.scored, metrics=proposal_metrics(targets, found)))
    with pytest.raises(InputError, match="a proposal generator"):
        compare([nothing], [proposals])


def test_how_many_images_would_show_it(pair):
    targets, found = scene(1, images=60)
    comparison = compare([pair[0]], [run(targets, worse(found, 0.3))])
    ap = comparison.figures["ap"]
    assert ap.verdict == "not told apart"
    reach = (ap.high - ap.low) / 2
    needed = int(comparison.said.split("about ")[1].split(" ")[0])
    assert needed == pytest.approx(60 * (reach / ap.difference) ** 2, abs=10)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("ap>=-1", True),
        ("ap >= 0", False),
        ("ap50[ant]<0", True),
        ("ap.low>-0.9", True),
        ("ap.high>0", False),
        ("ap_large<=.5", True),
        ("ap>=-9e-1", True),
        ("ap<0.", True),
    ],
)
def test_gates(pair, text, holds):
    assert Gate.read(text).holds(compare(*([one] for one in pair))) is holds


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ap", "'ap'"),
        ("ap>=x", "'ap>=x'"),
        ("ap=0", "'ap=0'"),
        ("", "''"),
        ("map>=0", "'map'"),
        ("ap75[ant]>0", "'ap75'"),
    ],
)
def test_a_gate_that_is_none(text, found):
    with pytest.raises(InputError) as caught:
        Gate.read(text)
    assert (caught.value.thing, caught.value.found) == ("--gate", found)


def test_a_gate_on_a_class_without_objects(pair):
    comparison = compare(*([one] for one in pair))
    with pytest.raises(InputError, match="no objects for it in the data"):
        Gate.read("ap[dodo]>=0").holds(comparison)


def test_the_chart_has_zero_in_its_middle(pair):
    bars, ticks = chart_of(compare(*([one] for one in pair)).figures)
    assert [words for _, words in ticks][2] == "0"
    middle = ticks[2][0]
    for bar in bars:
        assert bar.at.low <= bar.at.middle <= bar.at.high
        assert (bar.at.middle < middle) == (bar.one.difference < 0)
        assert ticks[0][0] <= bar.at.low
        assert bar.at.high <= ticks[-1][0]


def test_a_page_of_images_that_are_gone(pair, tmp_path):
    targets, found = scene(1, images=60)
    names = ["ant", "<b>bee</b>", "cow"]
    sides = [Run(Path("m"), scored(targets, f, names)) for f in (found, worse(found, 0.5))]
    write_page(compare(*([side] for side in sides)), tmp_path / "page.html", "ants & bees")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "the file can no longer be read" in text
    assert "<b>bee</b>" not in text
    assert "ants &amp; bees" in text
