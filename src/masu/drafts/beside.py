"""Drafts as files beside the photographs, as LabelMe and X-AnyLabeling keep them; only a draft gives way."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from masu.atomic import write_new, write_whole
from masu.data.formats.draft_mark import drafted_by
from masu.data.formats.form import load_json
from masu.data.formats.labelme import LABELME, MOST_BYTES, X_ANYLABELING, Dialect, page, rectangle
from masu.data.formats.rows import BadEntryError
from masu.data.formats.tree import Tree
from masu.drafts.draft import Draft

DIALECTS: dict[str, Dialect] = {"labelme": LABELME, "xanylabeling": X_ANYLABELING}
"""Of the tools whose files lie beside the photographs."""


def file_beside(photograph: Path) -> Path:
    """Where the tools look for the shapes of a photograph."""
    return photograph.with_suffix(".json")


def sharing(photographs: Iterable[Path]) -> dict[Path, str]:
    """The photographs whose file would be that of another one, too, as of ``a.jpg`` beside ``a.png``.

    Args:
        photographs: to write files beside.

    Returns:
        Of each of these photographs the name of the other one.
    """
    trees: dict[Path, Tree] = {}
    found = {}
    for path in photographs:
        tree = trees.setdefault(path.parent, Tree(path.parent))
        alike = tree.folder(path.parent).stems.get(path.stem, ())
        if others := [name for name in alike if name != path.name]:
            found[path] = others[0]
    return found


def has_room(file: Path, version: str) -> bool:
    """Whether a draft may be written there: no file, or another model's draft that nobody has saved since.

    Args:
        file: see :func:`file_beside`.
        version: of the model that drafts now.
    """
    if not os.path.lexists(file):
        return True
    if file.is_symlink():
        return False
    try:
        content = load_json(file, MOST_BYTES)
    except BadEntryError:
        return False
    return isinstance(content, dict) and drafted_by(content) not in (None, version)


def write_beside(draft: Draft, dialect: Dialect, version: str, *, swept: bool) -> bool:
    """Write the file of one photograph; False where :func:`has_room` says no, and the file is left as it is.

    Args:
        draft: of a photograph with a file.
        dialect: of the tool.
        version: of the model.
        swept: see :func:`masu.atomic.write_new`.

    Raises:
        WriteError: a file that cannot be written.
    """
    assert draft.path is not None
    file = file_beside(draft.path)
    text = page(draft.path.name, draft.size, shapes_of(draft, dialect), dialect, version).encode()
    if not has_room(file, version):
        return False
    if not os.path.lexists(file):
        return write_new(file, text, swept=swept)
    write_whole(file, [text], swept=swept)
    return True


def shapes_of(draft: Draft, dialect: Dialect) -> list[dict[str, object]]:
    """The boxes of a draft as shapes with scores."""
    rows = zip(draft.boxes, draft.names, draft.scores, strict=True)
    return [rectangle(box, name, dialect, score=score) for box, name, score in rows]
