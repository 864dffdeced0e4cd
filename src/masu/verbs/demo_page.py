"""The demo's page: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from masu.verbs.metrics import Metrics
from masu.verbs.page import render

# The plot's rectangle within a chart of 440×220 units.
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 424.0, 14.0, 178.0


@dataclass(frozen=True)
class Picture:
    """A drawn test scene.

    Attributes:
        jpeg: the picture's file content.
        name: file name of the scene.
        there: names of its labelled objects.
        found: names of the detections drawn.
    """

    jpeg: bytes
    name: str
    there: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def uri(self) -> str:
        """The picture as a ``data:`` address."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode()


@dataclass(frozen=True)
class DemoPage:
    """Everything that the page says.

    Attributes:
        metrics: scores on the test scenes.
        history: one dict per epoch with ``epoch``, ``loss`` and, where evaluated, ``ap50``.
        pictures: drawn test scenes.
        threshold: lowest score of a detection in them.
        architecture: name of the trained architecture.
        images: number of training, validation and test scenes.
        objects: number of labelled objects in each of them.
        seconds: the whole demo.
        training_seconds: time in training steps.
        threads: threads that computed.
        model_bytes: size of the model file.
    """

    metrics: Metrics
    history: Sequence[dict[str, Any]]
    pictures: tuple[Picture, ...]
    threshold: float
    architecture: str
    images: tuple[int, int, int]
    objects: tuple[int, int, int]
    seconds: float
    training_seconds: float
    threads: int
    model_bytes: int


@dataclass(frozen=True)
class Chart:
    """A line over the epochs, in units of the drawing.

    Attributes:
        points: x, y and the words of each value.
        ticks: y and the words of each horizontal line.
        epochs: first and last epoch.
        summary: the chart in a sentence.
    """

    points: tuple[tuple[float, float, str], ...]
    ticks: tuple[tuple[float, str], ...]
    epochs: tuple[int, int]
    summary: str

    @property
    def line(self) -> str:
        """The points as an SVG polyline has them."""
        return " ".join(f"{x:g},{y:g}" for x, y, _ in self.points)


def render_page(page: DemoPage) -> str:
    """The page as HTML: names escaped, pictures and charts embedded, nothing fetched from elsewhere."""
    charts = {"AP50 on the validation scenes": "ap50", "Training loss": "loss"}
    return render(
        "demo.html.j2",
        {"share": share, "duration": duration},
        page=page,
        charts={title: chart(page.history, key) for title, key in charts.items()},
    )


def chart(history: Sequence[dict[str, Any]], key: str) -> Chart | None:
    """The course of a figure over the epochs; None where it was never measured.

    The axis goes from 0 to 1 or, where values are larger, to the next round number.
    """
    values = [(int(row["epoch"]), float(row[key])) for row in history if row.get(key) is not None]
    if not values:
        return None
    top = _round_up(max(value for _, value in values))
    first, last = values[0][0], values[-1][0]
    across, up = (_RIGHT - _LEFT) / max(last - first, 1), (_BOTTOM - _TOP) / top
    points = tuple(
        (
            round(_LEFT + (epoch - first) * across, 1),
            round(_BOTTOM - value * up, 1),
            f"epoch {epoch}: {value:.3f}",
        )
        for epoch, value in values
    )
    ticks = tuple(
        (round(_BOTTOM - part * top * up, 1), f"{part * top:g}") for part in (0, 0.25, 0.5, 0.75, 1)
    )
    summary = f"from {values[0][1]:.3f} in epoch {first} to {values[-1][1]:.3f} in epoch {last}"
    return Chart(points, ticks, (first, last), summary)


def _round_up(value: float) -> float:
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 3, 4, 6, 8, 10) if step * power >= value)


def share(value: float | None) -> str:
    """A figure in 0..1 with three decimals, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``48 s``, ``6 min 05 s``, ``1 h 02 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
