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
from masu.evaluation.calibration import Bin
from masu.evaluation.curves import Curve, Point
from masu.evaluation.error_report import ErrorReport, ImageErrors
from masu.evaluation.errors import KINDS, Error, Kind
from masu.evaluation.metrics import Interval
from masu.evaluation.overlaps import Array
from masu.evaluation.resampling import said_of
from masu.pages.charts import QUARTERS, Axis, Chart, Dot, Line, bars, share, unit_axes
from masu.pages.page import put_page, render
from masu.pages.pictures import SIDE, Mark, Shown, embedded
from masu.records import Target
from masu.words import Meaning

MOST_PICTURES = 24
"""Worst images shown."""

MANY_OBJECTS = 20
"""Objects of a size below which its AP is no headline."""

MOST_CHARTS = 40
"""Classes with curves: those with most objects."""

MOST_CELLS = 25
"""Classes up to which the confusion matrix is shown whole."""

_POINTS = 160

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

_MEANINGS: dict[Meaning, str] = {
    "right": "Share of right boxes (IoU at least 0.50), against the score",
    "overlap": "Mean IoU with the object found, against the score",
}
"""Titles of the charts of what scores are worth."""

_WORDS: dict[Kind, str] = {
    "classification": "an object of another class, in the right place",
    "localisation": "an object of its class, IoU only 0.1 to 0.5",
    "both": "an object of another class, IoU only 0.1 to 0.5",
    "duplicate": "an object that a better detection has found already",
    "background": "nothing there",
    "missed": "nothing: an object was not found",
}


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
        {"figure": share, "band": _band},
        report=report,
        switches=_SWITCHES,
        sizes=_sizes(report),
        worst_class=_worst_class(report),
        said=said_of(report.metrics),
        model=model,
        data=data,
        kinds=KINDS,
        words=_WORDS,
        costs=bars({kind: report.kinds[kind].cost for kind in KINDS}),
        charts={
            name: charts_of(report.curves[name], report.used[name])
            for name in report.names
            if name in charted and report.curves[name].objects
        },
        reliability={
            _MEANINGS[meaning]: reliability_of(bins) for meaning, bins in report.reliability.items()
        },
        matrix=len(report.names) <= MOST_CELLS,
        confusions=confusions(report),
        pictures=[picture_of(image, report.names, channels) for image in report.images[:MOST_PICTURES]],
    )
    put_page(file, text)


def charts_of(curve: Curve, used: Point) -> tuple[Chart, Chart]:
    """Precision against recall, and precision, recall and F1 against the threshold."""
    precision, recall, f1, scores = curve.precision, curve.recall, curve.f1, curve.scores
    if not len(scores):
        empty = "nothing was detected"
        return _unit_chart("recall", empty, empty=empty), _unit_chart("threshold", empty, empty=empty)
    reached = f"precision {share(used.precision)}, recall {share(used.recall)}"
    at = f"at threshold {used.threshold:.2f}: {reached}"
    course = ", ".join(
        f"{precision[np.flatnonzero(recall >= level)].max():.2f} at recall {level}"
        for level in (0.25, 0.5, 0.75, 0.9)
        if recall[-1] >= level
    )
    return (
        _unit_chart(
            "recall",
            f"precision {course or 'below recall 0.25 only'}; recall reaches {recall[-1]:.2f}; {at}.",
            (("precision", "main", recall, precision),),
            _ring(used.recall, used.precision, at),
        ),
        _unit_chart(
            "threshold",
            f"F1 is largest, {f1.max():.2f}, at score {scores[f1.argmax()]:.2f}; {at}, F1 {share(used.f1)}.",
            (
                ("precision", "dashed", scores, precision),
                ("recall", "dotted", scores, recall),
                ("F1", "main", scores, f1),
            ),
            _ring(used.threshold, used.f1, f"{at}, F1 {share(used.f1)}"),
        ),
    )


def reliability_of(bins: Sequence[Bin]) -> Chart:
    """What scores are worth against the scores; dots are larger where there are more detections."""
    x, y = unit_axes()
    most = max((one.count for one in bins), default=1)
    return _unit_chart(
        "score",
        ", ".join(f"{share(one.worth)} at {share(one.score)} ({one.count})" for one in bins),
        (("as sure as right", "dashed", np.array([0.0, 1.0]), np.array([0.0, 1.0])),),
        tuple(
            Dot(
                x.place(one.score),
                y.place(one.worth),
                f"score {share(one.score)}: worth {share(one.worth)}, {counted(one.count, 'detection')}",
                "bin",
                round(2.5 + 6 * (one.count / most) ** 0.5, 1),
            )
            for one in bins
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


def _unit_chart(
    name: str,
    summary: str,
    lines: Sequence[tuple[str, str, Array, Array]] = (),
    dots: tuple[Dot, ...] = (),
    empty: str = "",
) -> Chart:
    """A chart with both axes from 0 to 1; a line is its name, its style, and values right and up."""
    x, y = unit_axes()
    return Chart(
        x,
        y,
        name,
        x.ticks(QUARTERS),
        y.ticks(QUARTERS),
        summary,
        lines=tuple(Line(said, style, _polyline(x, y, right, up)) for said, style, right, up in lines),
        dots=dots,
        empty=empty,
    )


def _ring(right: float | None, up: float | None, words: str) -> tuple[Dot, ...]:
    """The threshold used, where both figures are known."""
    x, y = unit_axes()
    return () if right is None or up is None else (Dot(x.place(right), y.place(up), words, "ring", 5.0),)


def _polyline(x: Axis, y: Axis, right: Array, up: Array) -> str:
    """At most ``_POINTS`` of the points, first and last among them."""
    rows = np.unique(np.linspace(0, len(right) - 1, min(len(right), _POINTS)).round().astype(int))
    return " ".join(f"{x.place(float(right[row])):g},{y.place(float(up[row])):g}" for row in rows)


def _band(ends: Interval | None) -> str:
    return "" if ends is None else f"({ends.low:.3f} to {ends.high:.3f}) "
