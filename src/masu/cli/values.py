"""What the words of options mean: a word of a list, numbers of a range, shares, times; and idle options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from masu.errors import bad_input, listed
from masu.pages.run_report import refuse_run_report
from masu.ranges import FACTOR, IMAGE_SIZE, SECONDS, SHARE, TILE_SIDE, WORKERS, Range
from masu.words import DATA_FORMATS, WRITTEN_FORMATS, nearest


class Word(click.ParamType):  # type: ignore[type-arg]
    """One word of a list, which ``--help`` shows; all else is refused in one line with the nearest word."""

    name = "word"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)

    @property
    def words(self) -> tuple[str, ...]:
        """All that it may be."""
        return self._words

    def knows(self, text: str) -> bool:
        """Whether it may be this."""
        return text in self.words

    @property
    def short(self) -> bool:
        """Few enough to stand beside the option's name."""
        return len("|".join(self.words)) <= 40

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The words, where they are few."""
        return "|".join(self.words) if self.short else "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word."""
        if not isinstance(value, str) or not self.knows(value):
            verb = f"{ctx.command_path} " if ctx is not None else ""
            near = nearest(value, self.words) if isinstance(value, str) else None
            raise bad_input(
                param.opts[0] if param is not None else "word",
                f"{value!r:.60}",
                f"one of {', '.join(self.words)}",
                f"see '{verb}--help'" if near is None else f"did you mean {near}?",
                code="unknown-name",
            )
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin so."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class DataFormat(Word):
    """A format of data sets: masu's own, or one of a package, which is loaded only when it is named.

    Args:
        written: one that is written, not one that is read.
    """

    def __init__(self, *, written: bool = False) -> None:
        super().__init__(WRITTEN_FORMATS if written else DATA_FORMATS)
        self._written = written

    @property
    def words(self) -> tuple[str, ...]:
        """Masu's own, and the entry points' names."""
        return (*self._words, *(entry.name for entry in entry_points(group="masu.formats")))

    def knows(self, text: str) -> bool:
        """Whether it may be this; a package may call its format otherwise than its entry point."""
        if text in self._words:
            return True
        if text in DATA_FORMATS or not entry_points(group="masu.formats"):
            return False
        from masu.data.formats import formats

        known = formats().get(text)
        return known is not None and (known.write is not None or not self._written)


class Number(click.ParamType):  # type: ignore[type-arg]
    """A number of a range, which ``--help`` shows; all else is refused in one line."""

    name = "number"

    def __init__(self, span: Range) -> None:
        self.span = span

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The range."""
        return self.span.short

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number that a text says; a default is a number already."""
        number = self.read(value) if isinstance(value, str) else value
        if number is None or number not in self.span:
            name = param.opts[0] if param is not None else "number"
            verb = f"{ctx.command_path} " if ctx is not None else ""
            raise bad_input(name, f"{value!r:.60}", self.wanted, f"see '{verb}--help'", code="out-of-range")
        return number

    @property
    def wanted(self) -> str:
        """What an error asks for."""
        return str(self.span)

    def read(self, text: str) -> int | float | None:
        """The number; None for a text that says none of the range."""
        return self.span.read(text)


class Share(Number):
    """``5%`` or ``0.05``."""

    name = "share"

    def __init__(self) -> None:
        super().__init__(SHARE)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """In per cent, as most are written."""
        return "0%..100%"

    @property
    def wanted(self) -> str:
        """What an error asks for."""
        return "a share such as 5% or 0.05"

    def read(self, text: str) -> float | None:
        """The share, 0 to 1."""
        if not text.endswith("%"):
            return super().read(text)
        number = Range(0, 100, whole=False).read(text[:-1])
        return None if number is None else number / 100


class Workers(Number):
    """``4``, or ``2..8``: the fewest and the most."""

    name = "workers"

    def __init__(self) -> None:
        super().__init__(WORKERS)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The range, and two of it."""
        return f"{self.span.short}|MIN..MAX"

    @property
    def wanted(self) -> str:
        """What an error asks for."""
        return f"{self.span}, or the fewest and the most, such as 2..8"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or two of them."""
        least, dots, most = str(value).partition("..")
        ends = self.read(least), self.read(most)
        if dots and None not in ends and ends[0] <= ends[1]:  # type: ignore[operator]
            return ends
        return super().convert(value, param, ctx)


class TileSide(Number):
    """``640``, or ``none``."""

    name = "tiles"

    def __init__(self) -> None:
        super().__init__(TILE_SIDE)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The range, and the word."""
        return "32..16384|none"

    @property
    def wanted(self) -> str:
        """What an error asks for."""
        return "pixels, from 32 to 16384, or none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The side; 0 for no tiles."""
        return 0 if value == "none" else super().convert(value, param, ctx)


