"""YOLO folders: one text file per image, boxes as shares of it, classes by number.

The layouts of Ultralytics: ``data.yaml`` with the folders or lists of the splits, or bare pairs of folders
``images/`` and ``labels/``; the label file of ``…/images/…/a.jpg`` is ``…/labels/…/a.txt``. Also labelImg's:
label files beside the images, and ``classes.txt``.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import yaml

from masu.data.formats.copying import Copy
from masu.data.formats.form import BY_CONTENT, BY_LAYOUT, SAYS_SO, Candidate, Format, Place
from masu.data.formats.rows import BadEntryError, Rows
from masu.data.formats.tree import Tree, is_image
from masu.data.formats.yolo_editing import edit
from masu.data.formats.yolo_labels import LARGEST_SHARE, Line, Reading, holds_an_object, lines_in
from masu.data.formats.yolo_lists import NAMES
from masu.data.formats.yolo_page import (
    Page,
    describe,
    images_in,
    is_data_yaml,
    keypoints_in,
    name_of,
    names_in,
    opened,
)
from masu.data.formats.yolo_places import labels_of, words_of


def find(place: Place) -> Candidate | None:
    """The data set of a ``data.yaml``, a folder with one, or a folder with images and their labels."""
    if files := _data_yamls(place):
        return Candidate(files, SAYS_SO, Page(files[0], place.path.is_file()))
    if place.path.is_file():
        return None
    tree = place.tree
    beside = False
    for path in tree.walk():
        parts = tree.below(os.path.join(path, "x")).lower().split("/")[:-1]
        texts = {os.path.splitext(name)[0] for name in tree.folder(path).by_suffix.get(".txt", ())}
        if not texts:
            continue
        if any("labels" in words_of(part) for part in parts) and texts - {"classes"}:
            return Candidate((), BY_CONTENT)
        pairs = texts & tree.folder(path).stems.keys()
        beside = beside or any(holds_an_object(Path(path, f"{stem}.txt")) for stem in sorted(pairs)[:3])
    named = any(name in tree.folder(place.root).names for name in NAMES)
    if beside and named:
        return Candidate((), BY_CONTENT)
    folders = {name.lower() for name in tree.folder(place.root).folders}
    if {"images", "labels"} <= folders and not tree.files(".json", ".xml", ".csv", ".txt"):
        return Candidate((), BY_LAYOUT)  # nothing is labelled yet
    return Candidate((), BY_LAYOUT) if beside else None


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all splits and of none, with the objects of their label files.

    An image without a label file has no objects; one that no list names counts where it has such a file.
    Polygons and turned boxes become the box around them, of poses the box is taken. A label file that two
    images share belongs to neither.

    Raises:
        InputError: a ``data.yaml`` or list that cannot be read, or paths that leave the data set.
    """
    content, page, tree = opened(candidate, tree)
    rows = Rows(tree, describe)
    names = names_in(content, page, tree)
    splits: dict[str, list[str]] = defaultdict(list)
    for image, split in images_in(content, page, tree, rows):
        splits[image] += [] if split is None else [split]
    labels = {image: labels_of(image, tree) for image in splits}
    reading = Reading(keypoints_in(content, page))
    lines = {
        file: lines_in(file, reading, rows) for file in dict.fromkeys(labels.values()) if file is not None
    }
    owners: dict[str, list[str]] = defaultdict(list)
    for image, file in labels.items():
        if file is not None:
            owners[file].append(image)
    look = rows.look([tree.root])
    used: set[int] = set()
    for image, words in splits.items():
        file = labels[image]
        if file is not None and len(owners[file]) > 1:
            others = " and ".join(os.path.basename(other) for other in owners[file] if other != image)
            found = f"{os.path.basename(image)} and {others} share {os.path.basename(file)}"
            rows.fault("shared-label", Path(image), "image", found, splits=words)
            continue
        number = rows.file(Path(file or image))
        row = rows.image(_inside(image, tree), number, look, splits=words, relative=True)
        for line in lines.get(file or "", ()):
            _add(line, row, number, reading, names, used, rows)
    _tell_orphans(tree, {*owners}, rows)
    if names is not None:
        rows.ids = {name: number for number, name in enumerate(names)}
    else:
        rows.ids = {str(number): number for number in sorted(used)}
    return rows


