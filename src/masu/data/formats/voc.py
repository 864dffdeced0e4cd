"""Pascal VOC: an XML file for each image, and lists or folders for the splits.

Found wherever they lie: ``Annotations/`` with ``JPEGImages/``, ``annotations/xmls/`` with ``images/``, or XML
files beside the images, in folders for the splits or not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple
from xml.etree import ElementTree as Plain
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree

from masu.data.dataset import DIFFICULT
from masu.data.formats.copying import Copy
from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, as_flag, as_size
from masu.data.formats.rows import BadEntryError, Box, Rows
from masu.data.formats.tree import Tree
from masu.data.splits import role
from masu.errors import bad_input, counted
from masu.regular import open_regular, read_text, size_of

MOST_BYTES = 64_000_000
"""Size of an annotation file; no picture needs as much."""


def find(place: Place) -> Candidate | None:
    """The XML files below a folder, of those folders whose first one is VOC's or cannot be told."""
    files = place.files(".xml")
    folders = {file.parent for file in place.some(files, _is_voc)}
    files = [file for file in files if file.parent in folders and b"<annotations" not in place.head(file)]
    return Candidate(tuple(files), BY_CONTENT) if files else None


def _is_voc(head: bytes) -> bool:
    return b"<annotation>" in head or b"<annotation " in head


def read(candidate: Candidate, tree: Tree) -> Rows:
    """Every annotation; a broken one is left out.

    Splits are the lists in ``ImageSets/Main`` or beside the annotations, else the folders that are named as
    splits. The class names are those of all annotations, sorted. Boxes are taken as they stand: xmin ymin
    xmax ymax are pixels, nothing is subtracted. ``difficult`` objects are left out of training and scoring.
    An image is the file that ``<filename>`` says where that has the XML's own stem, else the file with the
    stem, else ``<filename>``.

    Raises:
        InputError: a list of a split that cannot be read or names files elsewhere.
    """
    rows = Rows(tree, _describe)
    words: dict[Path, list[str]] = {}
    for listed in _lists(tree, candidate.files):
        for file in _entries(listed, rows):
            words.setdefault(file, []).append(listed.word)
    if not words:
        folders = {file: tree.split_of(file) for file in candidate.files}
        words = {file: [folder] for file, folder in folders.items() if folder is not None}
    for file in candidate.files:
        _read_page(file, words.get(file, []), tree, rows)
    return rows


def _describe(number: int, name: str) -> str:
    return f"object {number} ({name})" if name else f"object {number}"


def _read_page(file: Path, words: list[str], tree: Tree, rows: Rows) -> None:
    number = rows.file(file)
    try:
        root = _root(file)
    except BadEntryError as error:
        rows.bad(error, file, "the file", splits=words)
        return
    filename = PureWindowsPath((root.findtext("filename") or "").strip()).name
    own = filename and _stem_of(filename) == file.stem
    name = filename if own else file.stem
    look = rows.look(_folders(file, tree, words), stem=True)
    if not own and filename and tree.find(name, rows.looks[look]).path is None:
        name = filename
    row = rows.image(
        name,
        number,
        look,
        size=as_size(root.findtext("size/height"), root.findtext("size/width")),
        splits=words,
    )
    for at, element in enumerate(root.findall("object"), start=1):
        rows.left_out["truncated"] += _is_truncated(element)
        rows.left_out["pose"] += element.findtext("pose") not in (None, "", "Unspecified")
        rows.left_out["parts"] += sum(1 for _ in element.iter("part"))
        label = (element.findtext("name") or "").strip()
        try:
            if not label:
                raise BadEntryError("no <name>", "the name of its class")
            flag = DIFFICULT * as_flag(element.findtext("difficult"), "<difficult>")
            rows.object(row, _box(element), label, at, number, flag=flag)
        except BadEntryError as error:
            rows.bad(error, file, rows.describe(at, label), image=row)


