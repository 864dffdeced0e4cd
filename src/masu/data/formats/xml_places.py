"""Where elements stand in the bytes of an XML file, so that one is changed and all others stay as written."""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.parsers import expat

_TAG = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=>]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*(/?)>""")


class Part(NamedTuple):
    """An element by positions of bytes.

    Attributes:
        path: its name after those of the elements around it; names of another namespace hold a blank.
        start: of its first tag.
        inner: after that tag.
        closing: of its last tag; where there is but one, ``inner``.
        end: after it.
    """

    path: tuple[str, ...]
    start: int
    inner: int
    closing: int
    end: int


def parts_of(content: bytes, encoding: str | None = None) -> list[Part]:
    """All elements of a file or of a piece of it, in the order in which they begin.

    Args:
        content: XML that a parser has accepted before, without entities of its own.
        encoding: where it does not say it.

    Raises:
        ValueError: for anything that is no such XML.
    """
    parser = expat.ParserCreate(encoding, " ")
    path: list[str] = []
    found: list[Part] = []
    waiting: list[int] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        start = parser.CurrentByteIndex
        tag = _TAG.match(content, start)
        if tag is None:
            raise ValueError(f"a tag that cannot be understood, byte {start}")
        path.append(name)
        waiting.append(len(found))
        alone = tag.end() if tag[1] else -1
        found.append(Part(tuple(path), start, tag.end(), alone, alone))

    def end(name: str) -> None:
        number = waiting.pop()
        path.pop()
        if found[number].end < 0:
            at = parser.CurrentByteIndex
            found[number] = found[number]._replace(closing=at, end=content.index(b">", at) + 1)

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from None
    return found


def spliced(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The content with pieces replaced: start, end and new bytes of each; none overlap."""
    parts, at = [], 0
    for start, end, new in sorted(changes, key=lambda change: change[:2]):
        parts += [content[at:start], new]
        at = end
    return b"".join((*parts, content[at:]))


def blank_before(content: bytes, at: int) -> int:
    """Where the blanks that end at a position begin."""
    return len(content[:at].rstrip(b" \t\r\n"))
