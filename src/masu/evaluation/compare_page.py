"""The page of ``masu compare --report``: the differences with their intervals, and what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from masu.data.pixels.images import displayable, read_pixels
from masu.data.pixels.pictures import UnreadableImageError
from masu.evaluation.comparison import Change, Comparison, Difference
from masu.evaluation.error_page import objects
from masu.evaluation.matches import RIGHT_IOU, ImageMatch
from masu.evaluation.overlaps import Array, overlaps
from masu.pages.charts import Interval, Tick, around_zero, share
from masu.pages.page import put_page, render
from masu.pages.pictures import SIDE, Mark, Shown, embedded

MOST_PICTURES = 16
"""Images shown, those with most changes."""

_SWITCHES = (
    ("won", "won: only B finds it"),
    ("lost", "lost: only A finds it"),
    ("wrong", "wrong: only B sees something there"),
    ("gone", "no longer: only A saw something there"),
    ("object", "the other labelled objects"),
)
"""What can be switched on the pictures."""

_WORDS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ar100": "AR100",
    "ap_small": "AP, small objects",
    "ap_medium": "AP, medium objects",
    "ap_large": "AP, large objects",
}


@dataclass(frozen=True)
class Bar:
    """A difference in the chart.

    Attributes:
        name: of the figure.
        one: the difference.
        at: where it is drawn.
    """

    name: str
    one: Difference
    at: Interval


@dataclass(frozen=True)
class Picture:
    """An image that changed.

    Attributes:
        change: what changed.
        shown: the picture and its boxes.
        said: the changes in words.
    """

    change: Change
    shown: Shown
    said: str


def write_page(comparison: Comparison, file: Path, data: str) -> None:
    """Write the comparison as one HTML file that needs nothing else; names are escaped.

    Args:
        comparison: what was found.
        file: to write.
        data: on what, for the heading.
    """
    figures = {_WORDS[name]: one for name, one in comparison.figures.items()}
    figures |= {f"AP, {name}": of["ap"] for name, of in comparison.per_class.items()}
    bars, ticks = chart_of(figures)
    channels = next((run.channels for run in (*comparison.a, *comparison.b) if run.channels), None)
    text = render(
        "compare.html.j2",
        {"figure": share, "signed": _signed},
        comparison=comparison,
        data=data,
        bars=bars,
        ticks=ticks,
        zero=ticks[len(ticks) // 2][0],
        switches=_SWITCHES,
        pictures=[
            picture_of(change, comparison.names, channels) for change in comparison.changes[:MOST_PICTURES]
        ],
    )
    put_page(file, text)


def chart_of(figures: Mapping[str, Difference]) -> tuple[list[Bar], tuple[Tick, ...]]:
    """The intervals on one axis around 0, and the axis's places with their words."""
    axis = around_zero((end for one in figures.values() for end in (one.low, one.high)), 150.0, 690.0)
    bars = [
        Bar(name, one, Interval(*map(axis.place, (one.low, one.difference, one.high))))
        for name, one in figures.items()
    ]
    ticks = (part * axis.high for part in (-1, -0.5, 0, 0.5, 1))
    return bars, axis.ticks(ticks, lambda value: f"{value:+.3g}" if value else "0")


def picture_of(change: Change, names: tuple[str, ...], channels: int | None) -> Picture:
    """An image with what only one of the models finds, and what only one takes for an object."""
    a, b = change.a, change.b
    target = a.target
    won, lost = change.won, change.lost
    new, gone = _only(b.wrong, b, a), _only(a.wrong, a, b)
    words = {"won": won.sum(), "lost": lost.sum(), "newly wrong": new.sum(), "no longer wrong": gone.sum()}
    said = ", ".join(f"{count} {word}" for word, count in words.items() if count) or "other boxes"
    height, width, uri = 1, 1, None
    try:
        pixels = displayable(read_pixels(change.path, channels))
    except UnreadableImageError:
        pass
    else:
        height, width = pixels.shape[-2:]
        uri = embedded(Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()), side=SIDE)
    boxes = target.boxes.tolist()
    marks = objects(target.taken(torch.from_numpy(~(won | lost))))
    marks += [
        Mark(
            match.detections.boxes[row].tolist(),
            kind,
            f"{word} {names[match.labels[row]]} {float(match.detections.scores[row]):.2f}",
        )
        for kind, word, rows, match in (("gone", "no longer", gone, a), ("wrong", "wrong", new, b))
        for row in np.flatnonzero(rows).tolist()
    ]
    marks += [
        Mark(boxes[row], word, f"{word} {names[a.object_labels[row]]}")
        for word, rows in (("won", won), ("lost", lost))
        for row in np.flatnonzero(rows).tolist()
    ]
    alt = f"{change.path.name}: {said}."
    return Picture(change, Shown(change.path.name, uri, (width, height), tuple(marks), alt), said)


def _only(wrong: Array, own: ImageMatch, other: ImageMatch) -> Array:
    """``(D,)`` bool, wrong detections that the other model does not make too, at IoU 0.5 and of the class."""
    mine, theirs = (match.detections.boxes.double().numpy() for match in (own, other))
    both = overlaps(mine, theirs, np.zeros(len(theirs), np.bool_)) >= RIGHT_IOU
    both &= own.labels[:, None] == other.labels
    only: Array = wrong & ~(both & other.wrong).any(axis=1)
    return only


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
