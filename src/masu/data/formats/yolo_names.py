"""The class names of a ``data.yaml``, with more of them; all else of its text stays as it is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from masu.errors import bad_input


def with_names(file: Path, text: str, new: Sequence[str]) -> str:
    """The text of a ``data.yaml`` that lists more classes, after those that it has.

    Args:
        file: for messages.
        text: its content.
        new: names that are not there.

    Raises:
        InputError: where the names stand in a form that is not added to.
    """
    root = yaml.compose(text, yaml.BaseLoader)
    values = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    names, count = values.get("names"), values.get("nc")
    if not isinstance(names, yaml.SequenceNode | yaml.MappingNode):
        raise bad_input(file, "no list 'names'", "a plain list", "add the classes to it yourself")
    first = len(names.value)
    items = [_scalar(name) for name in new]
    if isinstance(names, yaml.MappingNode):
        items = [f"{number}: {name}" for number, name in enumerate(items, start=first)]
    changes = [_flow(names, items) if names.flow_style else _block(names, items, text)]
    if isinstance(count, yaml.ScalarNode) and count.value.isdecimal():
        changes.append((count.start_mark.index, count.end_mark.index, str(first + len(new))))
    for start, end, added in sorted(changes, reverse=True):
        text = text[:start] + added + text[end:]
    return text


def _scalar(name: str) -> str:
    """A name as YAML has it, quoted where it needs to be."""
    dumped: str = yaml.safe_dump([name], default_flow_style=True, allow_unicode=True, width=10**9)
    return dumped.strip()[1:-1]


def _flow(names: Any, items: list[str]) -> tuple[int, int, str]:
    """The change of a list in brackets."""
    if not names.value:
        at = names.start_mark.index + 1
        return at, at, ", ".join(items)
    at = _last(names).end_mark.index
    return at, at, "".join(f", {item}" for item in items)


def _block(names: Any, items: list[str], text: str) -> tuple[int, int, str]:
    """The change of a list with a line for each."""
    blank = " " * names.start_mark.column
    dash = "- " if isinstance(names, yaml.SequenceNode) else ""
    end = text.find("\n", _last(names).end_mark.index)
    line = "\r\n" if text[: end + 1].endswith("\r\n") else "\n"
    added = "".join(f"{blank}{dash}{item}{line}" for item in items)
    if end < 0:
        return len(text), len(text), f"\n{added}"
    return end + 1, end + 1, added


def _last(names: Any) -> Any:
    last = names.value[-1]
    return last[1] if isinstance(last, tuple) else last
