"""Photographs that come into a folder while it is open, found by looking at the times of its folders."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from masu.data.formats.tree import is_image

_FRESH = 3e9
"""Nanoseconds in which a folder's time may stay though another file comes; on some drives it is coarse."""


class _Seen(NamedTuple):
    """A folder as it was looked at.

    Attributes:
        time: of its last change, in nanoseconds.
        settled: what comes after the look gives it another time.
        folders: paths of those in it.
        photographs: names of those in it.
    """

    time: int
    settled: bool
    folders: tuple[str, ...]
    photographs: frozenset[str]


class Arrivals:
    """What comes into a folder and those below it; behind links nothing is looked for.

    Args:
        folder: with photographs.
        known: those that are there already.
    """

    def __init__(self, folder: Path, known: Iterable[Path]) -> None:
        self._folder = os.fspath(folder)
        names: dict[str, set[str]] = {}
        for path in known:
            above, name = os.path.split(os.fspath(path))
            names.setdefault(above or os.curdir, set()).add(name)
        self._seen = {above: _Seen(0, False, (), frozenset(own)) for above, own in names.items()}

    def look(self) -> list[Path]:
        """The photographs that have come since the last look.

        A folder in which nothing has changed costs one question for its time; another one is listed.
        """
        found: list[Path] = []
        seen: dict[str, _Seen] = {}
        waiting = [self._folder]
        while waiting:
            folder = waiting.pop()
            with suppress(OSError):  # it has gone
                changed = os.stat(folder).st_mtime_ns
                known = self._seen.get(folder)
                if known is None or known.time != changed or not known.settled:
                    now = _looked_at(folder, changed)
                    fresh = now.photographs - (known.photographs if known is not None else frozenset())
                    found += [Path(folder, name) for name in sorted(fresh)]
                    known = now
                seen[folder] = known
                waiting += known.folders
        self._seen = seen
        return found


def _looked_at(folder: str, changed: int) -> _Seen:
    """A folder as it is, with the time of its last change in nanoseconds."""
    settled = time.time_ns() - changed > _FRESH
    folders, names = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_image(entry.name) and entry.is_file():
                names.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
    return _Seen(changed, settled, tuple(folders), frozenset(names))
