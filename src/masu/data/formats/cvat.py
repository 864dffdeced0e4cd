"""CVAT's own XML, "CVAT for images 1.1": one file with every image and its shapes.

Attributes and their meaning are those of CVAT's documentation, "XML annotation format". Its sister "CVAT for
video 1.1" names no images and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Plain
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.copying import Copy
from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, as_flag, as_size
from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Box, Rows, entry_of, place_of
from masu.data.formats.tree import Tree
from masu.data.formats.turned import box_of_ellipse, box_of_turned
from masu.errors import InputError, bad_input
from masu.regular import open_regular, size_of

MOST_BYTES = 2_000_000_000
"""Size of a file; one image of it at a time lies in memory."""

_FIX = "export it again as 'CVAT for images 1.1'"
_WITHOUT_BOX = {"points": "keypoints", "skeleton": "keypoints", "tag": "tags"}
_LABELS_WITHOUT_BOX = frozenset(("points", "skeleton", "tag"))
_CUBOID = [f"{corner}{side}" for side in "12" for corner in ("tl", "bl", "tr", "br")]
_FLAGS = {"is_crowd": CROWD, "difficult": DIFFICULT}
"""Attributes that are flags, under the names that CVAT gives them when it reads COCO and VOC."""
_SCORE = "score"
_CHECKBOX, _TEXT = ("checkbox", "false"), ("text", "")
"""Kind and default of an attribute."""


def find(place: Place) -> Candidate | None:
    """The XML files of CVAT below a folder, or one of them."""
    files = place.some(place.files(".xml"), _is_cvat)
    return Candidate(tuple(files), BY_CONTENT) if files else None


def _is_cvat(head: bytes) -> bool:
    return b"<annotations" in head and any(tag in head for tag in (b"<meta>", b"<image ", b"<track "))


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all files, with the box around each shape.

    A turned box or ellipse has the upright box around it, as have polygons, polylines, cuboids and masks;
    points, skeletons and tags have none. A checkbox ``is_crowd`` or ``difficult``, as CVAT makes of COCO and
    VOC, is that flag. Splits are the images' subsets, else the task's, else the folders that are named as
    splits. Classes are in the order of the task's labels, from 1; labels that can have no box are not among
    them. An image is looked for in ``images/<subset>/``, in ``images/`` and beside the file.

    Raises:
        InputError: a file that cannot be parsed or is of a video.
    """
    rows = Rows(tree, _describe)
    for file in candidate.files:
        _Page(file, tree, rows).read()
    if rows.ids:
        for name in rows.classes:
            rows.ids.setdefault(name, len(rows.ids) + 1)
    return rows


def _describe(number: int, name: str) -> str:
    image, at = entry_of(number)
    return f"image {image} of the file, shape {at} ({name})"


