"""Pascal VOC: an XML file for each image, and lists or folders for the splits.

Found wherever they lie: ``Annotations/`` with ``JPEGImages/``, ``annotations/xmls/`` with ``images/``, or XML
files beside the images, in folders for the splits or not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple
from xml.etree import ElementTree as Plain
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import ElementTree

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.copying import Copy
from masu.data.formats.editing import Entry, Frame, Held, LabelFiles, Plan, held_in_order, moved
from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, as_flag, as_size
from masu.data.formats.list_lines import ListLine
from masu.data.formats.one_file_each import FreeClasses, Named, OneFileEach, Photo
from masu.data.formats.rows import BadEntryError, Box, Rows, class_name
from masu.data.formats.tree import Look, Tree, folder_text
from masu.data.formats.xml_places import Part, blank_before, parts_of, spliced
from masu.data.splits import TRAIN, TRAINVAL, role
from masu.errors import bad_input, counted
from masu.regular import read_bytes, read_text, size_of

MOST_BYTES = 64_000_000
"""Size of an annotation file; no picture needs as much."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_IMAGES = ("JPEGImages", "images", "imgs")
_OF_OTHER_SHAPES = ("polygon", "robndbox", "segmentation")


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
    words = _words_of(candidate.files, tree, rows)
    for file in candidate.files:
        _read_page(file, words.get(file, []), tree, rows)
    return rows


def _words_of(files: tuple[Path, ...], tree: Tree, rows: Rows) -> dict[Path, list[str]]:
    """The splits of each annotation."""
    words: dict[Path, list[str]] = {}
    for listed in _lists(tree, files):
        for file in _entries(listed, rows):
            words.setdefault(file, []).append(listed.word)
    if not words:
        folders = {file: tree.split_of(file) for file in files}
        words = {file: [folder] for file, folder in folders.items() if folder is not None}
    return words


def _describe(number: int, name: str) -> str:
    return f"object {number} ({name})" if name else f"object {number}"


def _read_page(file: Path, words: list[str], tree: Tree, rows: Rows) -> None:
    number = rows.file(file)
    try:
        root = _root(file)
    except BadEntryError as error:
        rows.bad(error, file, "the file", splits=words)
        return
    name, look = _image_name(root, file, tree, words)
    row = rows.image(
        name,
        number,
        rows.look(look.folders, stem=look.stem),
        size=as_size(root.findtext("size/height"), root.findtext("size/width")),
        splits=words,
    )
    for at, element in enumerate(root.findall("object"), start=1):
        rows.left_out["truncated"] += _is_truncated(element)
        rows.left_out["pose"] += element.findtext("pose") not in (None, "", "Unspecified")
        rows.left_out["parts"] += sum(1 for _ in element.iter("part"))
        try:
            label, box, flag = _object(element)
            rows.object(row, box, label, at, number, flag=flag)
        except BadEntryError as error:
            rows.bad(error, file, rows.describe(at, _label(element)), image=row)


def _image_name(root: Any, file: Path, tree: Tree, words: list[str]) -> tuple[str, Look]:
    """The image that an annotation means, and how to look for it."""
    filename = PureWindowsPath((root.findtext("filename") or "").strip()).name
    look = Look(tuple(dict.fromkeys(map(folder_text, _folders(file, tree, words)))), stem=True)
    if filename and _stem_of(filename) == file.stem:
        return filename, look
    return (filename if filename and tree.find(file.stem, look).path is None else file.stem), look


def _label(element: Element) -> str:
    return (element.findtext("name") or "").strip()


def _object(element: Element) -> tuple[str, Box, int]:
    """Name, box and flag of an object."""
    label = _label(element)
    if not label:
        raise BadEntryError("no <name>", "the name of its class")
    flag = DIFFICULT * as_flag(element.findtext("difficult"), "<difficult>")
    return label, _box(element), flag


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
    folders += [above / name for above in near for name in _IMAGES]
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
        content = read_bytes(file)
    except (ValueError, OSError) as error:
        raise BadEntryError(f"unusable XML ({type(error).__name__}: {error})", "a VOC annotation") from None
    return _root_of(content)


def _root_of(content: bytes) -> Any:
    """The element of an annotation.

    Raises:
        BadEntryError: for what is none.
    """
    try:
        root: Any = ElementTree.parse(BytesIO(content)).getroot()
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
    for tag in _CORNERS:
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
            root = _annotation(copy.image(index, "JPEGImages"), copy.said_size(index))
            for row in copy.objects(index):
                copy.count_crowd(row, "VOC has no crowd regions: {} are difficult objects")
                box = copy.data.boxes[row].tolist()
                root.append(_element(copy.name_of(row), box, difficult=copy.is_ignored(row)))
            Plain.indent(root)
            page = Plain.tostring(root, encoding="utf-8", xml_declaration=True)
            copy.text(f"Annotations/{stem}.xml", page.decode())
        if split is not None:
            copy.text(f"ImageSets/Main/{split}.txt", "".join(f"{stem}\n" for stem in stems))
    copy.put_strays("JPEGImages")


