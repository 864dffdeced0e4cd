"""Very many names in order, each once, in little memory: sorted runs on disk, which are merged."""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

RUN = 500_000
"""Names that are sorted in memory: some 100 MB."""

_LINE = 1000  # names of a line of a run, of which every run has one in memory while they are merged


@contextmanager
def sorted_names(names: Iterable[str]) -> Iterator[Iterator[str]]:
    """The names, sorted by code points, each once.

    More than ``RUN`` of them wait in the system's folder for temporary files (``TMPDIR``), which they leave
    when the block ends.
    """
    stream = iter(names)
    first = sorted(islice(stream, RUN))
    if len(first) < RUN:
        yield _each_once(first)
        return
    with tempfile.TemporaryDirectory(prefix="masu-") as folder:
        runs: list[Path] = []
        while first:
            runs.append(Path(folder, f"{len(runs)}.jsonl"))
            # JSON is ASCII: a name may hold a line break, or bytes that are not UTF-8
            with runs[-1].open("w", encoding="ascii") as file:
                file.writelines(f"{json.dumps(first[i : i + _LINE])}\n" for i in range(0, len(first), _LINE))
            first.clear()
            first = sorted(islice(stream, RUN))
        yield _each_once(heapq.merge(*map(_read, runs)))


def _read(run: Path) -> Iterator[str]:
    with run.open(encoding="ascii") as file:
        for line in file:
            yield from json.loads(line)


def _each_once(names: Iterable[str]) -> Iterator[str]:
    before = None
    for name in names:
        if name != before:
            yield name
        before = name
