"""What the words of options mean: numbers of a range, shares, times; and options that would do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from masu.errors import bad_input, listed
from masu.ranges import SECONDS, SHARE, Range


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


class Page(click.ParamType):  # type: ignore[type-arg]
    """The file of a page; a folder is refused before anything is looked at."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        page = Path(value)
        if page.is_dir():
            name = param.opts[0] if param is not None else "page"
            raise bad_input(name, f"the folder {page}", "a file", f"write {page / 'report.html'}")
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
    if context.get_parameter_source(str(name)) is not ParameterSource.DEFAULT:
        raise bad_input(option, found, wanted, f"leave {option} out")


def scores(thresholds: Mapping[str, float]) -> str:
    """``cat 0.41, dog 0.57``, of many the first."""
    return listed(f"{name} {score:.2f}" for name, score in thresholds.items())