def _annotation(name: str, size: tuple[int, int]) -> Element:
    """An annotation without objects, of an image with a height and width."""
    root = Plain.Element("annotation")
    _child(root, "filename", name)
    node = Plain.SubElement(root, "size")
    for tag, value in (("width", size[1]), ("height", size[0]), ("depth", 3)):
        _child(node, tag, value)
    return root


def _element(name: str, box: Sequence[float], *, difficult: bool) -> Element:
    """An object of an annotation."""
    node = Plain.Element("object")
    _child(node, "name", _of_xml(name))
    _child(node, "difficult", int(difficult))
    corners = Plain.SubElement(node, "bndbox")
    for tag, number in zip(_CORNERS, box, strict=True):
        _child(corners, tag, _number(number))
    return node


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


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


class _Hand:
    """The annotations of the photographs below a folder."""

    most_bytes = MOST_BYTES

    def __init__(self, tree: Tree, candidate: Candidate) -> None:
        rows = read(candidate, tree)
        self.classes = FreeClasses(rows.class_order()[0])
        self._tree, self._named = tree, Named(tree, rows)
        self._words = _words_of(candidate.files, tree, Rows(tree, _describe))
        self._beside: dict[str, Path] = {}
        for photo, files in self._named.files.items():
            self._beside.setdefault(os.path.dirname(photo), files[0].parent)

    def meet(self, photos: Sequence[Path]) -> None:
        self._named.meet(photos)

    def file_of(self, photo: Path) -> Path:
        return self._named.file_of(photo) or self._folder_for(photo) / f"{photo.stem}.xml"

    def _folder_for(self, photo: Path) -> Path:
        """Where annotations are: those of the folder's other photographs, else where VOC has them."""
        if known := self._beside.get(os.path.dirname(os.path.abspath(photo))):
            return known
        if photo.parent.name in _IMAGES and (folder := photo.parent.with_name("Annotations")).is_dir():
            return folder
        return photo.parent

    def list_line(self, photo: Path, file: Path) -> ListLine | None:
        """In the list of train, else that of trainval, where no other names it and no folder is its split."""
        folder = self._tree.split_of(photo)
        if folder is not None and role(folder) not in (TRAIN, TRAINVAL):
            return None
        lists = list(_lists(self._tree, (file,)))
        chosen = {role(one.word): one for one in reversed(lists)}
        found = chosen.get(TRAIN) or chosen.get(TRAINVAL)
        quiet = Rows(self._tree, _describe)
        if found is None or any(_entries(one, quiet) for one in lists if one.file != found.file):
            return None
        return ListLine(found.file, file.stem)

    def page(self, file: Path, content: bytes | None, photo: Photo) -> _Page:
        if content is None:
            root = _annotation(photo.path.name, photo.size)
            Plain.indent(root)
            content = Plain.tostring(root, encoding="utf-8", xml_declaration=True)
        root = _root_of(content)
        tree = self._named.tree_with(photo.path)
        folder = tree.split_of(file)
        words = self._words.get(file, [] if folder is None or self._words else [folder])
        name, look = _image_name(root, file, tree, words)
        self._named.require_only(photo.path, file, name, look, words[0] if words else None)
        return _Page(content, root, photo)


