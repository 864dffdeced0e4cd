"""Charts and figures of a page: what is drawn where, and how a number is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# The plot's rectangle within a chart of 440×220 units.
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 424.0, 14.0, 178.0

MOST_DOTS = 60
"""Points up to which each has a dot."""


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

    @property
    def dots(self) -> tuple[tuple[float, float, str], ...]:
        """The points that are marked: all, unless they would run into each other."""
        return self.points if len(self.points) <= MOST_DOTS else ()


def chart(history: Sequence[dict[str, Any]], key: str, least: float = 1.0) -> Chart | None:
    """The course of a figure over the epochs; None where it was never measured.

    The axis goes from 0 to ``least`` or, where values are larger, to the next round number.
    """
    values = [(int(row["epoch"]), float(row[key])) for row in history if row.get(key) is not None]
    if not values:
        return None
    top = max(_round_up(max(value for _, value in values)), least) or 1.0
    first, last = values[0][0], values[-1][0]
    across, up = (_RIGHT - _LEFT) / max(last - first, 1), (_BOTTOM - _TOP) / top
    digits = ".3f" if top >= 1 else ".3g"
    points = tuple(
        (
            round(_LEFT + (epoch - first) * across, 1),
            round(_BOTTOM - value * up, 1),
            f"epoch {epoch}: {value:{digits}}",
        )
        for epoch, value in values
    )
    ticks = tuple(
        (round(_BOTTOM - part * top * up, 1), _tick(part * top)) for part in (0, 0.25, 0.5, 0.75, 1)
    )
    summary = f"from {values[0][1]:{digits}} in epoch {first} to {values[-1][1]:{digits}} in epoch {last}"
    return Chart(points, ticks, (first, last), summary)


def _tick(value: float) -> str:
    """At most six letters: there is no room for 0.00015."""
    if 0 < value < 1e-3:
        digits, power = f"{value:.1e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:g}"


def _round_up(value: float) -> float:
    if value <= 0:
        return 0.0
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
