"""Where values stand in the text of a JSON file, so that one is changed and all others stay as written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")
_FIRST_LINE = re.compile(r"[ \t\n\r]*[\[{]\r?\n([ \t]+)")


class Span(NamedTuple):
    """A value: the positions of its first letter and after its last."""

    start: int
    end: int


def list_in(text: str, key: str) -> tuple[Span, list[Span]]:
    """The list under a key of the object that a text is, and its entries; of a key twice the last.

    Raises:
        ValueError: where there is no object, or no such list.
    """
    found: tuple[Span, list[Span]] | None = None
    at = _after_blanks(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("no object")
    at = _after_blanks(text, at + 1)
    while text[at : at + 1] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _after_blanks(text, _after_blanks(text, at) + 1)
        if name == key and text[start : start + 1] == "[":
            spans, at = _entries(text, start)
            found = Span(start, at), spans
        else:
            at = _DECODER.raw_decode(text, start)[1]
            found = None if name == key else found
        at = _after_comma(text, at)
    if found is None:
        raise ValueError("no list")
    return found


def _entries(text: str, at: int) -> tuple[list[Span], int]:
    """The entries of the list that begins at a position, and where it ends."""
    found = []
    at = _after_blanks(text, at + 1)
    while text[at : at + 1] != "]":
        end = _DECODER.raw_decode(text, at)[1]
        found.append(Span(at, end))
        at = _after_comma(text, end)
    return found, at + 1


def with_list(
    text: str, whole: Span, spans: Sequence[Span], replaced: Mapping[int, str | None], added: Sequence[str]
) -> str:
    """The text with a list of its outer object changed.

    Args:
        text: all of it.
        whole: the list.
        spans: its entries.
        replaced: new entries by position; None: the entry goes.
        added: entries that come at the end; see :func:`written`.
    """
    unit, line = indentation(text)
    opening = line + 2 * unit if unit else ""
    gap, closing = "," + (opening or " "), line + unit if unit else ""
    if spans:
        opening, closing = text[whole.start + 1 : spans[0].start], text[spans[-1].end : whole.end - 1]
        gap = text[spans[0].end : spans[1].start] if len(spans) > 1 else "," + (opening or " ")
    parts: list[str] = []
    for number, span in enumerate(spans):
        entry = replaced.get(number, text[span.start : span.end])
        if entry is not None:
            between = text[spans[number - 1].end : span.start] if number else gap
            parts += [between if parts else opening, entry]
    for entry in added:
        parts += [gap if parts else opening, entry]
    made = "".join(["[", *parts, closing, "]"]) if parts else "[]"
    return text[: whole.start] + made + text[whole.end :]


def written(value: Any, text: str, depth: int) -> str:
    """A value as JSON, in lines and with the indentation of a text.

    Args:
        value: of JSON.
        text: that it is to stand in.
        depth: how many brackets it is to stand in.
    """
    unit, line = indentation(text)
    if not unit:
        return as_utf8(value)
    return as_utf8(value, indent=unit).replace("\n", line + depth * unit)


def as_utf8(value: Any, **options: Any) -> str:
    """``json.dumps`` with letters as they are, and as escapes where it holds halves of letters."""
    text = json.dumps(value, ensure_ascii=False, **options)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, **options)
    return text


def indentation(text: str) -> tuple[str, str]:
    """What each level is indented by, and the line break; two empty texts where all is on one line."""
    first = _FIRST_LINE.match(text)
    if first is None:
        return "", ""
    return first[1], "\r\n" if "\r\n" in first[0] else "\n"


def _after_blanks(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return at if match is None else match.end()


def _after_comma(text: str, at: int) -> int:
    at = _after_blanks(text, at)
    return _after_blanks(text, at + 1) if text[at : at + 1] == "," else at
