"""YOLO folders: one text file per image, boxes as shares of it, classes by number.

The layouts of Ultralytics: ``data.yaml`` with the folders or lists of the splits, or bare pairs of folders
``images/`` and ``labels/``; the label file of ``…/images/…/a.jpg`` is ``…/labels/…/a.txt``. Also labelImg's:
label files beside the images, and ``classes.txt``.
"""

from __future__ import annotations

import os
import reprlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import yaml

from masu.data.dataset import Fault
from masu.data.formats.reading import (
    USUAL_SPLITS,
    BadEntryError,
    Contents,
    Picture,
    Reader,
    Source,
    as_text,
    leaves,
    refuse_leaving,
    split_order,
)
from masu.data.formats.yolo_labels import add_orphans, class_number, label_lines, labels_of, read_object
from masu.data.pixels.bands import image_size
from masu.data.pixels.pictures import IMAGE_SUFFIXES, UnreadableImageError
from masu.errors import bad_input

MOST_BYTES = 1_000_000
"""Size of a ``data.yaml``."""

_FIX = "correct the file or leave it out"
_NAMES = ("classes.txt", "obj.names", "names.txt")


def find(path: Path) -> Source | None:
    """The data set of a ``data.yaml``, a folder with one, or a folder with ``images`` and ``labels``."""
    if path.is_file():
        return _of_yaml(path) if path.suffix.lower() in (".yaml", ".yml") and _is_data_yaml(path) else None
    for file in sorted((*path.glob("*.yaml"), *path.glob("*.yml"))):
        if _is_data_yaml(file):
            return _of_yaml(file)
    images, labels = _folder(path, "images"), _folder(path, "labels")
    if images and labels and _are_labels(labels):
        inside = [child.name for child in images.iterdir() if child.is_dir()]
        splits = {name: images / name for name in split_order(set(inside) & set(USUAL_SPLITS))}
        return Source(path, splits, (path,))
    labelled = [name for name in USUAL_SPLITS if _folder(path / name, "labels")]
    folders = {name: _folder(path / name, "images") for name in labelled}
    pairs = {name: folder for name, folder in folders.items() if folder}
    return Source(path, pairs, (path,)) if pairs or _has_labels_beside(path) else None


def _folder(parent: Path, name: str) -> Path | None:
    """A folder of that name, also in capitals."""
    folders = (parent / spelt for spelt in (name, name.capitalize(), name.upper()))
    return next((folder for folder in folders if folder.is_dir()), None)


def _are_labels(folder: Path) -> bool:
    """False for a folder with annotations of another format alone."""
    others = False
    for _, _, names in os.walk(folder):
        suffixes = {os.path.splitext(name)[1].lower() for name in names}
        if ".txt" in suffixes:
            return True
        others = others or bool(suffixes & {".json", ".xml"})
    return not others


def _has_labels_beside(path: Path) -> bool:
    names = os.listdir(path)
    images = {stem for stem, suffix in map(os.path.splitext, names) if suffix.lower() in IMAGE_SUFFIXES}
    texts = {stem for stem, suffix in map(os.path.splitext, names) if suffix == ".txt"}
    return not images.isdisjoint(texts) and not set(names).isdisjoint(_NAMES)


def read(source: Source, split: str | None) -> Contents:
    """The images of a split, of none of them, or all, with the objects of their label files.

    An image without a label file has no objects; one that no list names counts where it has such a file.
    Polygons become the box around them. Shares are taken of the upright image, whose size is read from its
    file.

    Raises:
        InputError: a ``data.yaml`` or list that cannot be read, or paths that leave the data set.
    """
    names = _names(source)
    faults: list[Fault] = list(source.parsed.get("faults", ()))
    left_out: Counter[str] = Counter()
    pictures = []
    seen: set[Path] = set()
    used: set[int] = set()
    for image in _images(source, split, faults):
        if image in seen:
            continue
        seen.add(image)
        labels = labels_of(image)
        try:
            size = image_size(image)
        except UnreadableImageError as error:
            faults.append(Fault("unreadable-image", image, "image", error.found, "skipped"))
            continue
        objects = []
        for where, line in label_lines(labels, faults):
            try:
                item = read_object(where, line, size, names)
            except BadEntryError as error:
                faults.append(error.fault(labels, where))
                continue
            if names is not None and item.number >= len(names):
                found = f"class {item.number}, known are 0 to {len(names) - 1}"
                faults.append(Fault("unknown-class", labels, where, found, "skipped"))
                continue
            left_out["polygons"] += item.polygon
            used.add(item.number)
            objects.append(item.marked)
        pictures.append(Picture(image, labels, size, objects))
    add_orphans(seen, faults)
    ids = tuple(range(len(names))) if names is not None else tuple(sorted(_all_ids(source, used)))
    return Contents(pictures, names or tuple(map(str, ids)), ids, faults, +left_out)


