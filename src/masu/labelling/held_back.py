"""Which labelled photographs no model of a sitting ever learns from, so that its figures mean something.

A training that goes on from the last model must hold back the same photographs as the one before: the part of
each is decided once, when it is first labelled, and written down.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from masu.atomic import write_text
from masu.json_text import to_json
from masu.regular import read_text

FEWEST = 5
"""Labelled photographs that the first round wants."""

EVERY = 5
"""One of so many groups is held back; the first ``EVERY`` all teach."""


Part = Literal["teaches", "held", "neither"]
TEACHES: Part = "teaches"
HELD: Part = "held"
NEITHER: Part = "neither"


class HeldBack:
    """The part of each labelled photograph.

    Args:
        file: where it is written down; made when it is first asked.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._parts: dict[str, Part] = {}
        self._groups = 0
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            content = json.loads(read_text(file))
            groups = int(content["groups"])
            self._parts = {str(name): _part(part) for name, part in content["parts"].items()}
            self._groups = groups

    @property
    def known(self) -> bool:
        """Whether anything was decided before; else nobody knows what earlier models learned from."""
        return bool(self._parts)

    def decide(self, names: Sequence[str], groups: Sequence[Sequence[int]]) -> list[Part]:
        """The part of each labelled photograph; the new ones are decided in their order.

        Args:
            names: of all labelled photographs.
            groups: positions of photographs that are almost the same, as of
                :func:`masu.data.audit.fingerprints.near_duplicates`. They are of one part. A new one that is
                like one that teaches and one that is held back is of neither.

        Raises:
            WriteError: where it cannot be written down.
        """
        group_of = list(range(len(names)))
        for same in groups:
            for position in same:
                group_of[position] = same[0]
        of_group: dict[int, set[Part]] = {}
        for name, group in zip(names, group_of, strict=True):
            if name in self._parts:
                of_group.setdefault(group, set()).add(self._parts[name])
        before = dict(self._parts)
        for name, group in zip(names, group_of, strict=True):
            if name in self._parts:
                continue
            if group not in of_group:
                held = self._groups >= EVERY and self._groups % EVERY == 0
                of_group[group] = {HELD if held else TEACHES}
                self._groups += 1
            (part,) = of_group[group] if len(of_group[group]) == 1 else (NEITHER,)
            self._parts[name] = part
        if self._parts != before:
            write_text(self._file, to_json({"groups": self._groups, "parts": self._parts}))
        return [self._parts[name] for name in names]


def _part(text: str) -> Part:
    found: dict[str, Part] = {TEACHES: TEACHES, HELD: HELD, NEITHER: NEITHER}
    return found[text]
