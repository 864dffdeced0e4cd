"""The page of ``masu evaluate --report``: figures, curves, errors and the worst images, in one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from masu.data.pixels.images import displayable, read_pixels
from masu.data.pixels.pictures import UnreadableImageError
from masu.errors import counted
from masu.evaluation.curves import Curve, Point
from masu.evaluation.error_report import ErrorReport, ImageErrors
from masu.evaluation.errors import KINDS, Error, Kind
from masu.evaluation.metrics import Interval
from masu.evaluation.overlaps import Array
from masu.evaluation.resampling import said_of
from masu.pages.page import put_page, render
from masu.pages.pictures import SIDE, Mark, Shown, embedded
from masu.records import Target

MOST_PICTURES = 24
"""Worst images shown."""

MANY_OBJECTS = 20
"""Objects of a size below which its AP is no headline."""

MOST_CHARTS = 40
"""Classes with curves: those with most objects."""

MOST_CELLS = 25
"""Classes up to which the confusion matrix is shown whole."""

_POINTS = 160

# the plot's rectangle within a chart of 440×250 units
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 424.0, 12.0, 200.0

_SWITCHES = (
    ("missed", "missed"),
    ("background", "nothing there"),
    ("classification", "another class"),
    ("localisation", "badly placed"),
    ("both", "both of these"),
    ("duplicate", "found twice"),
    ("right", "right"),
    ("object", "labelled"),
)
"""What can be switched on the pictures."""

_WORDS: dict[Kind, str] = {
    "classification": "an object of another class, in the right place",
    "localisation": "an object of its class, IoU only 0.1 to 0.5",
    "both": "an object of another class, IoU only 0.1 to 0.5",
    "duplicate": "an object that a better detection has found already",
    "background": "nothing there",
    "missed": "nothing: an object was not found",
}


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: what it shows.
        style: CSS class.
        points: as an SVG polyline has them.
    """

    name: str
    style: str
    points: str


@dataclass(frozen=True)
class Chart:
    """A chart with both axes from 0 to 1, in units of the drawing.

    Attributes:
        title: of the chart.
        across: name of the horizontal axis.
        lines: most important last.
        dot: x and y of the threshold used; None where nothing is to be marked there.
        dot_words: that point in words.
        alternative: the chart in words.
    """

    title: str
    across: str
    lines: tuple[Line, ...]
    dot: tuple[float, float] | None
    dot_words: str
    alternative: str


@dataclass(frozen=True)
class Picture:
    """One of the worst images.

    Attributes:
        image: its errors.
        shown: the picture and its boxes.
        said: its errors in words.
    """

    image: ImageErrors
    shown: Shown
    said: str


def write_page(report: ErrorReport, file: Path, model: str, data: str, channels: int | None = None) -> None:
    """Write the report as one HTML file that needs nothing else; names are escaped.

    Args:
        report: the errors.
        file: to write.
        model: what was evaluated, for the heading.
        data: on what.
        channels: of the detector's input, to read the worst images with.
    """
    charted = sorted(report.names, key=lambda name: -report.curves[name].objects)[:MOST_CHARTS]
    text = render(
        "errors.html.j2",
        {"figure": _figure, "band": _band},
        report=report,
        switches=_SWITCHES,
        sizes=_sizes(report),
        worst_class=_worst_class(report),
        said=said_of(report.metrics),
        model=model,
        data=data,
        kinds=KINDS,
        words=_WORDS,
        largest=max([count.cost or 0.0 for count in report.kinds.values()] + [1e-9]),
        charts={
            name: charts_of(report.curves[name], report.used[name])
            for name in report.names
            if name in charted and report.curves[name].objects
        },
        reliability={
            meaning: [(*_place(one.score, one.worth), one) for one in bins]
            for meaning, bins in report.reliability.items()
        },
        matrix=len(report.names) <= MOST_CELLS,
        confusions=confusions(report),
        pictures=[picture_of(image, report.names, channels) for image in report.images[:MOST_PICTURES]],
    )
    put_page(file, text)


def charts_of(curve: Curve, used: Point) -> tuple[Chart, Chart]:
    """Precision against recall, and precision, recall and F1 against the threshold."""
    precision, recall, f1, scores = curve.precision, curve.recall, curve.f1, curve.scores
    reached = f"precision {_figure(used.precision)}, recall {_figure(used.recall)}"
    at = f"at threshold {used.threshold:.2f}: {reached}"
    if not len(scores):
        empty = "nothing was detected"
        return (
            Chart("Precision against recall", "recall", (), None, "", empty),
            Chart("Against the threshold", "threshold", (), None, "", empty),
        )
    course = ", ".join(
        f"{precision[np.flatnonzero(recall >= level)].max():.2f} at recall {level}"
        for level in (0.25, 0.5, 0.75, 0.9)
        if recall[-1] >= level
    )
    summary = f"Precision {course or 'below recall 0.25 only'}; recall reaches {recall[-1]:.2f}. {at}."
    against = (
        f"F1 is largest, {f1.max():.2f}, at score {scores[f1.argmax()]:.2f}. {at}, F1 {_figure(used.f1)}."
    )
    shown = None if used.precision is None or used.recall is None else _place(used.recall, used.precision)
    f1_shown = None if used.f1 is None else _place(used.threshold, used.f1)
    return (
        Chart(
            "Precision against recall",
            "recall",
            (Line("precision", "main", _polyline(recall, precision)),),
            shown,
            at,
            summary,
        ),
        Chart(
            "F1, precision and recall against the threshold",
            "threshold",
            (
                Line("precision", "precision", _polyline(scores, precision)),
                Line("recall", "recall", _polyline(scores, recall)),
                Line("F1", "main", _polyline(scores, f1)),
            ),
            f1_shown,
            f"{at}, F1 {_figure(used.f1)}",
            against,
        ),
    )


