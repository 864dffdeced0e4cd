"""A verb's options in a file: TOML of their names, read before the command line, which wins; and written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from masu.cli.values import Number, Span, Word
from masu.errors import InputError, bad_input
from masu.regular import read_text
from masu.words import nearest

NEVER = ("config", "help", "json", "quiet", "resume", "verbose")
"""Options that say how a command is run and not what it does: no file has them."""


def read_config(context: click.Context, parameter: click.Parameter, file: Path | None) -> None:
    """Take what a file says as the defaults of the command.

    Raises:
        InputError: for a file that cannot be read, is no TOML, or has a key or a value that no option takes.
    """
    if file is None or context.resilient_parsing:
        return
    name = parameter.opts[0]
    if not file.is_file():
        raise bad_input(name, f"no file {file}", "a TOML file of options", "check the path")
    try:
        said = tomllib.loads(read_text(file))
    except (OSError, ValueError) as error:  # no UTF-8 and no TOML are ValueErrors, too
        raise bad_input(file, f"no TOML ({error})", "lines such as epochs = 20", "mend it") from None
    known = _parameters(context.command)
    values: dict[str, Any] = {}
    for key, value in said.items():
        spelt = key.replace("_", "-")
        if spelt not in known:
            near = nearest(spelt, known)
            fix = f"did you mean {near}?" if near else f"see '{context.command_path} --help'"
            raise bad_input(f"{file}, {key[:60]}", "an unknown option", "one without its dashes", fix)
        one = known[spelt]
        values[str(one.name)] = _checked(f"{file}, {key}", one, value)
    context.default_map = values


def _parameters(command: click.Command) -> dict[str, click.Parameter]:
    """What a file may say, by its keys."""
    return {name: one for one in command.params if (name := one.opts[0].removeprefix("--")) not in NEVER}


def _checked(thing: str, one: click.Parameter, value: Any) -> Any:
    """A value of the kind that the option takes; its own type looks closer."""
    kinds: tuple[type, ...]
    if isinstance(one, click.Option) and one.is_flag:
        kinds, wanted = (bool,), "true or false"
    elif isinstance(one.type, Span):
        kinds, wanted = (str, list), "two numbers in brackets"
    elif isinstance(one.type, Number):
        kinds, wanted = (str, int, float), f"{one.type.wanted}"
    else:
        kinds, wanted = (str,), "a text in quotes"
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise bad_input(thing, f"{value!r:.60}", wanted, "write it so")
    if isinstance(value, str) and "\0" in value:
        raise bad_input(thing, f"{value!r:.60}", "a text without NUL", "write it so")
    if isinstance(one.type, Number | Span | Word):
        try:
            return one.type.convert(value, one, None)
        except InputError as error:
            raise bad_input(thing, error.found, error.wanted, error.fix, code=error.code) from None
    return value


def as_toml(values: Mapping[str, Any], heading: str) -> str:
    """Lines ``key = value`` that :func:`read_config` takes; None is left out.

    JSON's numbers, texts, lists, true and false are TOML's, but for one control character.

    Args:
        values: texts, numbers, truths and pairs of numbers, by the names of options without dashes.
        heading: a line about the file.
    """
    lines = [f"# {heading}"]
    for key, value in values.items():
        if value is None:
            continue
        text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        try:
            text.encode()
        except UnicodeEncodeError:
            lines.append(f"# {key} is no text: {value!a}")  # a file name that is not UTF-8
        else:
            lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"