class _Page:
    """An annotation taken apart."""

    unconfirmed = None  # it has no place for that

    def __init__(self, content: bytes, root: Any, photo: Photo) -> None:
        self._content, self._photo = content, photo
        self._codec = _codec_of(content)
        try:
            parts = parts_of(content)
        except ValueError as error:
            raise BadEntryError(f"XML that cannot be changed in place ({error})", "UTF-8") from None
        self._root, self._children = parts[0], [part for part in parts if len(part.path) == 2]
        self._objects = [part for part in self._children if part.path[1] == "object"]
        size = as_size(root.findtext("size/height"), root.findtext("size/width"))
        self._frame = Frame.of(photo.size, photo.orientation, size)
        found = []
        for at, (element, part) in enumerate(zip(root.findall("object"), self._objects, strict=True)):
            with suppress(BadEntryError):
                label, box, flag = _object(element)
                if (shown := self._frame.shown(box)) is not None:
                    text = content[part.start : part.end].decode(self._codec)
                    found.append((shown, class_name(label), flag, (at,), (text,)))
        self.held = held_in_order(found)

    def change(self, held: Held, entry: Entry) -> tuple[str, ...]:
        text = held.texts[0].encode(self._codec)
        first: dict[tuple[str, ...], Part] = {}
        for part in parts_of(text, self._codec):
            first.setdefault(part.path[1:], part)
        changes: list[tuple[int, int, bytes]] = []
        if held.entry.name != entry.name:
            changes.append(_inner(first["name",], self._text(escape(_of_xml(entry.name)))))
        if moved(held.entry, entry):
            for tag, number in zip(_CORNERS, self._frame.written(entry.box), strict=True):
                changes.append(_inner(first["bndbox", tag], _number(number).encode()))
            gone = [first[tag,] for tag in _OF_OTHER_SHAPES if (tag,) in first]
            changes += [(blank_before(text, part.start), part.end, b"") for part in gone]
        if held.entry.flag != entry.flag:
            said = str(int(self._is_difficult(entry))).encode()
            name = first["name",]
            blank = text[blank_before(text, name.start) : name.start]
            new = (name.end, name.end, blank + b"<difficult>%s</difficult>" % said)
            changes.append(_inner(first["difficult",], said) if ("difficult",) in first else new)
        return (spliced(text, changes).decode(self._codec),)

    def new(self, entry: Entry) -> str:
        node = _element(entry.name, self._frame.written(entry.box), difficult=self._is_difficult(entry))
        blank = self._blank()
        if b"\n" in blank:
            unit = blank.rpartition(b"\n")[2].decode(self._codec)
            Plain.indent(node, unit, level=1)
        made = Plain.tostring(node, encoding="unicode").rstrip()
        return self._text(made.replace("\n", "\r\n") if b"\r\n" in blank else made).decode(self._codec)

    def content(self, plan: Plan) -> bytes:
        content, root = self._content, self._root
        changes = []
        for at, text in plan.replaced.items():
            part = self._objects[at]
            start = part.start if text is not None else blank_before(content, part.start)
            changes.append((start, part.end, b"" if text is None else text.encode(self._codec)))
        if plan.added:
            blank = self._blank()
            made = b"".join(blank + text.encode(self._codec) for text in plan.added)
            if last := (self._objects or self._children)[-1:]:
                changes.append((last[0].end, last[0].end, made))
            elif root.closing < root.end:
                changes.append((root.inner, root.inner, made))
            else:
                changes.append((root.inner - 2, root.inner, b">" + made + b"\n</annotation>"))
        return spliced(content, changes)

    def _blank(self) -> bytes:
        """What stands before each element of the annotation."""
        last = (self._objects or self._children)[-1:]
        return self._content[blank_before(self._content, last[0].start) : last[0].start] if last else b"\n\t"

    def _text(self, text: str) -> bytes:
        """A text as bytes of the file; where it is not in UTF-8, letters beyond ASCII by their numbers."""
        return text.encode("utf-8") if self._codec == "utf-8" else text.encode("ascii", "xmlcharrefreplace")

    def _is_difficult(self, entry: Entry) -> bool:
        """Whether an object is to be a difficult one.

        Raises:
            InputError: for a crowd region.
        """
        if entry.flag & CROWD:
            fix = "delete it, or say that it is difficult"
            raise bad_input(
                self._photo.path,
                f"a crowd region ({entry.name})",
                "an object",
                f"VOC has no such regions; {fix}",
            )
        return bool(entry.flag & DIFFICULT)


def _inner(part: Part, text: bytes) -> tuple[int, int, bytes]:
    """The change of an element's text."""
    if part.closing < part.end:
        return part.inner, part.closing, text
    tag = part.path[-1].encode()
    return part.start, part.end, b"<%s>%s</%s>" % (tag, text, tag)


def _codec_of(content: bytes) -> str:
    """How to take a file apart: as UTF-8, or byte by byte where its first line says another encoding."""
    said = re.match(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*["']([^"']+)["']""", content)
    name = said[1].lower() if said else b"utf-8"
    return "utf-8" if name in (b"utf-8", b"utf8", b"ascii", b"us-ascii") else "iso-8859-1"


def edit(root: Path, candidate: Candidate | None) -> LabelFiles:
    """The annotations of the photographs below a folder, to be changed.

    What is not changed stays to the letter, comments too. New annotations go where those of the folder's
    other photographs are. Where lists say the splits, a photograph that gets its first annotation is added to
    the list of train, else to that of trainval, and taken off it with its annotation.

    Raises:
        InputError: where there is no annotation yet.
    """
    if candidate is None:
        raise bad_input(root, "no annotation", "a data set of Pascal VOC", "begin with LabelMe's files")
    tree = Tree(root)
    return OneFileEach(tree, _Hand(tree, candidate))


FORMAT = Format(
    "voc",
    "Pascal VOC (a folder with Annotations/*.xml and JPEGImages/)",
    find,
    read,
    write,
    by_stem=True,
    edit=edit,
)