def confusions(report: ErrorReport, most: int = 20) -> list[tuple[str, str, int]]:
    """The most frequent confusions of two classes: predicted, true, count."""
    table = report.confusion[:-1, :-1].copy()
    np.fill_diagonal(table, 0)
    order = np.argsort(-table, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(order, table.shape)
    return [
        (report.names[row], report.names[column], int(table[row, column]))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if table[row, column]
    ]


def picture_of(image: ImageErrors, names: Sequence[str], channels: int | None) -> Picture:
    """A worst image with labelled objects, right detections and errors, named."""
    said = ", ".join(f"{count} {kind}" for kind, count in image.counts().items())
    match = image.match
    height, width, uri = 1, 1, None
    try:
        pixels = displayable(read_pixels(image.path, channels))
    except UnreadableImageError:
        pass
    else:
        height, width = pixels.shape[-2:]
        uri = embedded(Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()), side=SIDE)
    boxes = match.detections.boxes.tolist()
    marks = objects(match.target)
    marks += [Mark(boxes[row], "right") for row in np.flatnonzero(match.right).tolist()]
    missed = [error for error in image.errors if error.kind == "missed"]
    wrong = [error for error in reversed(image.errors) if error.kind != "missed"]
    marks += [_mark(error, image, names) for error in (*wrong, *missed)]
    alt = f"{image.path.name}: {said}; {counted(len(match.target), 'object')} labelled."
    return Picture(image, Shown(image.path.name, uri, (width, height), tuple(marks), alt), said)


def objects(target: Target) -> list[Mark]:
    """Labelled objects as marks, those that are ignored told apart.

    Args:
        target: of the picture.

    Returns:
        A mark for each, in order.
    """
    rows = zip(target.boxes.tolist(), target.ignored.tolist(), strict=True)
    return [Mark(box, "object ignored" if ignored else "object") for box, ignored in rows]


def _mark(error: Error, image: ImageErrors, names: Sequence[str]) -> Mark:
    match = image.match
    if error.detection is None:
        assert error.object is not None
        name = names[match.object_labels[error.object]]
        return Mark(match.target.boxes[error.object].tolist(), error.kind, f"missed {name}")
    name, score = names[match.labels[error.detection]], float(match.detections.scores[error.detection])
    if error.kind == "classification":
        assert error.object is not None
        name = f"{name}, is {names[match.object_labels[error.object]]}"
    return Mark(match.detections.boxes[error.detection].tolist(), error.kind, f"{name} {score:.2f}")


def _sizes(report: ErrorReport) -> list[tuple[str, int, float | None]]:
    """Size, objects and AP of the sizes that have enough objects, those with most first."""
    of = {
        "small": report.metrics.ap_small,
        "medium": report.metrics.ap_medium,
        "large": report.metrics.ap_large,
    }
    sizes = sorted(report.sizes.items(), key=lambda size: -size[1])
    return [(name, count, of[name]) for name, count in sizes if count >= MANY_OBJECTS]


def _worst_class(report: ErrorReport) -> tuple[str, int, int] | None:
    """The class with most missed objects, how many, and of how many; None where no class stands out."""
    lost = {name: (used.missed, used.missed + used.right) for name, used in report.used.items()}
    if len(lost) < 2:
        return None
    second, most = sorted(lost, key=lambda name: lost[name][0])[-2:]
    return (most, *lost[most]) if lost[most][0] > lost[second][0] else None


def _polyline(x: Array, y: Array) -> str:
    """At most ``_POINTS`` of the points, first and last among them."""
    rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), _POINTS)).round().astype(int))
    return " ".join("{:g},{:g}".format(*_place(float(x[row]), float(y[row]))) for row in rows)


def _place(x: float, y: float) -> tuple[float, float]:
    return round(_LEFT + x * (_RIGHT - _LEFT), 1), round(_BOTTOM - y * (_BOTTOM - _TOP), 1)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _band(ends: Interval | None) -> str:
    return "" if ends is None else f"({ends.low:.3f} to {ends.high:.3f}) "