READER = Reader("yolo", "YOLO (data.yaml, or folders images/ and labels/)", find, read, has_unlisted=True)


def _is_data_yaml(file: Path) -> bool:
    try:
        head = file.read_bytes()[:MOST_BYTES]
    except OSError:
        return False
    return b"names" in head and any(key in head for key in (b"train", b"val", b"test", b"path", b"nc"))


def _yaml(file: Path) -> dict[str, Any]:
    if (size := file.stat().st_size) > MOST_BYTES:
        raise bad_input(file, f"a file of {size / 1e6:.1f} MB", "at most 1 MB", _FIX)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())
        raise bad_input(file, f"broken YAML ({reason})", "a data.yaml of YOLO", _FIX) from None
    if not isinstance(content, dict):
        raise bad_input(file, "YAML without keys", "a data.yaml with names, train, val", _FIX)
    return content


def _of_yaml(file: Path) -> Source:
    content = _yaml(file)
    root = file.absolute().parent
    names = split_order(
        key
        for key, value in content.items()
        if value and (key in USUAL_SPLITS or (isinstance(key, str) and _is_list(value, root)))
    )
    if not names:
        raise bad_input(file, "no train, val or test", "a folder for each split", _FIX)
    absent = []
    source = Source(root, dict.fromkeys(names, file), (file,), {"yaml": content})
    test = content.get("test")
    if len(names) > 1 and isinstance(test, str) and _place(test, _base(source, content), root) == "absent":
        # Roboflow writes the entry whether there is such a split or not
        absent = [Fault("missing-split", file, "'test'", f"{test!r}, which does not exist", "left out")]
        names.remove("test")
    return Source(root, dict.fromkeys(names, file), (file,), {"yaml": content, "faults": absent})


def _is_list(value: object, root: Path) -> bool:
    """Whether a key of another name stands for a split, too: it names a list beside the file."""
    return isinstance(value, str) and value.endswith(".txt") and (root / value).is_file()


def _names(source: Source) -> tuple[str, ...] | None:
    """Class names, or None where nothing says them."""
    content = source.parsed.get("yaml")
    if content is None:
        labels = _folder(source.root, "labels") or source.root
        for file in (*(source.root / name for name in _NAMES), labels / "classes.txt"):
            if file.is_file():
                return tuple(line for text in _text(file).splitlines() if (line := text.strip()))
        return None
    names, file = content.get("names"), source.files[0]
    if names == []:
        return ()  # pictures without any object
    if isinstance(names, dict):
        by_number = {(int(k) if str(k).isdecimal() and len(str(k)) < 10 else k): names[k] for k in names}
        if set(by_number) == set(range(len(names))):
            names = [by_number[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(n, str | int | float) for n in names):
        raise bad_input(f"{file}, 'names'", reprlib.repr(names), "a list, or 0: name, 1: name …", _FIX)
    texts = [as_text(str(name)) for name in names]
    if len(set(texts)) != len(texts):
        twice = next(name for name in texts if texts.count(name) > 1)
        raise bad_input(f"{file}, 'names'", f"{twice!r} twice", "each class name once", _FIX)
    if isinstance(content.get("nc"), int) and content["nc"] != len(texts):
        raise bad_input(f"{file}, 'nc'", f"{content['nc']}", f"{len(texts)}, as many as names", _FIX)
    return tuple(texts)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise bad_input(
            file, f"a file that cannot be read ({error})", "UTF-8 text", "save it as UTF-8"
        ) from None


def _folders(source: Source, split: str | None) -> list[Path]:
    if split:
        return [source.splits[split]]
    return list(source.splits.values()) or [_folder(source.root, "images") or source.root]


def _images(source: Source, split: str | None, faults: list[Fault]) -> Iterator[Path]:
    if split:
        yield from _of_splits(source, split, faults)
        return
    named = list(_of_splits(source, None, faults if split is None else []))
    if split is None:
        yield from named
    known = set(named)
    folders = dict.fromkeys(image.parent for image in named)
    if top := _folder(source.root, "images"):
        folders |= {Path(parent): None for parent, _, _ in os.walk(top)}
    for folder in folders:
        for image in sorted(folder.iterdir()):
            if image not in known and image.suffix.lower() in IMAGE_SUFFIXES and labels_of(image).is_file():
                yield image


def _of_splits(source: Source, split: str | None, faults: list[Fault]) -> Iterator[Path]:
    content = source.parsed.get("yaml")
    if content is None:
        for folder in _folders(source, split):
            yield from _in_folder(folder)
        return
    file = source.files[0]
    base = _base(source, content)
    for name in [split] if split else list(source.splits):
        entries = content[name]
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry, str):
                wanted = "a folder, a list of folders or a .txt"
                raise bad_input(f"{file}, {name!r}", reprlib.repr(entry), wanted, _FIX)
            yield from _of_entry(_resolved(entry, base, file, name), source.root, faults)