class ImageSize(Number):
    """``320``, or ``auto``."""

    name = "size"

    def __init__(self) -> None:
        super().__init__(IMAGE_SIZE)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The range, and the word."""
        return "32..16384|auto"

    @property
    def wanted(self) -> str:
        """What an error asks for."""
        return "pixels, from 32 to 16384, or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The size, or the word."""
        return value if value == "auto" else super().convert(value, param, ctx)


class Time(Number):
    """``90``, ``90s``, ``10m`` or ``1.5h`` in seconds."""

    name = "time"

    def __init__(self) -> None:
        super().__init__(SECONDS)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """A word; the help of the option has examples."""
        return "TIME"

    @property
    def wanted(self) -> str:
        """What an error asks for."""
        return "a time such as 90s, 10m or 1h, at most a year"

    def read(self, text: str) -> float | None:
        """Seconds."""
        text = text.strip()
        number, unit = (text[:-1], text[-1:].lower()) if text[-1:].isalpha() else (text, "s")
        value = self.span.read(number)
        return None if value is None else value * {"s": 1, "m": 60, "h": 3600}.get(unit, float("nan"))


class Device(click.ParamType):  # type: ignore[type-arg]
    """Where to compute; whether it is there is looked at when it is used."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word."""
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?|mps", value):
            wanted = "auto, cpu, cuda, cuda:NUMBER or mps"
            raise bad_input("--device", f"{value!r:.60}", wanted, "choose one of these")
        return str(value)


class Size(click.ParamType):  # type: ignore[type-arg]
    """``320x448``, height first."""

    name = "size"

    def __init__(self, span: Range) -> None:
        self.span = span

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """How it is written."""
        return "HxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Height and width."""
        parts = value.lower().replace("×", "x").split("x") if isinstance(value, str) else value
        sides: list[Any] = [self.span.read(part) if isinstance(part, str) else part for part in parts]
        if len(sides) != 2 or not all(side in self.span for side in sides):
            name = param.opts[0] if param is not None else "size"
            wanted = f"height x width such as 320x448, each {self.span}"
            raise bad_input(name, f"{value!r:.60}", wanted, "write them so", code="out-of-range")
        return int(sides[0]), int(sides[1])


class Span(click.ParamType):  # type: ignore[type-arg]
    """``0.8..1.2``, or two numbers in a list: above 0, the second no smaller."""

    name = "span"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """How it is written."""
        return "A..B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        """The two numbers."""
        parts = value.split("..") if isinstance(value, str) else value
        ends: list[Any] = [FACTOR.read(part) if isinstance(part, str) else part for part in parts]
        if len(ends) != 2 or not all(end in FACTOR for end in ends) or ends[0] > ends[1]:
            name = param.opts[0] if param is not None else "span"
            raise bad_input(
                name, f"{value!r:.60}", "two rising numbers above 0 such as 0.8..1.2", "write them so"
            )
        return float(ends[0]), float(ends[1])


class Page(click.ParamType):  # type: ignore[type-arg]
    """The file of a page; a folder and a run's report are refused before anything is looked at."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        page = Path(value)
        if page.is_dir():
            name = param.opts[0] if param is not None else "page"
            raise bad_input(name, f"the folder {page}", "a file", f"write {page / 'report.html'}")
        refuse_run_report(page)
        return page


def refuse_idle(option: str, found: str, wanted: str) -> None:
    """Refuse an option that the user wrote, be it with its default, and that does nothing beside the others.

    Args:
        option: as it is written, ``--split``.
        found: beside what, or without what.
        wanted: instead.

    Raises:
        InputError: where it was written.
    """
    context = click.get_current_context()
    (name,) = (one.name for one in context.command.params if option in one.opts)
    if context.get_parameter_source(str(name)) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
        raise bad_input(option, found, wanted, f"leave {option} out")


def scores(thresholds: Mapping[str, float]) -> str:
    """``cat 0.41, dog 0.57``, of many the first."""
    return listed(f"{name} {score:.2f}" for name, score in thresholds.items())


def said_of_thresholds(thresholds: Mapping[str, float], otherwise: str = "") -> str:
    """The model's thresholds in a line, and how they were measured where it looks otherwise now."""
    return f"the model's thresholds: {scores(thresholds)}{f'; measured {otherwise}' if otherwise else ''}"


def refuse_margins(otherwise: str) -> None:
    """Refuse margins where the model looks otherwise than when they were measured.

    Raises:
        InputError: saying how they were.
    """
    if otherwise:
        fix = "ask the model so, or leave --margins out"
        raise bad_input(
            "--margins", f"margins that were measured {otherwise}", "the same way of looking", fix
        )
