"""Which labelled photographs no model of a sitting ever learns from, so that its figures mean something.

They are drawn from all photographs of the folder by their names alone, before anybody has looked, and only
chance says when they are labelled: so they are like the rest, whichever photographs the model asks for. A
training that goes on from the last model must hold back the same ones as the one before: the part of each is
decided once, when it is first labelled, and written down.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from masu.atomic import write_text
from masu.json_text import to_json
from masu.regular import read_text

FEWEST = 5
"""Labelled photographs that the first round wants."""

EVERY = 5
"""One of so many photographs is drawn; the first ``EVERY`` labelled groups all teach."""


def draw(names: Iterable[str]) -> frozenset[str]:
    """One of ``EVERY`` photographs by a checksum of their names: the same ones at each start.

    Where photographs come later, those that were drawn stay so, up to a few where the share is rounded.

    Args:
        names: of all photographs of the folder.
    """
    ordered = sorted(names, key=lambda name: hashlib.sha256(b"held back " + name.encode()).digest())
    return frozenset(ordered[: math.ceil(len(ordered) / EVERY)])


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

    def is_due(self, labelled: Collection[str], drawn: Collection[str]) -> bool:
        """Whether one that is drawn is to be labelled next: the sixth, and one of five from then on.

        Args:
            labelled: names of all labelled photographs.
            drawn: see :func:`draw`.
        """
        parts = (self._parts.get(name, HELD if name in drawn else TEACHES) for name in labelled)
        held = sum(part == HELD for part in parts)
        return held < (len(labelled) - held - 1) // (EVERY - 1)

    def decide(
        self, names: Sequence[str], groups: Sequence[Sequence[int]], drawn: Collection[str]
    ) -> list[Part]:
        """The part of each labelled photograph: those that are drawn are held back.

        Args:
            names: of all labelled photographs; the new ones are decided in their order.
            groups: positions of photographs that are almost the same, as of
                :func:`masu.data.audit.fingerprints.near_duplicates`. They are of one part, that of the first.
                A new one that is like one that teaches and one that is held back is of neither.
            drawn: see :func:`draw`.

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
                held = self._groups >= EVERY and name in drawn
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
