"""Charts and figures of a page: what is drawn where (by ``chart.html.j2``), and how a number is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_DOTS = 60
"""Points up to which each has a dot."""

QUARTERS = (0, 0.25, 0.5, 0.75, 1)
"""Where an axis from 0 to 1 has its ticks."""

_LONGEST = 350.0
"""Units of the longest bar."""

Tick = tuple[float, str]
"""A place on an axis and its words."""


@dataclass(frozen=True)
class Axis:
    """Values along one side of a drawing.

    Attributes:
        low: the value at its start.
        high: the value at its end.
        start: where that lies, in units of the drawing, which count to the right and down.
        end: where the other one lies.
        logarithmic: equal ratios of values are equal lengths.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, in units of the drawing."""
        of: Callable[[float], float] = math.log2 if self.logarithmic else float
        low, high = of(self.low), of(self.high)
        return round(self.start + (of(value) - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self, values: Iterable[float], say: Callable[[float], str] = "{:g}".format) -> tuple[Tick, ...]:
        """Places of values, and the values in words."""
        return tuple((self.place(value), say(value)) for value in values)


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: what it shows, where there are several; else empty.
        style: CSS class.
        points: as an SVG polyline has them.
    """

    name: str
    style: str
    points: str


@dataclass(frozen=True)
class Dot:
    """A mark of a chart.

    Attributes:
        x: to the right, in units of the drawing.
        y: down.
        words: shown where the mouse rests on it; empty: nothing is.
        style: CSS class.
        radius: in units of the drawing.
        shape: ``"circle"``, ``"square"`` or ``"diamond"``.
    """

    x: float
    y: float
    words: str = ""
    style: str = ""
    radius: float = 3.5
    shape: str = "circle"


@dataclass(frozen=True)
class Column:
    """A column of a histogram, in units of the drawing.

    Attributes:
        x: its left side.
        y: its upper end.
        width: to the right.
        height: down.
        words: shown where the mouse rests on it.
        style: CSS class.
    """

    x: float
    y: float
    width: float
    height: float
    words: str
    style: str


@dataclass(frozen=True)
class Chart:
    """A chart with two axes.

    Attributes:
        x: the axis to the right.
        y: the axis up.
        name: of the axis to the right.
        across: ticks of that axis.
        up: ticks of the axis up, each a horizontal line.
        summary: the chart in words.
        columns: of a histogram.
        lines: most important last.
        dots: most important last.
        ruled: the ticks to the right have lines, too.
        empty: written where there is nothing to draw.
    """

    x: Axis
    y: Axis
    name: str
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    summary: str
    columns: tuple[Column, ...] = ()
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    ruled: bool = False
    empty: str = ""

    @property
    def box(self) -> str:
        """The drawing with room for the words around it, as SVG's ``viewBox``."""
        wide, high = self.x.end - self.x.start, self.y.start - self.y.end
        return f"{self.x.start - 58:g} {self.y.end - 14:g} {wide + 80:g} {high + 56:g}"


@dataclass(frozen=True)
class Interval:
    """A figure with its interval, in units of the drawing.

    Attributes:
        low: left end.
        middle: place of the figure.
        high: right end.
    """

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Bar:
    """A bar with words on both sides.

    Attributes:
        name: on its left.
        words: on its right.
        length: in units of the drawing.
    """

    name: str
    words: str
    length: float


def history_chart(history: Sequence[dict[str, Any]], key: str, least: float = 1.0) -> Chart | None:
    """The course of a figure over the epochs; None where it was never measured.

    The axis goes from 0 to ``least`` or, where values are larger, to the next round number.
    """
    values = [(int(row["epoch"]), float(row[key])) for row in history if row.get(key) is not None]
    if not values:
        return None
    top = max(_round_up(max(value for _, value in values)), least) or 1.0
    (first, begun), (last, ended) = values[0], values[-1]
    x, y = Axis(first, max(last, first + 1), 46.0, 424.0), Axis(0.0, top, 178.0, 14.0)
    digits = ".3f" if top >= 1 else ".3g"
    dots = [
        Dot(x.place(epoch), y.place(value), f"epoch {epoch}: {value:{digits}}") for epoch, value in values
    ]
    return Chart(
        x,
        y,
        "epoch",
        across=x.ticks(sorted({first, last})),
        up=y.ticks((part * top for part in QUARTERS), _tick),
        summary=f"from {begun:{digits}} in epoch {first} to {ended:{digits}} in epoch {last}",
        lines=(Line("", "main", " ".join(f"{dot.x:g},{dot.y:g}" for dot in dots)),),
        dots=tuple(dots) if len(dots) <= MOST_DOTS else (),
    )


def unit_axes() -> tuple[Axis, Axis]:
    """Axes to the right and up, both from 0 to 1."""
    return Axis(0, 1, 46.0, 424.0), Axis(0, 1, 200.0, 12.0)


def around_zero(ends: Iterable[float], start: float, end: float) -> Axis:
    """An axis with 0 in its middle, up to the next round number beyond the largest of some ends."""
    reach = max((abs(one) for one in ends), default=0.0) or 0.01
    step = 10.0 ** math.floor(math.log10(reach))
    reach = math.ceil(round(reach / step, 6)) * step
    return Axis(-reach, reach, start, end)


def bars(values: Mapping[str, float | None]) -> tuple[Bar, ...]:
    """A bar for each figure, the largest as long as there is room."""
    largest = max((value for value in values.values() if value), default=1.0)
    return tuple(
        Bar(name, share(value), round(_LONGEST * (value or 0) / largest, 1)) for name, value in values.items()
    )


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
