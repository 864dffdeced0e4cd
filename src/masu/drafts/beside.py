"""Drafts as files beside the photographs, as LabelMe and X-AnyLabeling keep them, none overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from masu.atomic import write_new
from masu.data.formats.labelme import LABELME, X_ANYLABELING, Dialect, page, rectangle
from masu.drafts.draft import Draft

DIALECTS: dict[str, Dialect] = {"labelme": LABELME, "xanylabeling": X_ANYLABELING}
"""Of the tools whose files lie beside the photographs."""


def file_beside(photograph: Path) -> Path:
    """Where the tools look for the shapes of a photograph."""
    return photograph.with_suffix(".json")


def write_beside(draft: Draft, dialect: Dialect, *, swept: bool) -> bool:
    """Write the file of one photograph; False where there is one already, which is left as it is.

    Args:
        draft: of a photograph with a file.
        dialect: of the tool.
        swept: see :func:`masu.atomic.write_new`.

    Raises:
        WriteError: a file that cannot be written.
    """
    assert draft.path is not None
    file = file_beside(draft.path)
    if os.path.lexists(file):
        return False
    return write_new(file, page_of(draft, draft.path.name, dialect).encode(), swept=swept)


def page_of(draft: Draft, image: str, dialect: Dialect) -> str:
    """The text of a file with the boxes of a draft."""
    return page(image, draft.size, shapes_of(draft, dialect), dialect)


def shapes_of(draft: Draft, dialect: Dialect) -> list[dict[str, object]]:
    """The boxes of a draft as shapes with scores."""
    rows = zip(draft.boxes, draft.names, draft.scores, strict=True)
    return [rectangle(box, name, dialect, score=score) for box, name, score in rows]
