"""What a page sends, as the records of a sitting; anything else is refused with what was wanted."""

from __future__ import annotations

import math
from typing import Any

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.editing import Entry
from masu.drafts.draft import Box
from masu.labelling.unfinished import Suggestion
from masu.service.limits import RefusedError

STATES = ("done", "unfinished", "open", "dropped")
"""What a page may make of a photograph; ``dropped`` forgets unfinished work."""

MOST_BOXES = 10_000
"""Of one photograph."""

_LONGEST = 200
_MOST_SECONDS = 86_400.0

Values = dict[str, Any]


def saving(body: Values) -> Values:
    """The labels of a photograph that a page sends.

    Returns:
        ``state``, ``version``, ``labels`` (entries), ``drafts`` (suggestions, or None) and ``seconds``.

    Raises:
        RefusedError: another form.
    """
    state, version = body.get("state"), body.get("version")
    if state not in STATES:
        raise RefusedError(400, f"state: wanted one of {', '.join(STATES)}")
    if not isinstance(version, str):
        raise RefusedError(400, "version: wanted that of the photograph")
    seconds = body.get("seconds", 0)
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
    drafts = body.get("drafts")
    return {
        "state": state,
        "version": version,
        "labels": tuple(_entry(one, at) for at, one in enumerate(_list(body, "labels"), start=1)),
        "drafts": None
        if drafts is None
        else tuple(_suggestion(one, at) for at, one in enumerate(_list(body, "drafts"), start=1)),
        "seconds": min(max(float(seconds), 0.0), _MOST_SECONDS) if known else 0.0,
    }


def text_of(body: Values, key: str) -> str:
    """A short text of a body.

    Raises:
        RefusedError: none, or a long one.
    """
    text = body.get(key)
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST:
        raise RefusedError(400, f"{key}: wanted a text of 1 to {_LONGEST} characters")
    return text


def _list(body: Values, key: str) -> list[Any]:
    rows = body.get(key, [])
    if not isinstance(rows, list) or len(rows) > MOST_BOXES:
        raise RefusedError(400, f"{key}: wanted a list of at most {MOST_BOXES}")
    return rows


def _entry(one: Any, at: int) -> Entry:
    thing = f"label {at}"
    box, name = _box_and_name(one, thing)
    place = one.get("place", [])
    whole = isinstance(place, list) and all(isinstance(x, int) and not isinstance(x, bool) for x in place)
    if not whole:
        raise RefusedError(400, f"{thing}, place: wanted whole numbers")
    flag = CROWD * (one.get("crowd") is True) | DIFFICULT * (one.get("difficult") is True)
    return Entry(box, name, flag, tuple(place))


def _suggestion(one: Any, at: int) -> Suggestion:
    thing = f"draft {at}"
    box, name = _box_and_name(one, thing)
    score = one.get("score")
    if not isinstance(score, int | float) or isinstance(score, bool) or not 0 <= score <= 1:
        raise RefusedError(400, f"{thing}, score: wanted a number in 0..1")
    return Suggestion(box, name, float(score))


def _box_and_name(one: Any, thing: str) -> tuple[Box, str]:
    box = one.get("box") if isinstance(one, dict) else None
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        raise RefusedError(400, f"{thing}, box: wanted x1 y1 x2 y2 in pixels")
    x1, y1, x2, y2 = (float(value) for value in box)
    if x1 >= x2 or y1 >= y2:
        raise RefusedError(400, f"{thing}, box: wanted x1 < x2 and y1 < y2")
    name = one.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
        raise RefusedError(400, f"{thing}, name: wanted that of a class")
    return (x1, y1, x2, y2), name


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
