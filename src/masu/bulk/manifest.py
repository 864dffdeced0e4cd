"""The sorted list of a job's images, in pages beside its parts: read piece by piece, by workers as well."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import groupby, islice, repeat
from operator import itemgetter
from typing import overload

from masu.bulk.stores import Store
from masu.errors import bad_input

PAGE = 65_536
"""Names of a page: some megabytes in memory, a tenth of that in the store."""


class Images(Sequence[str]):
    """The images of a job, as a sequence of which the last page that was asked for is in memory.

    Args:
        store: the folder of the job.
        count: how many there are.
    """

    def __init__(self, store: Store, count: int) -> None:
        self.store = store
        self._count = count
        self._page: tuple[int, list[str]] = (-1, [])

    def __reduce__(self) -> tuple[type[Images], tuple[Store, int]]:
        return Images, (self.store, self._count)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        """An image or some.

        Raises:
            InputError: where their page is missing or damaged.
        """
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(self._count))]
        if not 0 <= place < self._count:
            raise IndexError(place)
        number = place // PAGE
        if self._page[0] != number:
            self._page = number, self._read(number)
        return self._page[1][place % PAGE]

    def _read(self, number: int) -> list[str]:
        name = page_name(number)
        wanted = min(PAGE, self._count - number * PAGE)
        try:
            names = json.loads(gzip.decompress(self.store.read(name)))
        except (FileNotFoundError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, RecursionError):
            names = None
        if not isinstance(names, list) or len(names) != wanted:
            raise bad_input(
                f"{self.store}/{name}",
                "no readable page",
                f"{wanted} names of images",
                "choose another --out",
                code="other-version",
            )
        return names


def page_name(number: int) -> str:
    """The file of a page; readers of Parquet folders pass over it."""
    return f"_images-{number:06d}.json.gz"


def write_pages(store: Store, names: Iterable[str]) -> Images:
    """Write sorted names, each once, as the pages of a job."""
    stream, count = iter(names), 0
    while page := list(islice(stream, PAGE)):
        # JSON is ASCII: a name that is not UTF-8 survives
        content = gzip.compress(json.dumps(page).encode(), compresslevel=5, mtime=0)
        store.write(page_name(count // PAGE), content)
        count += len(page)
    return Images(store, count)


def difference(before: Iterable[str], now: Iterable[str]) -> str:
    """How two sorted lists differ, in words; empty where they do not. Neither is held in memory."""
    counts = Counter[str]()
    first: dict[str, str] = {}
    sides = merge(zip(before, repeat("gone")), zip(now, repeat("new")))
    for name, group in groupby(sides, key=itemgetter(0)):
        found = [side for _, side in group]
        counts.update(found)
        if len(found) == 1:
            counts["only " + found[0]] += 1
            first.setdefault(found[0], name)
    if not first:
        return ""
    totals = f"{counts['gone']} images, now {counts['new']}"
    only = f"{counts['only gone']} gone, {counts['only new']} new"
    return f"{totals}: {only}, such as {first.get('gone') or first['new']}"
