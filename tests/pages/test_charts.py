from __future__ import annotations

import pytest

from masu.pages.charts import Axis, Chart, around_zero, bars, duration, history_chart


def marks(drawn: Chart) -> list[tuple[float, float, str]]:
    return [(dot.x, dot.y, dot.words) for dot in drawn.dots]


def test_chart_by_hand() -> None:
    drawn = history_chart(
        [{"epoch": 1, "loss": 0.0}, {"epoch": 2, "loss": None}, {"epoch": 3, "loss": 2.0}], "loss"
    )
    assert drawn is not None
    assert marks(drawn) == [(46.0, 178.0, "epoch 1: 0.000"), (424.0, 14.0, "epoch 3: 2.000")]
    assert [line.points for line in drawn.lines] == ["46,178 424,14"]
    assert drawn.box == "-12 0 458 220"
    assert [words for _, words in drawn.up] == ["0", "0.5", "1", "1.5", "2"]
    assert drawn.across == ((46.0, "1"), (424.0, "3"))
    assert history_chart([{"epoch": 1, "loss": 3.0}], "ap50") is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59.6, "1 min 00 s"), (365, "6 min 05 s"), (3725, "1 h 02 min")]
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_axis_of_small_figures_is_not_stretched_to_one() -> None:
    rates = [{"epoch": 1, "learning_rate": 0.0005}, {"epoch": 2, "learning_rate": 0.00025}]
    drawn = history_chart(rates, "learning_rate", least=0.0)
    assert drawn is not None
    assert [words for _, words in drawn.up] == ["0", "1.5e-4", "3e-4", "4.5e-4", "6e-4"]
    assert marks(drawn) == [(46.0, 41.3, "epoch 1: 0.0005"), (424.0, 109.7, "epoch 2: 0.00025")]
    assert drawn.summary == "from 0.0005 in epoch 1 to 0.00025 in epoch 2"
    flat = history_chart([{"epoch": 1, "learning_rate": 0.0}], "learning_rate", least=0.0)
    assert flat is not None
    assert marks(flat) == [(46.0, 178.0, "epoch 1: 0.000")]
    assert flat.across == ((46.0, "1"),)


def test_many_points_have_no_dots() -> None:
    rows = [{"epoch": epoch, "loss": 1.0} for epoch in range(1, 62)]
    whole, part = history_chart(rows, "loss"), history_chart(rows[:60], "loss")
    assert whole is not None
    assert part is not None
    assert (len(whole.lines[0].points.split()), len(whole.dots), len(part.dots)) == (61, 0, 60)


def test_equal_ratios_are_equal_lengths_on_a_logarithmic_axis() -> None:
    up = Axis(8, 128, 400.0, 0.0, logarithmic=True)
    assert up.ticks((8, 16, 32, 64, 128)) == (
        (400.0, "8"),
        (300.0, "16"),
        (200.0, "32"),
        (100.0, "64"),
        (0.0, "128"),
    )
    assert Axis(0, 1, 46.0, 424.0).place(0.5) == 235.0


@pytest.mark.parametrize(
    ("ends", "reach"),
    [((0.012, -0.031), 0.04), ((0.08, -0.02), 0.08), ((0.1,), 0.1), ((), 0.01), ((0.0,), 0.01)],
)
def test_zero_is_in_the_middle_and_every_end_is_on_the_axis(ends: tuple[float, ...], reach: float) -> None:
    axis = around_zero(ends, 6.0, 174.0)
    assert (axis.low, axis.high) == (pytest.approx(-reach), pytest.approx(reach))
    assert axis.place(0.0) == 90.0


def test_the_largest_bar_takes_the_room() -> None:
    drawn = bars({"missed": 0.2, "both": 0.05, "duplicate": None})
    assert [(bar.words, bar.length) for bar in drawn] == [("0.200", 350.0), ("0.050", 87.5), ("–", 0.0)]
    assert [bar.length for bar in bars({"missed": 0.0})] == [0.0]
