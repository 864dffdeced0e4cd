"""The mark of a file of shapes that a model drafted, which holds until somebody saves the file.

LabelMe and X-AnyLabeling keep keys that they do not know, scores among them, so that neither says who looked.
What they cannot keep is the rest: a save writes their own version and keys. So the mark has a checksum of all
else in the file, and is void as soon as that is another. The flag ``draft`` beside it is for the person: both
programs show it as a box to untick where every shape is right and there is nothing else to save.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

_MARK = "draft"
_DIGITS = 16


def marked(content: dict[str, Any], model: str) -> dict[str, Any]:
    """The content of a file with the mark.

    Args:
        content: of a file without it.
        model: version of the model that drafted, such as ``cells-1f2e3d4c``.

    Returns:
        Another content, with the keys ``flags`` and ``draft``.
    """
    flagged = content | {"flags": {_MARK: True}}
    return flagged | {_MARK: {"model": model, "seal": _seal(flagged)}}


def drafted_by(content: dict[str, Any]) -> str | None:
    """The model that drafted a file which nobody has saved since.

    Args:
        content: of the file.

    Returns:
        Its version; None of a file that was saved since, or that no model drafted.
    """
    mark = content.get(_MARK)
    if not isinstance(mark, dict) or not isinstance(mark.get("model"), str):
        return None
    rest = {key: value for key, value in content.items() if key != _MARK}
    with suppress(RecursionError):
        if mark.get("seal") == _seal(rest):
            model: str = mark["model"]
            return model
    return None


def unmarked(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a drafted file without the mark: what it is once somebody has answered.

    Args:
        content: of the file.

    Returns:
        Another content; all else stays.
    """
    return {key: value for key, value in content.items() if key != _MARK} | {"flags": {}}


def _seal(content: dict[str, Any]) -> str:
    """The same however the text of a file is laid out."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_DIGITS]