def _base(source: Source, content: dict[str, Any]) -> Path:
    """The folder that the splits' paths start from; ``path`` of another machine is passed over."""
    path = content.get("path")
    if not isinstance(path, str) or leaves(path, source.files[0].absolute(), source.root):
        return source.root
    inside = source.root / path
    return inside if inside.is_dir() else source.root


def _place(entry: str, base: Path, root: Path) -> Path | Literal["absent", "outside"]:
    """What an entry means; Roboflow's ``../train/images`` stands beside the file, whatever it says."""
    entry = entry.replace("\\", "/")
    places = [base / entry, base / entry.removeprefix("../")]
    inside = [place for place in places if _within(place, root)]
    if place := next((place for place in inside if place.exists()), None):
        return place
    return "outside" if not inside or places[0].exists() else "absent"


def _within(place: Path, root: Path) -> bool:
    try:
        return not leaves(os.path.relpath(place, root), root / "_", root)
    except ValueError:  # on another drive
        return False


def _resolved(entry: str, base: Path, file: Path, split: str) -> Path:
    place = _place(entry, base, file.absolute().parent)
    if place == "outside":
        refuse_leaving(str(base / entry), file.absolute(), repr(split), file.absolute().parent)
    if not isinstance(place, Path):
        raise bad_input(f"{file}, {split!r}", f"{entry!r}, which does not exist", "a folder or list", _FIX)
    return place


def _of_entry(place: Path, root: Path, faults: list[Fault]) -> Iterator[Path]:
    if place.is_dir():
        yield from _in_folder(place)
        return
    for number, line in enumerate(_text(place).splitlines(), start=1):
        name = line.strip().replace("\\", "/")
        if not name:
            continue
        folders = [folder for folder in (place.parent, root) if not leaves(name, folder / "list", root)]
        if not folders:
            refuse_leaving(name, place, f"line {number}", root)
        image = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if image is None:
            faults.append(Fault("missing-image", place, f"line {number}", f"no such file {name}", "skipped"))
        else:
            yield Path(os.path.normpath(image))


def _in_folder(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield Path(parent, name)


def _all_ids(source: Source, used: set[int]) -> set[int]:
    """Class numbers of every split, so that each split gives the same names."""
    if "ids" not in source.parsed:
        ids = set(used)
        for parent, _, names in os.walk(source.root):
            if "labels" in map(str.lower, Path(parent).parts[len(source.root.parts) :]):
                for name in names:
                    if name.endswith(".txt"):
                        for _, line in label_lines(Path(parent, name), []):
                            with suppress(BadEntryError):
                                ids.add(class_number(line.split()[0]))
        source.parsed["ids"] = ids
    found: set[int] = source.parsed["ids"]
    return found