def _add(
    line: Line,
    row: int,
    file: int,
    reading: Reading,
    names: tuple[str, ...] | None,
    used: set[int],
    rows: Rows,
) -> None:
    path = rows.files[file]
    try:
        shape = reading.shape(line)
    except BadEntryError as error:
        rows.bad(error, path, f"line {line.where}", image=row)
        return
    name = name_of(line.number, names)
    if name is None:
        found = f"class {line.number}, known are 0 to {len(names or ()) - 1}"
        rows.fault("unknown-class", path, f"line {line.where}", found, image=row)
        return
    if shape.left_out:
        rows.left_out[shape.left_out] += 1
    used.add(line.number)
    rows.object(row, shape.box, name, line.where, file)


def _data_yamls(place: Place) -> tuple[Path, ...]:
    """The ``data.yaml`` nearest to the root, this name before others; several where they are alike."""
    depths: dict[int, list[Path]] = defaultdict(list)
    for file in place.files(".yaml", ".yml"):
        depths[place.tree.below(file).count("/")].append(file)
    for depth in sorted(depths):
        if files := [file for file in depths[depth] if is_data_yaml(file)]:
            return tuple([file for file in files if file.stem == "data"] or files)
    return ()


def _tell_orphans(tree: Tree, claimed: Iterable[str], rows: Rows) -> None:
    """Tell the label files that no image claims."""
    known = {os.path.normpath(file) for file in claimed}
    for file in tree.files(".txt"):
        path = os.path.normpath(file)
        if path in known or file.name in NAMES:
            continue
        in_labels = "labels" in tree.below(file).lower().split("/")[:-1]
        if in_labels or (tree.folder(file.parent).stems and holds_an_object(file)):
            found = f"no image {file.stem}"
            if unread := _unread_twin(file, tree):
                found = f"{unread}, whose suffix masu does not read"
            rows.fault("missing-image", file, "the file", found)


def _unread_twin(labels: Path, tree: Tree) -> str | None:
    """A file of the label's stem where its image should be, of a kind that is not read."""
    folders = [labels.parent]
    parts = labels.parent.parts
    for at in range(len(parts) - 1, -1, -1):
        if parts[at].lower() == "labels":
            folders += [Path(*parts[:at], name, *parts[at + 1 :]) for name in ("images", "Images", "IMAGES")]
            break
    for folder in folders:
        for name in sorted(tree.folder(folder).names):
            stem, suffix = os.path.splitext(name)
            if stem == labels.stem and suffix.lower() != ".txt" and not is_image(name):
                return str(name)
    return None


def _inside(image: str, tree: Tree) -> str:
    return os.path.relpath(image, tree.root)


def write(copy: Copy) -> None:
    """``data.yaml``, a list ``<split>.txt``, ``images/``, ``labels/``; ignored regions are left out."""
    data = copy.data
    if data.category_ids != tuple(range(len(data.names))):
        copy.say("YOLO numbers classes from 0: the ids of the source are not kept")
    copy.say_not_coco()
    copy.say_without_scores("YOLO")
    places: dict[str, str] = {}
    stray_names = copy.put_strays("images")
    for split, indices in copy.parts():
        for index in indices:
            name = copy.image(index, "images")
            labels = f"labels/{Path(name).stem}.txt"
            if not (copy.out / labels).exists():
                copy.text(labels, "".join(_yolo_lines(copy, index)))
        key = split or "train"
        places[key] = "images"
        if split is not None or stray_names:
            lines = [f"./images/{copy.name(index)}\n" for index in indices]
            places[key] = f"{key}.txt"
            copy.text(f"{key}.txt", "".join(lines))
        if split is None:
            copy.say("YOLO needs a split: all images are in train")
    page = {"path": ".", **places, "names": list(data.names)}
    text = yaml.safe_dump(page, allow_unicode=True, sort_keys=False)
    copy.text("data.yaml", text)


def _yolo_lines(copy: Copy, index: int) -> list[str]:
    height, width = copy.size(index)
    lines = []
    for row in copy.objects(index):
        if copy.is_ignored(row):
            copy.say("YOLO has no ignored regions: {} left out")
            continue
        x1, y1, x2, y2 = copy.data.boxes[row].tolist()
        values = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        if max(map(abs, values)) > LARGEST_SHARE:
            copy.say("boxes farther outside than YOLO can say: {} left out")
            continue
        lines.append(f"{copy.data.labels[row]} {' '.join(map(repr, values))}\n")
    return lines


FORMAT = Format(
    "yolo",
    "YOLO (data.yaml, or folders images/ and labels/)",
    find,
    read,
    write,
    by_stem=True,
    all_in_splits=True,
    edit=edit,
)