class _Page:
    """One file, read image by image."""

    def __init__(self, file: Path, tree: Tree, rows: Rows) -> None:
        self.file, self.tree, self.rows = file, tree, rows
        self.number = rows.file(file)
        self.word = tree.split_of(file)
        self._looks: dict[str | None, int] = {}

    def read(self) -> None:
        count = 0
        try:
            for element in _children(self.file):
                if element.tag == "meta":
                    self._meta(element)
                elif element.tag == "track":
                    found = "the tracks of a video, which name no images"
                    raise bad_input(self.file, found, "images with shapes", _FIX)
                elif element.tag == "image":
                    count += 1
                    self._image(element, count)
        except BadEntryError as error:
            raise bad_input(self.file, error.found, error.wanted, _FIX) from None

    def _meta(self, meta: Element) -> None:
        for label in meta.iter("label"):
            name = (label.findtext("name") or "").strip()
            part = (label.findtext("parent") or "").strip()
            if name and not part and (label.findtext("type") or "").strip() not in _LABELS_WITHOUT_BOX:
                self.rows.ids.setdefault(name, len(self.rows.ids) + 1)
        for subset in meta.iterfind("project/subsets/subset"):
            if word := (subset.text or "").strip():
                self.rows.split(word)
        for of in ("task", "job"):
            self.word = (meta.findtext(f"{of}/subset") or "").strip() or self.word

    def _image(self, element: Element, count: int) -> None:
        word = element.get("subset", "").strip() or self.word
        splits = [] if word is None else [word]
        name = element.get("name", "")
        if not name.strip():
            error = BadEntryError("no name", "the name of an image")
            self.rows.bad(error, self.file, f"image {count} of the file", splits=splits)
            return
        row = self.rows.image(
            name,
            self.number,
            self._look(word),
            number=count,
            size=as_size(element.get("height"), element.get("width")),
            splits=splits,
        )
        for at, shape in enumerate(element, start=1):
            self._shape(shape, row, place_of(count, at))

    def _look(self, word: str | None) -> int:
        if word not in self._looks:
            folders = []
            for base in dict.fromkeys((self.file.parent, Path(self.tree.root))):
                folders += [base / "images" / word, base / word] if word else []
                folders += [base / "images", base]
            self._looks[word] = self.rows.look(folders)
        return self._looks[word]

    def _shape(self, shape: Element, row: int, place: int) -> None:
        rows, kind = self.rows, shape.tag
        if kind in _WITHOUT_BOX:
            rows.left_out[_WITHOUT_BOX[kind]] += 1
            return
        label = shape.get("label", "").strip()
        try:
            if kind not in _BOXES:
                raise BadEntryError(f"a shape <{kind}>", f"one of {', '.join(_BOXES)}")
            if not label:
                raise BadEntryError("no label", "the name of a class")
            box, rotation = _BOXES[kind](shape), _number(shape, "rotation", "0")
        except BadEntryError as error:
            rows.bad(error, self.file, _describe(place, label or kind), image=row)
            return
        if kind != "box":
            rows.left_out["polygons"] += 1
        elif rotation:
            rows.left_out["rotated boxes"] += 1
        rows.left_out["occluded"] += shape.get("occluded") == "1"
        rows.object(row, box, label, place, self.number, flag=self._flag(shape))

    def _flag(self, shape: Element) -> int:
        flag = 0
        for attribute in shape.iterfind("attribute"):
            known = _FLAGS.get(attribute.get("name", "").strip().lower(), 0)
            try:
                flag |= known * as_flag(attribute.text, "it")
            except BadEntryError:
                known = 0
            self.rows.left_out["attributes"] += not known
        return flag


def _children(file: Path) -> Iterator[Any]:
    """The elements below the root, one at a time.

    Raises:
        BadEntryError: where the file is no XML of CVAT.
    """
    depth, root = 0, None
    try:
        if (size := size_of(file)) > MOST_BYTES:
            raise BadEntryError(f"a file of {size / 1e9:.1f} GB", f"at most {MOST_BYTES / 1e9:.0f} GB")
        with open_regular(file) as stream:
            for event, element in ElementTree.iterparse(stream, events=("start", "end")):
                depth += 1 if event == "start" else -1
                if root is None:
                    root = element
                    if root.tag != "annotations":
                        raise BadEntryError(f"the root element <{root.tag}>", "<annotations>")
                elif event == "end" and depth == 1:
                    yield element
                    root.clear()
    except ParseError as error:
        raise BadEntryError(f"broken XML ({error})", "annotations of CVAT") from None
    except (ValueError, LookupError, OSError) as error:
        if isinstance(error, InputError):  # of the one who reads
            raise
        raise BadEntryError(
            f"unusable XML ({type(error).__name__}: {error})", "annotations of CVAT"
        ) from None


def _number(shape: Element, key: str, default: str | None = None) -> float:
    text = shape.get(key, default)
    try:
        return float(text or "")
    except ValueError:
        raise BadEntryError(f"{key} {text!r}"[:60], "a number") from None


