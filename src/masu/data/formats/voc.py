"""Pascal VOC folders: ``Annotations/*.xml``, ``JPEGImages/`` and, optionally, ``ImageSets/Main/*.txt``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree

from masu.data.dataset import Fault
from masu.data.formats.reading import (
    UNLISTED,
    BadEntryError,
    Box,
    Contents,
    Marked,
    Picture,
    Reader,
    Source,
    joined,
    split_order,
)
from masu.data.pixels.pictures import IMAGE_SUFFIXES
from masu.errors import bad_input, listed

MOST_BYTES = 64_000_000
"""Size of an annotation file; no picture needs as much."""


def find(path: Path) -> Source | None:
    """The VOC data set in a folder: XML files in ``Annotations/``, else in the folder itself."""
    if not path.is_dir():
        return None
    files = _xml_files(path / "Annotations") or _xml_files(path)
    if not files:
        return None
    lists = {file.stem: file for file in sorted((path / "ImageSets" / "Main").glob("*.txt"))}
    splits = {name: lists[name] for name in split_order(lists) if not _of_one_class(name, lists)}
    return Source(root=path, splits=splits, files=files)


def read(source: Source, split: str | None) -> Contents:
    """Every annotation, or those that the list of a split or none of them names; a broken one is left out.

    The class names are those of all annotations, sorted, so that each split gives the same ids. Boxes are
    taken as they stand: xmin ymin xmax ymax are pixels, nothing is subtracted. ``difficult`` objects are
    ignored ones. An image is the file in ``JPEGImages/``, ``images/``, beside the XML or in the root with
    the XML's stem, else with the last part of its ``<filename>``.

    Raises:
        InputError: a list of a split that cannot be read or names files elsewhere.
    """
    if not source.parsed:
        source.parsed.update({file.stem: _parse(file) for file in source.files})
    parsed: dict[str, _Page] = source.parsed
    names = tuple(sorted({item.name for page in parsed.values() for item in page.objects}))
    faults: list[Fault] = []
    if split:
        stems = _stems(source.splits[split], parsed, faults)
    else:
        lists = source.splits.values() if split == UNLISTED else ()
        listed_stems = {stem for file in lists for stem in _stems(file, parsed, [])}
        stems = [stem for stem in parsed if stem not in listed_stems]
    folders = _image_folders(source)
    pictures = []
    for stem in stems:
        page = parsed[stem]
        faults += page.faults
        if page.damaged:
            continue
        image = _image_of(stem, page.filename, folders)
        if image is None:
            looked = listed(str(folder) for folder in folders)
            found = f"no image named {stem} or {page.filename or stem}, looked in {looked}"
            faults.append(
                Fault("missing-image", page.file, f"image {page.filename or stem}", found, "skipped")
            )
        else:
            pictures.append(Picture(image, page.file, page.size, page.objects))
    left_out = sum((Counter(page.left_out) for page in parsed.values()), Counter[str]())
    return Contents(joined(pictures, faults), names, tuple(range(1, len(names) + 1)), faults, left_out)


READER = Reader(
    "voc", "Pascal VOC (a folder with Annotations/*.xml and JPEGImages/)", find, read, has_unlisted=True
)


class _Page(NamedTuple):
    file: Path
    filename: str
    size: tuple[int, int] | None
    objects: list[Marked]
    faults: list[Fault]
    damaged: bool = False
    left_out: Mapping[str, int] = MappingProxyType({})


def _xml_files(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    files = (file for file in folder.iterdir() if file.suffix.lower() == ".xml")
    return tuple(sorted(file for file in files if not file.name.startswith(".")))


def _of_one_class(name: str, lists: dict[str, Path]) -> bool:
    """True for the per-class lists of the original VOC, such as ``aeroplane_train`` beside ``train``."""
    owner, _, split = name.rpartition("_")
    return bool(owner) and split in lists


def _stems(file: Path, parsed: dict[str, _Page], faults: list[Fault]) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise bad_input(
            file, f"a list that cannot be read ({error})", "UTF-8 text", "save it as UTF-8"
        ) from None
    stems: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        entry = line.strip()
        if not entry:
            continue
        stem = _stem(entry, parsed)
        if len(PureWindowsPath(stem).parts) != 1 or stem == "..":
            raise bad_input(
                f"{file}, line {number}",
                repr(entry),
                "the name of an annotation without folder or suffix",
                "remove the folders; annotations and images lie within the data set",
            )
        if stem not in parsed:
            faults.append(
                Fault("list-entry", file, f"line {number}", f"{stem}, which has no {stem}.xml", "skipped")
            )
        elif stem in stems:
            faults.append(
                Fault("double-image", file, f"line {number}", f"{stem} for a second time", "skipped")
            )
        else:
            stems[stem] = None
    return list(stems)


def _stem(entry: str, parsed: dict[str, _Page]) -> str:
    """The annotation an entry means: ``name``, ``name 1`` or ``name.jpg``."""
    first, _, flag = entry.rpartition(" ")
    without_flag = first.rstrip() if flag in ("1", "0", "-1") and first else entry
    for candidate in (entry, without_flag, os.path.splitext(without_flag)[0]):
        if candidate in parsed:
            return candidate
    return without_flag


def _image_folders(source: Source) -> dict[Path, dict[str, Path]]:
    """Each folder that may hold images with its image files by stem and by name."""
    folders: dict[Path, dict[str, Path]] = {}
    for folder in (source.root / "JPEGImages", source.root / "images", source.files[0].parent, source.root):
        if folder in folders or not folder.is_dir():
            continue
        images = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
        by_stem = {image.stem: image for image in reversed(images)}
        folders[folder] = by_stem | {image.name: image for image in images}
    return folders


def _image_of(stem: str, filename: str, folders: dict[Path, dict[str, Path]]) -> Path | None:
    for key in (stem, filename):
        for images in folders.values():
            if key in images:
                return images[key]
    return None


def _parse(file: Path) -> _Page:
    """What one file holds; one that cannot be read at all is damaged."""
    faults: list[Fault] = []
    try:
        root = _root(file)
    except BadEntryError as error:
        return _Page(file, "", None, [], [error.fault(file, "the file")], damaged=True)
    filename = PureWindowsPath((root.findtext("filename") or "").strip()).name
    objects = list(_objects(root, file, faults))
    left_out = Counter(
        {
            "truncated": sum(_true(item, "truncated") for item in root.iter("object")),
            "pose": sum(
                item.findtext("pose") not in (None, "", "Unspecified") for item in root.iter("object")
            ),
            "parts": sum(1 for _ in root.iter("part")),
        }
    )
    return _Page(file, filename, _size(root), objects, faults, left_out=+left_out)


def _root(file: Path) -> Any:
    if (size := file.stat().st_size) > MOST_BYTES:
        raise BadEntryError(f"a file of {size / 1e6:.0f} MB", f"at most {MOST_BYTES / 1e6:.0f} MB")
    try:
        root: Any = ElementTree.parse(file).getroot()
    except ParseError as error:
        raise BadEntryError(f"broken XML ({error})", "a VOC annotation") from None
    except (ValueError, LookupError, OSError) as error:
        raise BadEntryError(f"unusable XML ({type(error).__name__}: {error})", "a VOC annotation") from None
    if root.tag != "annotation":
        raise BadEntryError(f"the root element <{root.tag}>", "<annotation>")
    return root


def _size(root: Element) -> tuple[int, int] | None:
    try:
        height, width = (int(float(root.findtext(f"size/{side}") or 0)) for side in ("height", "width"))
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _objects(root: Element, file: Path, faults: list[Fault]) -> Iterator[Marked]:
    for number, element in enumerate(root.findall("object"), start=1):
        name = element.findtext("name") or ""
        where = f"object {number} ({name})" if name else f"object {number}"
        try:
            if not name.strip():
                raise BadEntryError("no <name>", "the name of its class")
            yield Marked(where, _box(element), name, _true(element, "difficult"))
        except BadEntryError as error:
            faults.append(error.fault(file, where))


def _true(element: Element, tag: str) -> bool:
    return (element.findtext(tag) or "").strip().lower() in ("1", "true")


def _box(element: Element) -> Box:
    corners = element.find("bndbox")
    if corners is None:
        raise BadEntryError("no <bndbox>", "one with xmin ymin xmax ymax")
    values = []
    for tag in ("xmin", "ymin", "xmax", "ymax"):
        text = corners.findtext(tag)
        if text is None:
            raise BadEntryError(f"no <{tag}>", "a number of pixels")
        try:
            values.append(float(text))
        except ValueError:
            raise BadEntryError(f"<{tag}> {text!r}", "a number of pixels") from None
    return values[0], values[1], values[2], values[3]
