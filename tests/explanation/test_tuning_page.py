"""The page of tuning: intervals where they belong, names escaped, and nothing in the way of anybody."""

from dataclasses import replace

import pytest

from masu.evaluation.comparison import Difference
from masu.explanation.tuning import Try, Tuning
from masu.explanation.tuning_page import rows_of, write_page

BETTER = Try("proposals", "post_nms_top_n", 20, 40, Difference(0.41, 0.447, 0.037, 0.021, 0.053), 58.2, True)
WORSE = Try("input", "min_size", 320, 400, Difference(0.447, 0.41, -0.037, -0.08, 0.0), 90.4, False)
TUNING = Tuning(
    detector=None,
    milliseconds=57.1,
    tries=(BETTER, WORSE),
    left_out=("input.min_size 256",),
    level=0.99,
    places={"kept": "its proposals <come> last", "class_nms": "gave way", "found": "is found"},
    lost={"kept": 61, "class_nms": 0, "found": 1068},
    lost_after={"kept": 14, "class_nms": 2, "found": 1113},
    faster=(replace(WORSE, stage="proposals", setting="pre_nms_top_n", before=300, after=75),),
    thresholds={"<b>RBC</b>": 0.4123},
)


@pytest.fixture
def page(tmp_path):
    write_page(TUNING, tmp_path / "tune.html", "ants & bees", 87, "Kept on 87 images.")
    return tmp_path / "tune.html"


def test_intervals_by_hand():
    """The axis reaches 0.08 to both sides of 90, over 84 units."""
    better, worse = rows_of(TUNING.tries)
    assert (better.at.low, better.at.middle, better.at.high) == (112.0, 128.8, 145.7)
    assert (worse.at.low, worse.at.middle, worse.at.high) == (6.0, 51.1, 90.0)
    assert rows_of(()) == []


def test_what_the_page_says(page):
    text = page.read_text("utf-8")
    for words in (
        "One change is kept",
        "0.410 → 0.447",
        "61 → 16",
        "57 → 58 ms",
        "of 1129",
        "99.0 % interval",
    ):
        assert words in text
    assert "its proposals &lt;come&gt; last" in text
    assert "ants &amp; bees" in text
    assert "<b>RBC" not in text
    assert "Not tried, the time did not suffice: input.min_size 256." in text


def test_without_any_try(tmp_path):
    nothing = replace(
        TUNING, tries=(), faster=(), lost={"kept": 0, "found": 3}, lost_after=None, thresholds={}
    )
    write_page(nothing, tmp_path / "tune.html", "bees", 2, "Nothing was tried.")
    text = (tmp_path / "tune.html").read_text("utf-8")
    assert "No setting is changed" in text
    assert "No object is lost." in text
    assert "Thresholds" not in text


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_nothing_is_in_the_way_of_anybody(chromium, page, colours):
    """No finding of axe, nothing wider than a telephone."""
    from axe_playwright_python.sync_playwright import Axe

    shown = chromium.new_page(viewport={"width": 390, "height": 844}, color_scheme=colours)
    shown.goto(page.as_uri())
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert [one["id"] for one in Axe().run(shown).response["violations"]] == []
    shown.close()
