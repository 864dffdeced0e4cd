"""COCO object annotations: one JSON file, or a folder with one for each split."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from masu.data.dataset import CROWD, Dataset
from masu.data.formats.coco_editing import edit
from masu.data.formats.coco_entries import (
    FIX,
    LARGEST_ID,
    OWN_NAME,
    Ids,
    are_large,
    category_name,
    folders_of,
    id_in,
    ids_in,
    image_name,
    name_at,
    number_classes,
    object_in,
    word_of,
)
from masu.data.formats.copying import Copy
from masu.data.formats.form import (
    BY_CONTENT,
    POSSIBLE,
    SAYS_SO,
    Candidate,
    Format,
    Place,
    as_pixels,
    as_size,
)
from masu.data.formats.json_stream import Piece, pieces
from masu.data.formats.rows import BadEntryError, Box, Objects, Rows
from masu.data.formats.tree import Tree
from masu.data.splits import role
from masu.errors import bad_input, listed
from masu.json_text import to_json

Array = np.ndarray[Any, Any]

_KEYS = frozenset(("images", "annotations", "categories"))
_NOT_CARRIED = ("segmentation", "keypoints", "attributes", "score", "caption")
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
_EMPTY = (b"", b"[]", b"{}", b"null", b"0", b"0.0", b"-0", b"-0.0", b'""', b"false")
_NOT_EXHAUSTIVE = "not_exhaustive_category_ids"


def find(place: Place) -> Candidate | None:
    """The JSON files with COCO's keys below a folder; ``instances_*`` alone where there are such."""
    files = place.some(place.files(".json"), _is_coco)
    known = set(files)
    others = [file for file in place.files(".json") if _by_name(file) and file not in known]
    files += [file for file in others if _may_be(place.head(file))]
    if place.path.is_file() and place.path.suffix.lower() == ".json" and not files:
        possible = _may_be(place.head(place.path))
        return Candidate((place.path,), POSSIBLE, place.path) if possible else None
    if own := [file for file in files if file.name.startswith("instances_")]:
        files = own
    if not files:
        return None
    says_so = any(file.name == OWN_NAME for file in files)
    direct = place.path if place.path.is_file() else None
    return Candidate(tuple(sorted(files)), SAYS_SO if says_so else BY_CONTENT, direct)


def _is_coco(head: bytes) -> bool:
    return sum(b'"%s"' % key.encode() in head for key in sorted(_KEYS)) >= 2 and _may_be(head)