def _is_truncated(element: Element) -> bool:
    """Whether the annotation says so, in whatever words: nothing is learnt from it, so none are wrong."""
    try:
        return as_flag(element.findtext("truncated"), "<truncated>")
    except BadEntryError:
        return True


def _stem_of(name: str) -> str:
    return os.path.splitext(name)[0]


def _folders(file: Path, tree: Tree, words: list[str]) -> list[Path]:
    """Where the image may be: the folders of VOC, those beside the annotations, those of the splits."""
    root = Path(tree.root)
    near = [file.parent, *(p for p in file.parents if tree.holds(p))]
    folders = [file.parent] if tree.folder(file.parent).stems else []
    folders += [above / name for above in near for name in ("JPEGImages", "images", "imgs")]
    return [*folders, file.parent, root, *(root / "images" / word for word in words)]


class _List(NamedTuple):
    """The list of a split: what it is called, its file, and the annotations that it may name, by stem."""

    word: str
    file: Path
    by_stem: dict[str, list[Path]]


def _lists(tree: Tree, files: tuple[Path, ...]) -> Iterator[_List]:
    """The lists of the splits, each for the annotations that it lies with, as ``VOC2007`` and ``VOC2012`` do.

    They are in ``ImageSets/Main`` or ``ImageSets`` beside the folder of the annotations, beside that folder
    itself, or in those places of the data set's folder.
    """
    root = Path(tree.root)
    owned: dict[Path, dict[str, list[Path]]] = {}
    place_of: dict[Path, Path | None] = {}
    for file in files:
        folder = file.parent
        if folder not in place_of:
            bases = dict.fromkeys((folder.parent, root))
            places = [base / inside for base in bases for inside in ("ImageSets/Main", "ImageSets", "")]
            place_of[folder] = next((place for place in places if _lists_in(place, tree)), None)
        if (place := place_of[folder]) is not None:
            owned.setdefault(place, {}).setdefault(file.stem, []).append(file)
    for place, by_stem in owned.items():
        for word, name in _lists_in(place, tree).items():
            yield _List(word, place / name, by_stem)


def _lists_in(place: Path, tree: Tree) -> dict[str, str]:
    """The files of a folder that are lists of splits, by the splits' words."""
    if not tree.holds(place):
        return {}
    names = {_stem_of(name): name for name in sorted(tree.folder(place).by_suffix.get(".txt", ()))}
    return {
        stem: name
        for stem, name in names.items()
        if (place.name == "Main" or role(stem, strict=True) is not None) and not _of_one_class(stem, names)
    }


def _of_one_class(name: str, lists: dict[str, str]) -> bool:
    """True for the per-class lists of the original VOC, such as ``aeroplane_train`` beside ``train``."""
    owner, _, split = name.rpartition("_")
    return bool(owner) and split in lists


