from __future__ import annotations

import pytest

from masu.pages.charts import chart, duration


def test_chart_by_hand() -> None:
    drawn = chart([{"epoch": 1, "loss": 0.0}, {"epoch": 2, "loss": None}, {"epoch": 3, "loss": 2.0}], "loss")
    assert drawn is not None
    assert drawn.points == ((46.0, 178.0, "epoch 1: 0.000"), (424.0, 14.0, "epoch 3: 2.000"))
    assert drawn.line == "46,178 424,14"
    assert [words for _, words in drawn.ticks] == ["0", "0.5", "1", "1.5", "2"]
    assert drawn.epochs == (1, 3)
    assert chart([{"epoch": 1, "loss": 3.0}], "ap50") is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59.6, "1 min 00 s"), (365, "6 min 05 s"), (3725, "1 h 02 min")]
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_axis_of_small_figures_is_not_stretched_to_one() -> None:
    rates = [{"epoch": 1, "learning_rate": 0.0005}, {"epoch": 2, "learning_rate": 0.00025}]
    drawn = chart(rates, "learning_rate", least=0.0)
    assert drawn is not None
    assert [words for _, words in drawn.ticks] == ["0", "1.5e-4", "3e-4", "4.5e-4", "6e-4"]
    assert drawn.points == ((46.0, 41.3, "epoch 1: 0.0005"), (424.0, 109.7, "epoch 2: 0.00025"))
    assert drawn.summary == "from 0.0005 in epoch 1 to 0.00025 in epoch 2"
    flat = chart([{"epoch": 1, "learning_rate": 0.0}], "learning_rate", least=0.0)
    assert flat is not None
    assert flat.points == ((46.0, 178.0, "epoch 1: 0.000"),)


def test_many_points_have_no_dots() -> None:
    rows = [{"epoch": epoch, "loss": 1.0} for epoch in range(1, 62)]
    whole, part = chart(rows, "loss"), chart(rows[:60], "loss")
    assert whole is not None
    assert part is not None
    assert (len(whole.points), len(whole.dots), len(part.dots)) == (61, 0, 60)
