"""What every verb of the command line has in common: how its options are listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import click

from masu.cli.values import Word

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class Option(click.Option):
    """An option whose help ends with the words that it may be, where they are many."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The name and the help, made when it is asked for: packages may add words."""
        record = super().get_help_record(ctx)
        if record is None or not isinstance(self.type, Word) or self.type.short:
            return record
        return record[0], f"{record[1]} One of: {', '.join(self.type.words)}."


def option(*names: str, **attributes: Any) -> Decorator:
    """``click.option`` of an :class:`Option`."""
    return click.option(*names, cls=Option, **attributes)