def _of_box(shape: Element) -> Box:
    x1, y1, x2, y2 = (_number(shape, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    return box_of_turned((x1, y1, x2, y2), _number(shape, "rotation", "0"), ((x1 + x2) / 2, (y1 + y2) / 2))


def _of_points(shape: Element) -> Box:
    text = shape.get("points", "")
    try:
        points = [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split(";"))]
    except ValueError:
        raise BadEntryError(f"points {text[:40]!r}", "x,y;x,y;…") from None
    return box_of_points(points)


def _of_ellipse(shape: Element) -> Box:
    x, y, radius_x, radius_y = (_number(shape, key) for key in ("cx", "cy", "rx", "ry"))
    return box_of_ellipse(x, y, radius_x, radius_y, _number(shape, "rotation", "0"))


def _of_mask(shape: Element) -> Box:
    x, y, width, height = (_number(shape, key) for key in ("left", "top", "width", "height"))
    return x, y, x + width, y + height


def _of_cuboid(shape: Element) -> Box:
    return box_of_points([(_number(shape, f"x{at}"), _number(shape, f"y{at}")) for at in _CUBOID])


_BOXES: dict[str, Callable[[Element], Box]] = {
    "box": _of_box,
    "polygon": _of_points,
    "polyline": _of_points,
    "ellipse": _of_ellipse,
    "mask": _of_mask,
    "cuboid": _of_cuboid,
}


def write(copy: Copy) -> None:
    """``annotations.xml`` and ``images/``; splits are subsets, flags and scores attributes."""
    data = copy.data
    copy.say_not_coco()
    if data.category_ids != tuple(range(1, len(data.names) + 1)):
        copy.say("ids of the classes are not kept: they will count from 1, in the same order")
    if several := int((data.members.sum(0) > 1).sum()):
        copy.say(
            f"an image of CVAT is in one subset: {several} images are listed once for each of their splits"
        )
    used = {name: _CHECKBOX for name, flag in _FLAGS.items() if (data.flags & flag).any()}
    used |= {} if copy.drafts is None else {_SCORE: _TEXT}
    with copy.stream("annotations.xml") as stream:
        stream.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        _put(stream.write, _element("version", "1.1"))
        _put(stream.write, _meta_of(copy, used))
        number = 0
        for split, indices in copy.parts():
            for index in indices:
                _put(stream.write, _image_of(copy, index, number, split, used))
                number += 1
        stream.write("</annotations>\n")
    copy.put_strays("images")


def _put(out: Callable[[str], object], element: Element) -> None:
    Plain.indent(element)
    out(Plain.tostring(element, encoding="unicode") + "\n")


def _meta_of(copy: Copy, used: Mapping[str, tuple[str, str]]) -> Element:
    meta = _element("meta")
    of = Plain.SubElement(meta, "project" if copy.data.splits else "task")
    of.append(_element("name", "masu"))
    if copy.data.splits:
        subsets = Plain.SubElement(of, "subsets")
        subsets.extend(_element("subset", split) for split in copy.data.splits)
    else:
        of.append(_element("size", str(len(copy.data))))
        of.append(_element("mode", "annotation"))
    labels = Plain.SubElement(of, "labels")
    for name in copy.data.names:
        label = Plain.SubElement(labels, "label")
        label.append(_element("name", name))
        label.append(_element("type", "rectangle"))
        attributes = Plain.SubElement(label, "attributes")
        for name, (kind, default) in used.items():
            attribute = Plain.SubElement(attributes, "attribute")
            attribute.append(_element("name", name))
            attribute.append(_element("mutable", "False"))
            attribute.append(_element("input_type", kind))
            attribute.append(_element("default_value", default))
            attribute.append(_element("values", default))
    return meta


def _image_of(
    copy: Copy, index: int, number: int, split: str | None, used: Mapping[str, tuple[str, str]]
) -> Element:
    data, (height, width) = copy.data, copy.said_size(index)
    source = "manual" if copy.drafts is None else "auto"
    image = Plain.Element("image", id=str(number), name=copy.image(index, "images"))
    if split is not None:
        image.set("subset", split)
    image.set("width", str(width))
    image.set("height", str(height))
    for row in copy.objects(index):
        copy.count_crowd(row, "CVAT has no crowd regions: {} have the attribute is_crowd")
        copy.count_difficult(row, "CVAT has no difficult objects: {} have the attribute difficult")
        box = Plain.SubElement(image, "box", label=copy.name_of(row), source=source, occluded="0")
        for key, value in zip(("xtl", "ytl", "xbr", "ybr"), data.boxes[row].tolist(), strict=True):
            box.set(key, repr(value))
        box.set("z_order", "0")
        for name in used:
            if name == _SCORE:
                value = repr(copy.score(row))
            else:
                value = "true" if data.flags[row] & _FLAGS[name] else "false"
            box.append(_element("attribute", value, name=name))
    return image


def _element(tag: str, text: str | None = None, **attributes: str) -> Element:
    element = Plain.Element(tag, attributes)
    element.text = text
    return element


FORMAT = Format("cvat", "CVAT for images 1.1 (annotations.xml and images/)", find, read, write)