def _may_be(head: bytes) -> bool:
    """Nothing of another format that is written in JSON."""
    others = (b'"shapes"', b'"_via_', b'"regions"', b'"classTitle"')
    return not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[") and not any(o in head for o in others)


def _by_name(file: Path) -> bool:
    return (
        file.name.startswith("instances_")
        or file.name == OWN_NAME
        or role(file.stem, strict=True) is not None
    )


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images, objects and categories of all files.

    ``iscrowd`` objects are regions to leave out. An object without ``bbox`` has the box around its mask,
    or its keypoints.
    Classes are in the order of their category ids; two categories of the same name are one class, and where
    two files use one id for two names, the later one gets a new id. An image is looked for in the split's
    folder, in ``images/<split>/``, in ``images/`` and beside the JSON file. Where it has no ``file_name``,
    the last two parts of its ``coco_url`` name it, as in LVIS.

    Raises:
        InputError: a file that cannot be parsed or lacks a required key.
    """
    rows = Rows(tree, _describe, _describe_image)
    one = len(candidate.files) == 1 and candidate.files[0] == candidate.options
    pages = [_Page(file, tree, rows, None if one else word_of(file, tree)) for file in candidate.files]
    used = {key for page in pages for key in page.used}
    number_classes([page.categories for page in pages], used, rows)
    for page in pages:
        if page.word is not None:
            rows.known.setdefault(page.word, set()).update(page.categories.values())
    return rows


def _describe(number: int, name: str) -> str:
    return f"annotation id {number}" if number >= 0 else f"annotation {-number} of the list"


def _describe_image(number: int, name: str) -> str:
    return f"image id {number}" if number >= 0 else f"image {name}"


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    id: int
    iscrowd: int = 0
    area: float | None = None
    segmentation: msgspec.Raw = msgspec.Raw(b"")
    keypoints: msgspec.Raw = msgspec.Raw(b"")
    attributes: msgspec.Raw = msgspec.Raw(b"")
    score: msgspec.Raw = msgspec.Raw(b"")
    caption: msgspec.Raw = msgspec.Raw(b"")


class _Image(msgspec.Struct, gc=False):
    id: int
    file_name: str = ""
    height: int | float | None = None
    width: int | float | None = None
    coco_url: str | None = None
    neg_category_ids: list[int] | None = None
    not_exhaustive_category_ids: list[int] | None = None


_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])
_IMAGES = msgspec.json.Decoder(list[_Image])


class _Page:
    """One JSON file, read in pieces.

    Pieces that are as COCO wants them are decoded by type, any other entry by entry; both give the same.
    """

    def __init__(self, file: Path, tree: Tree, rows: Rows, word: str | None) -> None:
        self.file, self.rows, self.word = file, rows, word
        self.number = rows.file(file)
        self.look = rows.look(folders_of(file, tree.root, word))
        self.categories: dict[int, str] = {}
        self.used: set[int] = set()
        self._ids = Ids()
        self._image_ids: list[Array] = []
        self._first = len(rows.names)
        self._columns: tuple[array[Any], ...] = tuple(array(kind) for kind in "qqdqBd")
        self._absent: dict[int, list[int]] = {}
        self._partial: dict[int, list[int]] = {}
        if word is not None:
            rows.split(word)
        seen: list[str] = []
        try:
            for piece in pieces(file, _KEYS):
                if piece.number <= 1:
                    self._once(piece.key, seen)
                if piece.key in _KEYS:
                    self._read(piece)
        except BadEntryError as error:
            raise bad_input(file, error.found, error.wanted, FIX) from None
        for key in ("images", "annotations", "categories"):
            if key not in seen:
                raise bad_input(file, f"no key {key!r} (its keys: {listed(seen, 8)})", f"a list {key!r}", FIX)
        self._place()
        self._place_lists()

    def _once(self, key: str, seen: list[str]) -> None:
        if key in _KEYS and key in seen:
            raise BadEntryError(f"the key {key!r} twice", "each key once")
        seen.append(key)

    def _read(self, piece: Piece) -> None:
        if not piece.listed:
            try:
                value = json.loads(piece.text)
            except (ValueError, RecursionError) as error:
                raise BadEntryError(f"broken JSON in {piece.key!r} ({error})", "annotations") from None
            raise bad_input(f"{self.file}, {piece.key!r}", _kind(value), "a list", FIX)
        if piece.key == "images":
            self._images(piece)
        elif piece.key == "annotations":
            self._annotations(piece)
        else:
            self._categories(self._entries(piece))

    def _entries(self, piece: Piece) -> list[dict[str, Any]]:
        try:
            entries = json.loads(piece.text)
        except (ValueError, RecursionError) as error:
            after = f", after entry {piece.number}" if piece.number > 1 else ""
            raise BadEntryError(
                f"broken JSON in {piece.key!r} ({type(error).__name__}: {error}{after})", "annotations"
            ) from None
        for number, entry in enumerate(entries, start=piece.number):
            if not isinstance(entry, dict):
                thing = f"{self.file}, {piece.key!r}, entry {number}"
                raise bad_input(thing, _kind(entry), "an object", FIX)
        found: list[dict[str, Any]] = entries
        return found

    def _images(self, piece: Piece) -> None:
        try:
            images = _IMAGES.decode(piece.text)
            ids = np.array([image.id for image in images], np.int64)
            names = [image.file_name or name_at(image.coco_url) for image in images]
            if not all(names) or are_large(ids):
                raise msgspec.ValidationError
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError):
            self._images_one_by_one(piece)
            return
        self._sayfolders_of(all(image.file_name for image in images))
        sizes = np.array(
            [as_size(image.height, image.width) or (0, 0) for image in images], np.int32
        ).reshape(-1, 2)
        first = self.rows.images(names, self.number, self.look, ids, sizes, self.word)
        self._image_ids.append(ids)
        for row, image in enumerate(images, start=first):
            self._list(row, image.neg_category_ids, image.not_exhaustive_category_ids)

    def _images_one_by_one(self, piece: Piece) -> None:
        splits = [] if self.word is None else [self.word]
        ids = []
        for number, entry in enumerate(self._entries(piece), start=piece.number):
            where = f"image {number} of the list"
            try:
                key = id_in(entry, "id", (int, str))
                where = f"image id {key}"
                name = image_name(entry)
                absent, partial = ids_in(entry, "neg_category_ids"), ids_in(entry, _NOT_EXHAUSTIVE)
            except BadEntryError as error:
                self.rows.bad(error, self.file, where, splits=splits)
                continue
            self._sayfolders_of(bool(entry.get("file_name")))
            size = as_size(entry.get("height"), entry.get("width"))
            number_of = self._ids.number(key)
            row = self.rows.image(name, self.number, self.look, number=number_of, size=size, splits=splits)
            ids.append(number_of)
            self._list(row, absent, partial)
        self._image_ids.append(np.array(ids, np.int64))

    def _sayfolders_of(self, named: bool) -> None:
        if not named:  # LVIS shares out COCO's images anew, each stays in COCO's folder
            self.rows.folders_mean_splits = False

    def _list(self, row: int, absent: list[int] | None, partial: list[int] | None) -> None:
        if absent is not None:
            self._absent[row] = absent
        if partial:
            self._partial[row] = partial

    def _annotations(self, piece: Piece) -> None:
        try:
            found = _ANNOTATIONS.decode(piece.text)
            images = np.array([one.image_id for one in found], np.int64)
            categories = np.array([one.category_id for one in found], np.int64)
            places = np.array([one.id for one in found], np.int64)
            crowds = np.array([one.iscrowd for one in found], np.int64)
            ids = np.concatenate([images, categories, places])
            if are_large(ids) or (places < 0).any() or ((crowds | 1) != 1).any():
                raise msgspec.ValidationError
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError):
            self._annotations_one_by_one(piece)
            return
        boxes = np.array([one.bbox for one in found], np.float64).reshape(-1, 4)
        with np.errstate(over="ignore", invalid="ignore"):
            boxes[:, 2:] += boxes[:, :2]
        flags = crowds.astype(np.uint8) * CROWD
        areas = np.array([np.nan if one.area is None else one.area for one in found], np.float64)
        self._add(images, categories, boxes, places, flags, areas)
        for key in _NOT_CARRIED:
            if b'"%s"' % key.encode() in piece.text:
                self.rows.left_out[key] += sum(bytes(getattr(one, key)) not in _EMPTY for one in found)

    def _annotations_one_by_one(self, piece: Piece) -> None:
        splits = [] if self.word is None else [self.word]
        rows: list[tuple[int, int, Box, int, int, float]] = []
        for number, entry in enumerate(self._entries(piece), start=piece.number):
            where = f"annotation id {entry['id']}" if "id" in entry else f"annotation {number} of the list"
            for key in _NOT_CARRIED:
                self.rows.left_out[key] += bool(entry.get(key))
            try:
                image = self._ids.number(id_in(entry, "image_id", (int, str)))
                category, box, flag = object_in(entry)
                category = self._ids.number(category)
                area = entry.get("area")
                area = np.nan if area is None else as_pixels(area, "area")
            except BadEntryError as error:
                self.rows.bad(error, self.file, where, splits=splits)
                continue
            rows.append((image, category, box, _place_of(entry.get("id"), number), flag, area))
        columns = list(zip(*rows, strict=True)) or [()] * 6
        kinds = (np.int64, np.int64, np.float64, np.int64, np.uint8, np.float64)
        made = [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
        made[2] = made[2].reshape(-1, 4)
        self._add(*made)

    def _add(self, *parts: Array) -> None:
        """Add to the columns, which grow where they lie: joining chunks at the end needs twice the room."""
        for column, part in zip(self._columns, parts, strict=True):
            column.frombytes(np.ascontiguousarray(part).tobytes())

    def _categories(self, entries: list[dict[str, Any]]) -> None:
        for number, entry in enumerate(entries, start=1):
            where = f"category {number} of the list"
            try:
                key = id_in(entry, "id", (int,))
                where = f"category id {key}"
                name = category_name(entry)
            except BadEntryError as error:
                raise bad_input(f"{self.file}, {where}", error.found, error.wanted, FIX) from None
            if key in self.categories:
                raise bad_input(f"{self.file}, category id {key}", "it twice", "one entry for each id", FIX)
            self.categories[key] = name
            if isinstance(above := entry.get("supercategory"), str):
                self.rows.supercategories.setdefault(name, above)

    def _place(self) -> None:
        """Give the objects to the images and classes that they name."""
        ids = np.concatenate([np.zeros(0, np.int64), *self._image_ids])
        unique, first = np.unique(ids, return_index=True)
        splits = [] if self.word is None else [self.word]
        for row in np.setdiff1d(np.arange(len(ids)), first).tolist():
            name = f"image id {self._ids.shown(int(ids[row]))}"
            self.rows.fault(
                "annotation", self.file, name, "found it twice, wanted one entry for each id", splits=splits
            )
            self.rows.drop(self._first + row)
        if not len(self._columns[0]):
            return
        kinds = (np.int64, np.int64, np.float64, np.int64, np.uint8, np.float64)
        images, categories, flat, places, flags, areas = (
            np.frombuffer(column, kind) for column, kind in zip(self._columns, kinds, strict=True)
        )
        self._columns, boxes = (), flat.reshape(-1, 4)
        at = np.searchsorted(unique, images)
        known_image = np.zeros(len(images), np.bool_)
        inside = at < len(unique)
        known_image[inside] = unique[at[inside]] == images[inside]
        present = np.unique(categories)
        codes = np.array(
            [self.rows.code(self.categories[c]) if c in self.categories else -1 for c in present.tolist()],
            np.int32,
        )
        classes = codes[np.searchsorted(present, categories)] if len(present) else np.zeros(0, np.int32)
        for row in np.flatnonzero(~known_image).tolist():
            shown = self._ids.shown(int(images[row]))
            where = _describe(int(places[row]), "")
            self.rows.fault("unknown-image", self.file, where, f"unknown image id {shown}", splits=splits)
        for row in np.flatnonzero(known_image & (classes < 0)).tolist():
            shown = self._ids.shown(int(categories[row]))
            where, found = _describe(int(places[row]), ""), f"unknown category id {shown}"
            image = self._first + int(first[at[row]])
            self.rows.fault("unknown-class", self.file, where, found, image=image, splits=splits)
        good = known_image & (classes >= 0)
        self.used = set(present.tolist()) if good.all() else set(np.unique(categories[good]).tolist())
        del images, categories, known_image, inside
        owners = self._first + first[np.minimum(at, len(unique) - 1)] if len(unique) else at
        files = np.full(len(places), self.number, np.int32)
        objects = Objects(owners, boxes, classes, places, flags, areas, files)
        self.rows.objects(objects if good.all() else Objects(*(column[good] for column in objects)))

    def _place_lists(self) -> None:
        """Say which classes each image was checked for; an id of no category means nothing that is judged."""
        if not (self._absent or self._partial):
            return
        codes = {key: self.rows.code(name) for key, name in self.categories.items()}
        absent, partial = (
            [(row, codes[key]) for row, keys in lists.items() for key in keys if key in codes]
            for lists in (self._absent, self._partial)
        )
        self.rows.class_lists(list(self._absent), absent, partial)
        self._absent, self._partial = {}, {}


def _place_of(key: object, number: int) -> int:
    """An annotation's id where it is one that can be said, else its position, negative."""
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < LARGEST_ID:
        return key
    return -number


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")


def write(copy: Copy) -> None:
    """``annotations/instances_<split>.json`` (without splits ``instances.json``) and ``images/``.

    All splits have the same list of classes, with the source's ids. Ids of images and objects of a COCO
    source are kept where each is there once.
    """
    data = copy.data
    categories = [
        {"id": number, "name": name} | ({"supercategory": above} if above else {})
        for number, name, above in sorted(
            zip(data.category_ids, data.names, copy.supercategories, strict=True)
        )
    ]
    keeps = data.form == "coco" and _distinct(data.image_ids) and _distinct(data.places)
    if data.form == "coco" and not keeps:
        copy.say("the ids of images and objects are not kept, since several have the same")
    for split, indices in copy.parts():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in indices:
            number = int(data.image_ids[index]) if keeps else len(images) + 1
            height, width = copy.said_size(index)
            file_name = copy.image(index, "images")
            images.append(
                {"id": number, "file_name": file_name, "height": height, "width": width}
                | _written_lists(data, index)
            )
            for row in copy.objects(index):
                x1, y1, x2, y2 = data.boxes[row].tolist()
                area = float(data.areas[row])
                annotations.append(
                    {
                        "id": int(data.places[row]) if keeps else len(annotations) + 1,
                        "image_id": number,
                        "category_id": data.category_ids[data.labels[row]],
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1) if np.isnan(area) else area,
                        "iscrowd": int(data.flags[row] != 0),
                    }
                )
                if (score := copy.score(row)) is not None:
                    annotations[-1]["score"] = score
                copy.count_difficult(row, "COCO has no difficult objects: {} are crowd regions")
        page = {"images": images, "annotations": annotations, "categories": categories}
        name = f"instances_{split}.json" if split else "instances.json"
        copy.text(f"annotations/{name}", to_json(page))
    copy.put_strays("images")


def _written_lists(data: Dataset, index: int) -> dict[str, list[int]]:
    lists = data.class_lists
    if lists is None:
        return {}
    absent = {"neg_category_ids": lists.absent[index]} if lists.listed[index] else {}
    return {
        key: [data.category_ids[label] for label in labels.tolist()]
        for key, labels in (absent | {_NOT_EXHAUSTIVE: lists.partial[index]}).items()
    }


def _distinct(numbers: Array) -> bool:
    return bool((numbers >= 0).all()) and len(np.unique(numbers)) == len(numbers)


FORMAT = Format(
    "coco",
    "COCO (a JSON file, or a folder with annotations/instances_<split>.json)",
    find,
    read,
    write,
    all_in_splits=True,
    edit=edit,
    crowds=True,
)
