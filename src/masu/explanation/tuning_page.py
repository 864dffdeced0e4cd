"""The page of ``masu tune --report``: each try with its interval, what is kept, where objects are lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from masu.explanation.tuning import Try, Tuning
from masu.pages.charts import Interval, around_zero
from masu.pages.page import put_page, render


@dataclass(frozen=True)
class Row:
    """A try in the table.

    Attributes:
        one: the try.
        at: where its interval is drawn.
    """

    one: Try
    at: Interval


def write_page(tuning: Tuning, file: Path, data: str, images: int, said: str) -> None:
    """Write what was tried as one HTML file that needs nothing else; names are escaped.

    Args:
        tuning: what was found.
        file: to write.
        data: on what, for the heading.
        images: how many there are.
        said: the answer in words.
    """
    shown = {name: count for name, count in tuning.lost.items() if name != "found"}
    after = tuning.lost_after
    places = [
        (name, tuning.places[name], count, None if after is None else after[name])
        for name, count in shown.items()
        if count or (after is not None and after[name])
    ]
    text = render(
        "tune.html.j2",
        {"figure": lambda value: f"{value:.3f}", "signed": _signed, "value": lambda value: f"{value:g}"},
        tuning=tuning,
        data=data,
        images=images,
        said=said,
        tries=rows_of(tuning.tries),
        faster=rows_of(tuning.faster),
        places=places,
        lost=[sum(row[side] or 0 for row in places) for side in (2, 3)],
        ap=_before_and_after(tuning),
        milliseconds=[tuning.milliseconds, *(one.milliseconds for one in tuning.kept)],
    )
    put_page(file, text)


def rows_of(tries: Sequence[Try]) -> list[Row]:
    """The tries with their intervals on one axis, 0 in its middle."""
    axis = around_zero((end for one in tries for end in (one.ap.low, one.ap.high)), 6.0, 174.0)
    return [
        Row(one, Interval(*map(axis.place, (one.ap.low, one.ap.difference, one.ap.high)))) for one in tries
    ]


def _before_and_after(tuning: Tuning) -> tuple[float, float] | None:
    """AP as it was and with what is kept; None where nothing was measured."""
    every = [*tuning.tries, *tuning.faster]
    if not every:
        return None
    before = every[0].ap.a
    return before, tuning.kept[-1].ap.b if tuning.kept else before


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")