def _entries(listed: _List, rows: Rows) -> list[Path]:
    """The annotations that a list names, each once."""
    word, file, by_stem = listed
    try:
        lines = read_text(file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise bad_input(
            file, f"a list that cannot be read ({error})", "UTF-8 text", "save it as UTF-8"
        ) from None
    seen: dict[str, None] = {}
    told: list[tuple[str, int, str]] = []
    for number, line in enumerate(lines, start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        stem = _stem(entry, by_stem)
        if len(PureWindowsPath(stem).parts) != 1 or stem == "..":
            raise bad_input(
                f"{file}, line {number}",
                repr(entry),
                "the name of an annotation without folder or suffix",
                "remove the folders; annotations and images lie within the data set",
            )
        if stem not in by_stem:
            told.append(("list-entry", number, f"{stem}, which has no {stem}.xml"))
        elif stem in seen:
            told.append(("double-image", number, f"{stem} for a second time"))
        else:
            seen[stem] = None
    if told and not seen:
        found = f"{counted(len(told), 'entry', 'entries')}, none of which has an annotation"
        rows.fault("missing-split", file, "the list", found, "left out")
        return []
    rows.split(word)
    for kind, number, found in told:
        rows.fault(kind, file, f"line {number}", found, splits=[word])
    return [annotation for stem in seen for annotation in by_stem[stem]]


def _stem(entry: str, by_stem: dict[str, list[Path]]) -> str:
    """The annotation an entry means: ``name``, ``name 1``, ``name.jpg`` or ``name 1 2 1``."""
    first, _, flag = entry.rpartition(" ")
    without_flag = first.rstrip() if flag in ("1", "0", "-1") and first else entry
    word = entry.split()[0]
    for candidate in (entry, without_flag, _stem_of(without_flag), word, _stem_of(word)):
        if candidate in by_stem:
            return candidate
    rest = entry.split()[1:]
    return word if rest and all(part.lstrip("-").isdigit() for part in rest) else without_flag


def _root(file: Path) -> Any:
    try:
        if (size := size_of(file)) > MOST_BYTES:
            raise BadEntryError(f"a file of {size / 1e6:.0f} MB", f"at most {MOST_BYTES / 1e6:.0f} MB")
        with open_regular(file) as stream:
            root: Any = ElementTree.parse(stream).getroot()
    except ParseError as error:
        raise BadEntryError(f"broken XML ({error})", "a VOC annotation") from None
    except (ValueError, LookupError, OSError) as error:
        raise BadEntryError(f"unusable XML ({type(error).__name__}: {error})", "a VOC annotation") from None
    if root.tag != "annotation":
        raise BadEntryError(f"the root element <{root.tag}>", "<annotation>")
    return root


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


def write(copy: Copy) -> None:
    """``Annotations/``, ``JPEGImages/`` and ``ImageSets/Main/<split>.txt``; ignored is ``difficult``."""
    copy.say_unordered()
    copy.say_not_coco()
    copy.say_without_scores("VOC")
    done: set[str] = set()
    for split, indices in copy.parts():
        stems = []
        for index in indices:
            stem = _stem_of(copy.name(index))
            stems.append(stem)
            if stem in done:
                continue
            done.add(stem)
            root = _page(copy, index, copy.image(index, "JPEGImages"))
            Plain.indent(root)
            page = Plain.tostring(root, encoding="utf-8", xml_declaration=True)
            copy.text(f"Annotations/{stem}.xml", page.decode())
        if split is not None:
            copy.text(f"ImageSets/Main/{split}.txt", "".join(f"{stem}\n" for stem in stems))
    copy.put_strays("JPEGImages")


def _page(copy: Copy, index: int, name: str) -> Element:
    root = Plain.Element("annotation")
    height, width = copy.said_size(index)
    _child(root, "filename", name)
    size = Plain.SubElement(root, "size")
    for tag, value in (("width", width), ("height", height), ("depth", 3)):
        _child(size, tag, value)
    for row in copy.objects(index):
        node = Plain.SubElement(root, "object")
        _child(node, "name", _of_xml(copy.name_of(row)))
        _child(node, "difficult", int(copy.is_ignored(row)))
        copy.count_crowd(row, "VOC has no crowd regions: {} are difficult objects")
        box = Plain.SubElement(node, "bndbox")
        for tag, number in zip(("xmin", "ymin", "xmax", "ymax"), copy.data.boxes[row].tolist(), strict=True):
            _child(box, tag, int(number) if float(number).is_integer() else repr(number))
    return root


def _child(parent: Element, tag: str, value: object) -> None:
    Plain.SubElement(parent, tag).text = str(value)


def _of_xml(name: str) -> str:
    """The name; XML knows no control characters.

    Raises:
        InputError: where it holds one.
    """
    if any((ord(letter) < 32 and letter not in "\t\n") or letter in "\ufffe\uffff" for letter in name):
        raise bad_input(f"class {name!r}", "a control character", "a name that XML can hold", "rename it")
    return name


FORMAT = Format(
    "voc", "Pascal VOC (a folder with Annotations/*.xml and JPEGImages/)", find, read, write, by_stem=True
)
