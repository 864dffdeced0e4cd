"""The lists of a large JSON file, some entries at a time, so that the whole never lies in memory.

Only the file's outer object is walked here: where its lists begin and where their entries end. What an entry
says is for a JSON library.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from masu.data.formats.rows import BadEntryError
from masu.regular import open_regular, size_of

Array = np.ndarray[Any, Any]

MOST_BYTES = 256_000_000
"""Size of one entry."""

_BLOCK = 4_000_000
_QUOTE, _BACKSLASH, _COMMA = 34, 92, 44
_DEPTH = np.zeros(256, np.int8)
_DEPTH[[ord("["), ord("{")]] = 1
_DEPTH[[ord("]"), ord("}")]] = -1
_MARKS = _DEPTH != 0
_MARKS[_COMMA] = True
_SPACE = b" \t\r\n"
_BLANK = np.zeros(256, np.bool_)
_BLANK[list(_SPACE)] = True
_NONE = np.zeros(0, np.int64)


class Piece(NamedTuple):
    """Some entries of a list, or the whole value of another kind.

    Attributes:
        key: the list's key in the outer object.
        number: position of the first entry, from 1.
        text: JSON, a list of the entries; of another kind of value, that value.
        listed: whether it is of a list.
        at: where the text stands in the file, that of a list without its brackets.
        commas: ``(n - 1,)`` int64, where the commas between its n entries stand in the file.
    """

    key: str
    number: int
    text: bytes
    listed: bool
    at: int
    commas: Array


def pieces(file: Path, keys: frozenset[str]) -> Iterator[Piece]:
    """The values of an object's keys, lists in pieces; values of other keys are passed over.

    Raises:
        BadEntryError: where the file cannot be read, or its outer structure is not that of a JSON object.
    """
    try:
        with open_regular(file) as stream:
            if not size_of(file):
                raise BadEntryError("an empty file", "a JSON object")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
                yield from _Walk(text).values(keys)
    except OSError as error:
        raise BadEntryError(f"unusable JSON ({type(error).__name__}: {error})", "annotations") from None


def spans(piece: Piece) -> Array:
    """Where the entries of a list's piece stand in the file: ``(n, 2)`` int64, first byte and after the last.

    Args:
        piece: of a list whose JSON is sound.
    """
    block = np.frombuffer(piece.text, np.uint8)[1:-1]
    if not piece.text[1:-1].strip(_SPACE):
        return np.zeros((0, 2), np.int64)
    commas = piece.commas - piece.at
    starts, ends = np.concatenate([[0], commas + 1]), np.concatenate([commas, [len(block)]])
    while (more := _BLANK[block[starts]]).any():
        starts = starts + more
    while (more := _BLANK[block[ends - 1]]).any():
        ends = ends - more
    found: Array = np.stack([starts, ends], axis=1).astype(np.int64) + piece.at
    return found


class _Walk:
    def __init__(self, text: mmap.mmap) -> None:
        self.text = text
        self.at = 3 if text[:3] == b"\xef\xbb\xbf" else 0

    def values(self, keys: frozenset[str]) -> Iterator[Piece]:
        self._expect(b"{")
        if self._peek() == b"}":
            self.at += 1
        else:
            while True:
                key = self._key()
                self._expect(b":")
                if self._peek() == b"[" and key in keys:
                    yield from self._entries(key)
                else:
                    start = self.at
                    self._skip()
                    if key in keys:
                        yield Piece(key, 1, self.text[start : self.at], False, start, _NONE)
                    else:
                        yield Piece(key, 0, b"", False, start, _NONE)
                if self._peek() == b"}":
                    self.at += 1
                    break
                self._expect(b",")
        if self._peek():
            raise self._broken("more after the end of the object")

    def _entries(self, key: str) -> Iterator[Piece]:
        """A list in pieces of about a block; each ends where an entry does."""
        self.at += 1
        number, start = 1, self.at
        depth, inside, escaped = 0, False, False
        block_at, cut, count = self.at, -1, 0
        while True:
            block = np.frombuffer(self.text[block_at : block_at + _BLOCK], np.uint8)
            if not len(block):
                raise self._broken("the end of the file in a list")
            outer, levels, inside, escaped = _structure(block, depth, inside, escaped)
            closing = np.flatnonzero(levels < 0)
            if len(closing):
                end = block_at + int(outer[closing[0]])
                text = self.text[start:end]
                outer, levels = outer[: closing[0]], levels[: closing[0]]
                commas = block_at + outer[(block[outer] == _COMMA) & (levels == 0)]
                self.at = end + 1
                if self.text[end : end + 1] != b"]":
                    raise self._broken("a list that ends with another bracket")
                if text.strip(_SPACE) or number > 1 or count:
                    yield Piece(key, number, b"[" + text + b"]", True, start, commas)
                else:
                    yield Piece(key, 1, b"[]", True, start, _NONE)
                return
            between = np.flatnonzero((block[outer] == _COMMA) & (levels == 0))
            count += len(between)
            if len(between):
                cut = block_at + int(outer[between[-1]])
                text, commas = self.text[start:cut], block_at + outer[between[:-1]]
                yield Piece(key, number, b"[" + text + b"]", True, start, commas)
                number, start, count = number + count, cut + 1, 0
                _forget(self.text)
            depth = int(levels[-1]) if len(levels) else depth
            block_at += len(block)
            if block_at - start > MOST_BYTES:
                found = f"an entry of {key!r} of more than {MOST_BYTES / 1e6:.0f} MB"
                raise BadEntryError(found, "smaller ones")

    def _key(self) -> str:
        if self._peek() != b'"':
            raise self._broken("no key where one should be")
        start = self.at
        self._string()
        try:
            return str(json.loads(self.text[start : self.at]))
        except ValueError:
            raise self._broken("a key that cannot be read") from None

    def _string(self) -> None:
        at = self.at + 1
        while True:
            at = self.text.find(b'"', at)
            if at < 0:
                raise self._broken("a string without its end")
            back = at
            while self.text[back - 1 : back] == b"\\":
                back -= 1
            at += 1
            if (at - 1 - back) % 2 == 0:
                self.at = at
                return

    def _skip(self) -> None:
        """Pass over any value."""
        first = self._peek()
        if first == b'"':
            self._string()
        elif first in (b"[", b"{"):
            self.at += 1
            depth, inside, escaped = 1, False, False
            while True:
                block = np.frombuffer(self.text[self.at : self.at + _BLOCK], np.uint8)
                if not len(block):
                    raise self._broken("the end of the file in a value")
                outer, levels, inside, escaped = _structure(block, depth, inside, escaped)
                ends = np.flatnonzero(levels == 0)
                if len(ends):
                    self.at += int(outer[ends[0]]) + 1
                    return
                depth = int(levels[-1]) if len(levels) else depth
                self.at += len(block)
                _forget(self.text)
        else:
            start = self.at
            while self.text[self.at : self.at + 1] not in (b"", b",", b"}", b"]", b" ", b"\t", b"\r", b"\n"):
                self.at += 1
            if self.at == start:
                raise self._broken("no value where one should be")

    def _peek(self) -> bytes:
        while (letter := self.text[self.at : self.at + 1]) and letter in _SPACE:
            self.at += 1
        return letter

    def _expect(self, letter: bytes) -> None:
        found = self._peek()
        if found != letter:
            raise self._broken(
                f"{found.decode('latin-1') or 'the end'!r} where {letter.decode()!r} should be"
            )
        self.at += 1

    def _broken(self, what: str) -> BadEntryError:
        line = self.text[: self.at].count(b"\n") + 1 if self.at < 100_000_000 else 0
        place = f"line {line}" if line else f"byte {self.at}"
        return BadEntryError(f"broken JSON ({what}: {place})", "annotations")


def _forget(text: mmap.mmap) -> None:
    """Give the pages back that were read; they stay in the system's cache."""
    if hasattr(mmap, "MADV_DONTNEED"):
        text.madvise(mmap.MADV_DONTNEED)


def _structure(block: Array, depth: int, inside: bool, escaped: bool) -> tuple[Array, Array, bool, bool]:
    """The brackets and commas outside of strings, the depth after each, and how the block ends.

    Args:
        block: bytes.
        depth: of brackets before it.
        inside: whether it begins in a string.
        escaped: whether its first byte stands after a lone backslash.
    """
    quotes = block == _QUOTE
    ends_escaped = False
    backslashes = np.flatnonzero(block == _BACKSLASH)
    if len(backslashes) or escaped:
        hidden = _escaped(backslashes, len(block), escaped)
        ends_escaped = len(block) in hidden
        quotes[list(hidden - {len(block)})] = False
    within = np.logical_xor.accumulate(quotes) ^ inside
    outer = np.flatnonzero(_MARKS[block] & ~within)
    levels = depth + np.cumsum(_DEPTH[block[outer]], dtype=np.int64)
    return outer, levels, bool(within[-1]), ends_escaped


def _escaped(backslashes: Array, length: int, first: bool) -> set[int]:
    """The positions that stand after a backslash which is not itself escaped; ``length`` is the next byte."""
    hidden: set[int] = {0} if first else set()
    for at in backslashes.tolist():
        if at not in hidden:
            hidden.add(at + 1)
    return hidden
