"""The mark of a file of shapes that a model drafted, which holds until somebody saves the file.

LabelMe and X-AnyLabeling keep keys that they do not know, scores among them, so that neither says who looked.
What they cannot keep is the rest: a save writes their own version and keys. So the mark has a checksum of all
else in the file, and is void as soon as that is another. The flag ``draft`` beside it is for the person: both
programs show it as a box to untick where every shape is right and there is nothing else to save.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from masu.errors import counted, listed

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


def said_of_drafts(drafts: Sequence[Path], root: Path) -> str | None:
    """That photographs hold drafts alone, and what makes labels of these; None without any.

    Args:
        drafts: see :attr:`masu.data.dataset.Dataset.drafts`.
        root: the data set's folder.
    """
    if not drafts:
        return None
    hold, they = ("holds", "it is") if len(drafts) == 1 else ("hold", "they are")
    names = listed((path.name for path in drafts), 3)
    return (
        f"{counted(len(drafts), 'photograph')} {hold} drafts that nobody confirmed, and {they} left out: "
        f"{names}; {how_to_confirm(root)}"
    )


def how_to_confirm(root: Path) -> str:
    """What one does with drafts that nobody confirmed.

    Args:
        root: the data set's folder.
    """
    return f"confirm them in masu label {shlex.quote(str(root))}, or save each in your labelling tool"


def _seal(content: dict[str, Any]) -> str:
    """The same however the text of a file is laid out."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_DIGITS]
