"""Data sets out: COCO, Pascal VOC, YOLO and CSV, with their images.

What a format cannot hold is said, not dropped in silence.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from masu.data.dataset import Fault
from masu.data.formats.naming import file_names, listable
from masu.data.formats.reading import USUAL_SPLITS, Box, Contents, Marked, Picture, all_names
from masu.data.formats.reading_back import refuse_unreadable
from masu.data.formats.yolo_labels import LARGEST_SHARE
from masu.data.pixels.bands import image_size
from masu.data.pixels.pictures import UnreadableImageError, absence
from masu.errors import bad_input, listed

Parts = Mapping[str | None, Contents]
"""Contents by split; None alone is a data set without splits, beside splits it holds the images of none."""


def write_dataset(out: Path, form: str, parts: Parts, strays: Sequence[Path] = ()) -> list[str]:
    """Write a data set with copies of its images; ``out`` appears whole or not at all.

    Boxes are written as they stand, faulty ones too, with all their digits.

    Args:
        out: folder that does not exist or is empty.
        form: one of ``WRITERS``.
        parts: what to write; None beside splits holds the images of no split.
        strays: images without annotation, which stay so.

    Returns:
        One sentence for each thing that the format cannot hold, or holds in another way, with its count.

    Raises:
        InputError: for an unknown format, an ``out`` that holds something or cannot be written, nothing to
            write, or names that the format cannot hold such that they are read back.
    """
    if form not in WRITERS:
        raise bad_input("--to", repr(form), f"one of {listed(WRITERS)}", "choose one of these")
    _refuse_place(out)
    if not any(contents.pictures for contents in parts.values()):
        first = next((f"; the first fault: {part.faults[0]}" for part in parts.values() if part.faults), "")
        raise bad_input(out, f"no image to write{first}", "at least one", "check the data set that is read")
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}-") as folder:
            made = Path(folder) / "made"
            made.mkdir()
            said = _left_out(parts)
            if None in parts and len(parts) > 1:
                parts = _with_named_rest(parts, form, said)
            try:
                _refuse_splits(out, parts)
                said += WRITERS[form](made, parts, strays)
            except UnicodeEncodeError as error:
                found = f"{error.object[error.start : error.end]!r}, which is not Unicode"
                raise bad_input(
                    out, found, "names that a text can hold", "rename the split or class"
                ) from None
            refuse_unreadable(made, out, form, parts)
            if out.exists():
                out.rmdir()
            os.replace(made, out)
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise bad_input(out, found, "a new folder that can be written", "choose another one") from None
    return said


def _refuse_place(out: Path) -> None:
    wanted, fix = "a new or empty folder", "choose another one"
    if out.is_symlink():
        raise bad_input(out, f"a link to {os.readlink(out)}", wanted, "name the folder itself")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise bad_input(out, "something that is already there", wanted, fix)
    if out.exists() and out.samefile(Path.cwd()):
        raise bad_input(out, "the folder that you are in", "a new folder", "name one that does not exist")


def _refuse_splits(out: Path, parts: Parts) -> None:
    """Splits name files: one from a table or YAML could lead out of the folder."""
    for split in filter(None, parts):
        if "/" in split or listable(split) != split:
            raise bad_input(out, f"the split {split!r}", "a name that a file can have", "rename the split")


def writable(contents: Contents, form: str) -> Contents:
    """The contents without the pictures that no data set of a format can be made of, each told as a fault.

    An image that cannot be copied is left out, and where the format wants the size of one and neither its
    annotation nor its file says it. Damaged images of known size are copied as they are.
    """
    kept: list[Picture] = []
    faults: list[Fault] = []
    for picture in contents.pictures:
        try:
            with picture.image.open("rb"):
                pass
            size = picture.size if form == "csv" else _size(picture)
        except UnreadableImageError as error:
            faults.append(Fault("unreadable-image", picture.image, "image", error.found, "skipped"))
        except FileNotFoundError:
            faults.append(Fault("missing-image", picture.image, "image", absence(picture.image), "skipped"))
        except OSError as error:
            found = (error.strerror or str(error)).lower()
            faults.append(Fault("unreadable-image", picture.image, "image", found, "skipped"))
        else:
            kept.append(picture._replace(size=size))
    return contents._replace(pictures=kept, faults=[*contents.faults, *faults])


def _with_named_rest(parts: Parts, form: str, said: list[str]) -> Parts:
    """The images of no split as a split of their own, where a format has no other place for them."""
    named = dict(parts)
    rest = named.pop(None)
    if not rest.pictures:
        return named
    if form in ("voc", "csv"):
        return parts
    name = "unlisted"
    while name in named:
        name += "_"
    said.append(f"{len(rest.pictures)} images of no split are in the split {name}")
    return named | {name: rest}


def write_coco(out: Path, parts: Parts, strays: Sequence[Path]) -> list[str]:
    """``annotations/instances_<split>.json`` (without splits ``instances.json``) and ``images/``.

    All splits have the same list of classes.
    """
    said: list[str] = []
    names = file_names(parts, strays, by_stem=False, said=said)
    ids = _common_ids(parts, said)
    categories = [{"id": ids[name], "name": name} for name in sorted(ids, key=lambda name: ids[name])]
    (out / "annotations").mkdir()
    for split, contents in parts.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, picture in enumerate(contents.pictures, start=1):
            name = _copied(picture, names[split, picture.image], out / "images")
            height, width = _size(picture)
            images.append({"id": number, "file_name": name, "height": height, "width": width})
            for item in _finite(picture, said):
                x1, y1, x2, y2 = item.box
                entry = {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": ids[item.name],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(item.ignored),
                }
                annotations.append(entry)
        page = {"images": images, "annotations": annotations, "categories": categories}
        file = out / "annotations" / (f"instances_{split}.json" if split else "instances.json")
        file.write_text(json.dumps(page), encoding="utf-8")
    _copy_strays(strays, names, out / "images", said)
    return _counted(said)


def _common_ids(parts: Parts, said: list[str]) -> dict[str, int]:
    """One id for each class of all splits: that of the first split that has it, if no other class has it."""
    ids: dict[str, int] = {}
    pairs = [pair for part in parts.values() for pair in zip(part.names, part.category_ids, strict=True)]
    for name, number in pairs:
        if name not in ids and number not in ids.values():
            ids[name] = number
    for name, _ in pairs:
        ids.setdefault(name, max(ids.values()) + 1)
    moved = {name for name, number in pairs if ids[name] != number}
    said += ["{} classes get another id, since their ids did not agree"] * len(moved)
    return ids


def write_voc(out: Path, parts: Parts, strays: Sequence[Path]) -> list[str]:
    """``Annotations/``, ``JPEGImages/`` and ``ImageSets/Main/<split>.txt``; ignored is ``difficult``."""
    said = _unordered(parts)
    names = file_names(parts, strays, by_stem=True, said=said)
    (out / "Annotations").mkdir()
    done: set[str] = set()
    for split, contents in parts.items():
        stems = []
        for picture in contents.pictures:
            name = names[split, picture.image]
            stem = Path(name).stem
            stems.append(stem)
            if name in done:
                continue
            done.add(name)
            _copied(picture, name, out / "JPEGImages")
            root = _voc_page(picture, name, said)
            ElementTree.indent(root)
            file = out / "Annotations" / f"{stem}.xml"
            ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
        if split is not None:
            file = out / "ImageSets" / "Main" / f"{split}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
    _copy_strays(strays, names, out / "JPEGImages", said)
    return _counted(said)


def write_yolo(out: Path, parts: Parts, strays: Sequence[Path]) -> list[str]:
    """``data.yaml``, a list ``<split>.txt``, ``images/``, ``labels/``; ignored regions are left out."""
    said: list[str] = []
    classes = all_names(parts)
    if any(part.category_ids != tuple(range(len(part.names))) for part in parts.values()):
        said.append("YOLO numbers classes from 0: the ids of the source are not kept")
    names = file_names(parts, strays, by_stem=True, said=said)
    number = {name: i for i, name in enumerate(classes)}
    (out / "labels").mkdir()
    for split, part in parts.items():
        for picture in part.pictures:
            name = _copied(picture, names[split, picture.image], out / "images")
            labels = out / "labels" / f"{Path(name).stem}.txt"
            if not labels.exists():
                labels.write_text("".join(_yolo_lines(picture, number, said)), encoding="utf-8")
        if split is not None or strays:
            lines = [f"./images/{names[split, picture.image]}\n" for picture in part.pictures]
            (out / f"{split or 'train'}.txt").write_text("".join(lines), encoding="utf-8")
    _copy_strays(strays, names, out / "images", said)
    places = {split or "train": f"{split or 'train'}.txt" if split or strays else "images" for split in parts}
    page = {"path": ".", **places, "names": list(classes)}
    (out / "data.yaml").write_text(
        yaml.safe_dump(page, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    if None in parts:
        said.append("YOLO needs a split: all images are in train")
    return _counted(said)


def write_csv(out: Path, parts: Parts, strays: Sequence[Path]) -> list[str]:
    """``<split>.csv`` (``annotations.csv``) with file, x1, y1, x2, y2, class, ignored, and ``images/``.

    Where splits have other names than the usual ones, or images are in none, one table with a column for the
    split.
    """
    said = _unordered(parts)
    names = file_names(parts, strays, by_stem=False, said=said)
    columns = ("file", "x1", "y1", "x2", "y2", "class", "ignored")
    tables: dict[str, list[tuple[object, ...]]] = {}
    own_tables = list(parts) == [None] or all(split in USUAL_SPLITS for split in parts)
    for split, contents in parts.items():
        table = split if own_tables and split else "annotations"
        rows = tables.setdefault(table, [columns if own_tables else (*columns, "split")])
        last = () if own_tables else (split or "",)
        if not own_tables and not contents.pictures:
            said.append(f"CSV has no place for a split without images: {split} is left out")
        for picture in contents.pictures:
            name = f"images/{_copied(picture, names[split, picture.image], out / 'images')}"
            objects = _finite(picture, said)
            if not objects:
                rows.append((name, "", "", "", "", "", "", *last))
            for item in objects:
                rows.append((name, *map(repr, item.box), item.name, int(item.ignored), *last))
    for table, rows in tables.items():
        with (out / f"{table}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)
    _copy_strays(strays, names, out / "images", said)
    return _counted(said)


WRITERS: dict[str, Callable[[Path, Parts, Sequence[Path]], list[str]]] = {
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
    "csv": write_csv,
}
"""By the name of the format."""


def _yolo_lines(picture: Picture, number: Mapping[str, int], said: list[str]) -> list[str]:
    height, width = _size(picture)
    lines = []
    for item in _finite(picture, said):
        if item.ignored:
            said.append("YOLO has no ignored regions: {} left out")
            continue
        x1, y1, x2, y2 = item.box
        values = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        if max(map(abs, values)) > LARGEST_SHARE:
            said.append("boxes farther outside than YOLO can say: {} left out")
            continue
        lines.append(f"{number[item.name]} {' '.join(map(repr, values))}\n")
    return lines


def _voc_page(picture: Picture, name: str, said: list[str]) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    height, width = _size(picture)
    _child(root, "filename", name)
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", width), ("height", height), ("depth", 3)):
        _child(size, tag, value)
    for item in _finite(picture, said):
        node = ElementTree.SubElement(root, "object")
        _child(node, "name", _of_xml(item.name))
        _child(node, "difficult", int(item.ignored))
        box = ElementTree.SubElement(node, "bndbox")
        for tag, number in zip(("xmin", "ymin", "xmax", "ymax"), item.box, strict=True):
            _child(box, tag, int(number) if number.is_integer() else repr(number))
    return root


def _child(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)


def _of_xml(name: str) -> str:
    """The name; XML knows no control characters.

    Raises:
        InputError: where it holds one.
    """
    if any((ord(letter) < 32 and letter not in "\t\n") or letter in "\ufffe\uffff" for letter in name):
        raise bad_input(f"class {name!r}", "a control character", "a name that XML can hold", "rename it")
    return name


def _finite(picture: Picture, said: list[str]) -> list[Marked]:
    """The objects whose numbers a file can hold, as plain floats."""
    kept = []
    for item in picture.objects:
        if all(math.isfinite(value) for value in item.box):
            x1, y1, x2, y2 = map(float, item.box)
            box: Box = (x1, y1, x2, y2)
            kept.append(item._replace(box=box))
        else:
            said.append("numbers that are not finite cannot be written: {} boxes left out")
    return kept


def _size(picture: Picture) -> tuple[int, int]:
    return picture.size or image_size(picture.image)


def _copied(picture: Picture, name: str, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / name).exists():
        try:
            shutil.copy2(picture.image, folder / name)
        except OSError as error:
            found = f"a file that cannot be copied ({(error.strerror or str(error)).lower()})"
            fix = "look at the file and at the room on the disk"
            raise bad_input(picture.image, found, f"a copy in {folder.parent.parent.parent}", fix) from None
    return name


def _copy_strays(
    strays: Sequence[Path], names: Mapping[tuple[str | None, Path], str], folder: Path, said: list[str]
) -> None:
    for image in strays:
        _copied(Picture(image, image, None, ()), names[None, image], folder)
        said.append("{} images without annotation are copied and stay without")


def _left_out(parts: Parts) -> list[str]:
    total: Counter[str] = Counter()
    for contents in parts.values():
        for what, count in contents.left_out.items():
            total[what] = max(total[what], count)
    return [f"{what} is not carried: {count} objects" for what, count in sorted(total.items())]


def _unordered(parts: Parts) -> list[str]:
    """What is said of a format that knows classes by their names alone."""
    said = []
    used = {item.name for part in parts.values() for picture in part.pictures for item in picture.objects}
    ids = [(n, i) for part in parts.values() for n, i in zip(part.names, part.category_ids, strict=True)]
    kept = [(name, number) for name, number in dict.fromkeys(ids) if name in used]
    if kept != [(name, number) for number, name in enumerate(sorted(used), start=1)]:
        said.append("order and ids of the classes are not kept: they will be alphabetical, from 1")
    if unused := [name for name in all_names(parts) if name not in used]:
        said.append(f"classes without objects are not kept: {listed(unused, 8)}")
    return said


def _counted(said: list[str]) -> list[str]:
    """Each sentence once, with how often it was said in its braces."""
    return [text.replace("{}", str(count)) for text, count in Counter(said).items()]
