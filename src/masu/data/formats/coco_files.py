"""Where COCO data sets keep their JSON files and their images."""

from __future__ import annotations

import re
from pathlib import Path

from masu.data.formats.reading import USUAL_SPLITS, BadEntryError, Source, find_image, load_json, split_order

MOST_BYTES = 2_000_000_000
"""Size of a file; Python needs about eight times as much to hold it."""

_PATTERNS = ("annotations/instances_*.json", "annotations/*.json", "*.json", "*/_annotations.coco.json")


def find(path: Path) -> Source | None:
    """The COCO data set at a path: the JSON file itself, or the JSON files of a folder.

    A folder holds ``annotations/instances_<split>[year].json``, ``annotations/<split>.json``,
    ``<split>.json`` or ``<split>/_annotations.coco.json``; the first of these that exists counts. A single
    file whose name is no usual split is a data set without splits. So are files such as ``cats.json`` and
    ``dogs.json`` that annotate the same images each in its own way, and ``train_cats.json`` and
    ``train_dogs.json`` are one split.
    """
    if path.is_file():
        return Source(_root_of(path), {}, (path,)) if path.suffix.lower() == ".json" else None
    for pattern in _PATTERNS:
        files = [file for file in sorted(path.glob(pattern)) if file.is_file() and _may_be_coco(file)]
        if files:
            splits = _by_split(files, path)
            return Source(
                root=path,
                splits={name: together[0] for name, together in splits.items()},
                files=tuple(file for together in splits.values() for file in together) or tuple(files),
                parsed={"files": splits},
            )
    return None


def files_of(source: Source, split: str | None) -> tuple[Path, ...]:
    """The JSON files of a split, or of the whole data set."""
    return source.files if split is None else source.parsed["files"][split]


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


def _usual(token: str) -> str:
    """The usual split that a token is about, ``train`` of ``train_cats``; empty for none."""
    words = (_without_year(word) for word in re.split(r"[-_. ]", token))
    return next((word for word in words if word in USUAL_SPLITS), "")


def _by_split(files: list[Path], root: Path) -> dict[str, tuple[Path, ...]]:
    by_token = {_token(file): file for file in files}
    short = {_without_year(token): file for token, file in by_token.items()}
    named = short if len(short) == len(by_token) else by_token
    splits: dict[str, tuple[Path, ...]] = {name: (file,) for name, file in named.items()}
    for word in ("", *USUAL_SPLITS):
        about = [name for name in splits if _usual(name) == word and _without_year(name) != word]
        together = tuple(splits[name][0] for name in about)
        if word not in splits and len(together) > 1 and _share_images(together, root):
            splits = {name: own for name, own in splits.items() if name not in about}
            splits[word or "+".join(about)] = together
    if len(splits) == 1 and next(iter(splits)) not in USUAL_SPLITS:
        return {}
    return {name: splits[name] for name in split_order(splits)}


def _share_images(files: tuple[Path, ...], root: Path) -> bool:
    """Whether files annotate the same images in other ways: each has its own classes, not its own split."""
    seen: dict[str, dict[Path, frozenset[str]]] = {}
    for file in files:
        folders = image_folders(file, root)
        for name, objects in _objects_by_image(file).items():
            others = seen.setdefault(name, {})
            image = find_image(name, folders)
            if image is not None and others.setdefault(image, objects) != objects:
                return True
    return False


def _objects_by_image(file: Path) -> dict[str, frozenset[str]]:
    """Class and box of each image's objects, by file name; nothing for a file that reading will refuse."""
    try:
        page = load_json(file, MOST_BYTES)
        names = {entry["id"]: entry["name"] for entry in page["categories"]}
        objects: dict[object, set[str]] = {entry["id"]: set() for entry in page["images"]}
        for entry in page["annotations"]:
            if entry["image_id"] in objects:
                shown = f"{names.get(entry['category_id'])} {entry['bbox']}"
                objects[entry["image_id"]].add(shown)
        return {str(entry["file_name"]): frozenset(objects[entry["id"]]) for entry in page["images"]}
    except (BadEntryError, KeyError, TypeError):
        return {}


def _root_of(file: Path) -> Path:
    return file.absolute().parent.parent if file.absolute().parent.name == "annotations" else file.parent


def image_folders(file: Path, root: Path) -> tuple[Path, ...]:
    """The folders that may hold the images of a JSON file, the split's own before the common ones."""
    token = _token(file)
    folders: dict[Path, None] = {}
    for base in (file.parent, root):
        for name in filter(None, (token, _without_year(token), _usual(token))):
            folders[base / name] = folders[base / "images" / name] = None
        folders[base / "images"] = folders[base] = None
    return tuple(folder for folder in folders if folder.is_dir())
