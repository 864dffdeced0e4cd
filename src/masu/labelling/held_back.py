"""Which labelled photographs no model of a sitting ever learns from, so that its figures mean something.

A training that goes on from the last model must hold back the same photographs as the one before: the part of
each is decided once, when it is first labelled, and written down.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from masu.atomic import write_text
from masu.json_text import to_json
from masu.regular import read_text

EVERY = 5
"""One of so many groups is held back; the first ``EVERY`` all teach."""


class HeldBack:
    """The part of each labelled photograph.

    Args:
        file: where it is written down; made when it is first asked.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held: dict[str, bool] = {}
        self._groups = 0
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            content = json.loads(read_text(file))
            self._groups = int(content["groups"])
            self._held = {str(name): bool(held) for name, held in content["held"].items()}

    @property
    def known(self) -> bool:
        """Whether anything was decided before."""
        return bool(self._held)

    def decide(self, names: Sequence[str], groups: Sequence[Sequence[int]]) -> list[bool]:
        """For each labelled photograph whether it is held back; the new ones are decided in their order.

        Args:
            names: of all labelled photographs.
            groups: positions of photographs that are almost the same, as of
                :func:`masu.data.audit.fingerprints.near_duplicates`. They are held back together; where
                earlier members are on both sides, a new one teaches.

        Raises:
            WriteError: where it cannot be written down.
        """
        group_of = list(range(len(names)))
        for same in groups:
            for position in same:
                group_of[position] = same[0]
        of_group: dict[int, bool] = {}
        for name, group in zip(names, group_of, strict=True):
            if name in self._held:
                of_group[group] = self._held[name] and of_group.get(group, True)
        before = dict(self._held)
        for name, group in zip(names, group_of, strict=True):
            if name in self._held:
                continue
            if group not in of_group:
                of_group[group] = self._groups >= EVERY and self._groups % EVERY == 0
                self._groups += 1
            self._held[name] = of_group[group]
        if self._held != before:
            write_text(self._file, to_json({"groups": self._groups, "held": self._held}))
        return [self._held[name] for name in names]
