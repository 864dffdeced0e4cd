"""What every verb of the command line has in common: its options, and what they were called before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import click

from masu.cli.foreign import refuse_key_and_value, refuse_option
from masu.cli.notes import detail, note, set_loudness
from masu.cli.unsaid import unsaid
from masu.cli.values import Word

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def _any(_value: str) -> bool:
    return True


class Option(click.Option):
    """An option that knows what it was called before, and lists its words where they are many.

    Args:
        names: as of ``click.Option``.
        old: an earlier spelling, which still works and says this one.
        old_of: the values for which the earlier spelling means this option; default: all.
        attributes: as of ``click.Option``.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        old: str | None = None,
        old_of: Callable[[str], bool] = _any,
        **attributes: Any,
    ) -> None:
        super().__init__(names, **attributes)
        self.old, self.old_of = old, old_of
        self.section = ""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The name and the help, made when it is asked for: packages may add words."""
        record = super().get_help_record(ctx)
        if record is None or not isinstance(self.type, Word) or self.type.short:
            return record
        return record[0], f"{record[1]} One of: {', '.join(self.type.words)}."


def option(*names: str, **attributes: Any) -> Decorator:
    """``click.option`` of an :class:`Option`."""
    return click.option(*names, cls=Option, **attributes)


QUIET = Option(
    ["--quiet"],
    is_flag=True,
    expose_value=False,
    callback=set_loudness,
    help="Print results and errors only.",
)
VERBOSE = Option(
    ["--verbose"],
    is_flag=True,
    expose_value=False,
    callback=set_loudness,
    help="Also say what was decided and how long each part took.",
)


class Verb(click.Command):
    """A verb, which is quiet or verbose and takes the earlier spellings of its options too."""

    def __init__(self, *positional: Any, **attributes: Any) -> None:
        super().__init__(*positional, **attributes)
        self.params += [QUIET, VERBOSE]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for one in self.get_params(ctx):
            record = one.get_help_record(ctx)
            if record is not None and isinstance(one, click.Option):
                sections.setdefault(getattr(one, "section", ""), []).append(record)
        for name in [*filter(None, sections), ""]:
            with formatter.section(name or ("Other options" if len(sections) > 1 else "Options")):
                formatter.write_dl(sections[name])

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        started = time.perf_counter()
        code = super().invoke(ctx)
        detail(f"{self.name}: {time.perf_counter() - started:.1f} s in all")
        return code

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what was written, each earlier spelling as today's."""
        said: list[str] = []
        try:
            rest = super().parse_args(ctx, list(self._in_todays_words(ctx, args, said)))
        except click.NoSuchOption as error:
            refuse_option(ctx, error.option_name)
            raise
        except click.MissingParameter as error:
            error.ctx = error.ctx or ctx
            if (better := unsaid(ctx, error.param, list(self._in_todays_words(ctx, args, [])))) is not None:
                raise better from None
            raise
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # an option without its value does not say whose it is
            raise
        for sentence in said:
            note(sentence)
        return rest

    def _in_todays_words(self, ctx: click.Context, args: Sequence[str], said: list[str]) -> Iterator[str]:
        options = [one for one in self.get_params(ctx) if isinstance(one, Option)]
        with_value = {name for one in options if not (one.is_flag or one.count) for name in one.opts}
        words = list(reversed(args))
        while words:
            word = words.pop()
            if word == "--":
                yield word
                yield from reversed(words)
                return
            if not word.startswith("-") and not ctx.resilient_parsing:
                refuse_key_and_value(ctx, word)
            name, equals, value = word.partition("=")
            before = [one for one in options if one.old == name]
            follows = bool(words) and not equals and (name in with_value or bool(before))
            if follows:
                value = words.pop()
            new = next((one.opts[0] for one in before if one.old_of(value)), name)
            if new != name:
                said.append(f"{name} is now {new}")
            yield f"{new}={value}" if equals else new
            if follows:
                yield value


def section(name: str) -> Decorator:
    """The heading of the options below it, up to the next one."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        # decorators run from the last one up: what is there already stands below
        for one in getattr(function, "__click_params__", []):
            if isinstance(one, Option) and not one.section:
                one.section = name
        return function

    return decorate


def verb(**attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """``click.command`` of a :class:`Verb`."""
    return click.command(cls=Verb, **attributes)
