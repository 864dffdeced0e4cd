"""Where the entries of a COCO file stand, and whose they are; what they say is not kept."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from masu.data.formats.coco_entries import Ids, category_name, folders_of, id_in, image_name
from masu.data.formats.editing import Plan, stamp_in, stamp_of
from masu.data.formats.json_stream import Piece, pieces, spans
from masu.data.formats.rows import BadEntryError
from masu.data.formats.tree import Look, Tree, folder_text
from masu.regular import open_regular

Array = np.ndarray[Any, Any]

KEYS = ("images", "annotations", "categories")
"""The lists of a file."""

_NOBODY = -(2**62)


class ReplacedError(Exception):
    """A file is another one by now than the one that was looked at."""


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    id: int


class _Image(msgspec.Struct, gc=False):
    id: int
    file_name: str


_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])
_IMAGES = msgspec.json.Decoder(list[_Image])


@dataclass(frozen=True)
class Entries:
    """A list of a file.

    Attributes:
        opening: where it begins, after its bracket.
        spans: ``(n, 2)`` where its entries stand.
        ids: ``(n,)`` ids of the entries, ``-1`` for those without.
    """

    opening: int
    spans: Array
    ids: Array

    @property
    def free(self) -> int:
        """An id beyond all that there are."""
        return max(int(self.ids.max(initial=0)), 0) + 1

    def changes(self, plan: Plan, text: bytes) -> list[tuple[int, int, bytes]]:
        """What to replace in the file.

        Args:
            plan: for entries by their position.
            text: the file.
        """
        gone = {at for at, new in plan.replaced.items() if new is None}
        made = [
            (int(self.spans[at, 0]), int(self.spans[at, 1]), new.encode())
            for at, new in plan.replaced.items()
            if new is not None
        ]
        count, first = len(self.spans), 0
        while first in gone:
            first += 1
        if first:
            end = self.spans[first, 0] if first < count else self.spans[count - 1, 1]
            made.append((int(self.spans[0, 0]), int(end), b""))
        made += [(int(self.spans[at - 1, 1]), int(self.spans[at, 1]), b"") for at in gone if at > first]
        end = int(self.spans[-1, 1]) if count else self.opening
        if plan.added:
            gap = self._gap(text)
            joined = gap.join(new.encode() for new in plan.added)
            made.append((end, end, (gap if first < count else b"") + joined))
        return made

    def _gap(self, text: bytes) -> bytes:
        """What stands between two entries."""
        if len(self.spans) > 1:
            return text[self.spans[-2, 1] : self.spans[-1, 0]]
        if len(self.spans):
            start, end = self.spans[0].tolist()
            return b"," + (text[self.opening : start] or (b" " if b'": ' in text[start:end] else b""))
        return b", "


class Listing:
    """One JSON file: where what stands in it.

    Attributes:
        path: the file.
        stamp: of it as it was looked at.
        word: its split, if it says one.
        look: how its images are looked for.
        lists: images, annotations and categories.
        names: of the images, by position.
        owners: ``(m,)`` the id of each annotation's image.
        used: ids of categories that have objects.
        categories: names by id.

    Raises:
        BadEntryError: for a file that cannot be read.
    """

    def __init__(self, path: Path, tree: Tree, word: str | None) -> None:
        self.path, self.word = path, word
        self.look = Look(tuple(dict.fromkeys(map(folder_text, folders_of(path, tree.root, word)))))
        self.stamp = stamp_of(path)
        self.ids = Ids()
        self.names: list[str] = []
        self.used: set[int] = set()
        self.categories: dict[int, str] = {}
        self._parts: dict[str, list[tuple[Array, Array]]] = {key: [] for key in KEYS}
        self._owners: list[Array] = []
        openings: dict[str, int] = {}
        for piece in pieces(path, frozenset(KEYS)):
            if piece.key in KEYS:
                if not piece.listed or (piece.number <= 1 and piece.key in openings):
                    raise BadEntryError(f"{piece.key!r} that is no list, or is there twice", "a list")
                openings.setdefault(piece.key, piece.at)
                self._take(piece)
        if missing := [key for key in KEYS if key not in openings]:
            raise BadEntryError(f"no key {missing[0]!r}", f"a list {missing[0]!r}")
        self.lists = {key: self._joined(key, openings[key]) for key in KEYS}
        self.owners = np.concatenate([np.zeros(0, np.int64), *self._owners])
        self._order = np.argsort(self.owners, kind="stable")
        self._sorted = self.owners[self._order]
        del self._parts, self._owners

    def _joined(self, key: str, opening: int) -> Entries:
        parts = self._parts[key]
        where = np.concatenate([np.zeros((0, 2), np.int64), *(one for one, _ in parts)])
        return Entries(opening, where, np.concatenate([np.zeros(0, np.int64), *(ids for _, ids in parts)]))

    def _take(self, piece: Piece) -> None:
        if piece.key == "images":
            ids, names = self._images(piece)
            self.names += names
        elif piece.key == "annotations":
            ids, owners = self._annotations(piece)
            self._owners.append(owners)
        else:
            ids = self._categories(piece)
        where = spans(piece)
        if len(ids) != len(where):
            raise BadEntryError(f"{piece.key!r} that cannot be taken apart", "a list of objects")
        self._parts[piece.key].append((where, ids))

    def _images(self, piece: Piece) -> tuple[Array, list[str]]:
        try:
            found = _IMAGES.decode(piece.text)
            if all(one.file_name for one in found):
                return np.array([one.id for one in found], np.int64), [one.file_name for one in found]
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError):
            pass
        numbers, names = [], []
        for entry in _entries(piece):
            number, name = -1, ""
            with suppress(BadEntryError):
                number, name = self.ids.number(id_in(entry, "id", (int, str))), image_name(entry)
            numbers.append(number)
            names.append(name)
        return np.array(numbers, np.int64), names

    def _annotations(self, piece: Piece) -> tuple[Array, Array]:
        try:
            found = _ANNOTATIONS.decode(piece.text)
            self.used |= {one.category_id for one in found}
            return (
                np.array([one.id for one in found], np.int64),
                np.array([one.image_id for one in found], np.int64),
            )
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError):
            pass
        numbers, owners = [], []
        for entry in _entries(piece):
            own = entry.get("id")
            numbers.append(own if isinstance(own, int) and 0 <= own < 2**53 else -1)
            owner = _NOBODY
            with suppress(BadEntryError):
                owner = self.ids.number(id_in(entry, "image_id", (int, str)))
                self.used.add(self.ids.number(id_in(entry, "category_id", (int,))))
            owners.append(owner)
        return np.array(numbers, np.int64), np.array(owners, np.int64)

    def _categories(self, piece: Piece) -> Array:
        numbers = []
        for entry in _entries(piece):
            key = id_in(entry, "id", (int,))
            self.categories[key] = category_name(entry)
            numbers.append(key)
        return np.array(numbers, np.int64)

    def own(self, image: int) -> Array:
        """The positions of an image's annotations, in their order.

        Args:
            image: its id.
        """
        first, last = np.searchsorted(self._sorted, [image, image + 1])
        found: Array = self._order[first:last]
        return found

    def mark(self, row: int, content: bytes) -> int:
        """A number that differs when what is written of an image does.

        Args:
            row: of the image.
            content: the file.
        """
        view = memoryview(content)
        start, end = self.lists["images"].spans[row].tolist()
        mark = zlib.crc32(view[start:end])
        own = self.own(int(self.lists["images"].ids[row]))
        for start, end in self.lists["annotations"].spans[own].tolist():
            mark = zlib.crc32(view[start:end], mark)
        return mark

    def texts(self, key: str, positions: Sequence[int]) -> list[bytes]:
        """Entries of a list as they are written.

        Raises:
            ReplacedError: where the file is another one by now.
            BadEntryError: where it cannot be read.
        """
        found = []
        try:
            with open_regular(self.path) as stream:
                if stamp_in(os.fstat(stream.fileno())) != self.stamp:
                    raise ReplacedError
                for start, end in self.lists[key].spans[list(positions)].tolist():
                    stream.seek(start)
                    found.append(stream.read(end - start))
        except OSError as error:
            raise BadEntryError(f"a file that cannot be read ({error})", "annotations") from None
        return found


def _entries(piece: Piece) -> list[dict[str, Any]]:
    try:
        entries = json.loads(piece.text)
    except (ValueError, RecursionError) as error:
        raise BadEntryError(f"broken JSON in {piece.key!r} ({error})", "annotations") from None
    if not all(isinstance(entry, dict) for entry in entries):
        raise BadEntryError(f"{piece.key!r} of other things than objects", "objects")
    found: list[dict[str, Any]] = entries
    return found
