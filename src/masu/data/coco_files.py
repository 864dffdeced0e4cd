"""Where COCO data sets keep their JSON files and their images."""

from __future__ import annotations

import re
from pathlib import Path

from masu.data.reading import USUAL_SPLITS, Source, split_order

_PATTERNS = ("annotations/instances_*.json", "annotations/*.json", "*.json", "*/_annotations.coco.json")


def find(path: Path) -> Source | None:
    """The COCO data set at a path: the JSON file itself, or the JSON files of a folder.

    A folder holds ``annotations/instances_<split>[year].json``, ``annotations/<split>.json``,
    ``<split>.json`` or ``<split>/_annotations.coco.json``; the first of these that exists counts. A single
    file whose name is no usual split is a data set without splits.
    """
    if path.is_file():
        return Source(_root_of(path), {}, (path,)) if path.suffix.lower() == ".json" else None
    for pattern in _PATTERNS:
        files = [file for file in sorted(path.glob(pattern)) if file.is_file() and _may_be_coco(file)]
        if files:
            splits = _by_split(files)
            return Source(path, splits, tuple(splits.values()) or tuple(files))
    return None


def _may_be_coco(file: Path) -> bool:
    if file.stem in USUAL_SPLITS or file.name.startswith(("instances_", "_annotations.coco")):
        return True
    try:
        with file.open("rb") as stream:
            return any(b'"annotations"' in line or b'"images"' in line for line in stream)
    except OSError:
        return True  # reading it will say why it cannot be read


def _token(file: Path) -> str:
    """The split a file name tells: ``train2017`` of ``instances_train2017.json``."""
    if file.name == "_annotations.coco.json":
        return file.parent.name
    return file.stem.removeprefix("instances_")


def _without_year(token: str) -> str:
    return re.sub(r"[-_]?\d{4}$", "", token) or token


def _by_split(files: list[Path]) -> dict[str, Path]:
    by_token = {_token(file): file for file in files}
    short = {_without_year(token): file for token, file in by_token.items()}
    splits = short if len(short) == len(by_token) else by_token
    if len(splits) == 1 and next(iter(splits)) not in USUAL_SPLITS:
        return {}
    return {name: splits[name] for name in split_order(splits)}


def _root_of(file: Path) -> Path:
    return file.absolute().parent.parent if file.absolute().parent.name == "annotations" else file.parent


def image_folders(file: Path, root: Path) -> tuple[Path, ...]:
    """The folders that may hold the images of a JSON file, the split's own before the common ones."""
    token = _token(file)
    folders: dict[Path, None] = {}
    for base in (file.parent, root):
        for name in (token, _without_year(token)):
            folders[base / name] = folders[base / "images" / name] = None
        folders[base / "images"] = folders[base] = None
    return tuple(folder for folder in folders if folder.is_dir())
