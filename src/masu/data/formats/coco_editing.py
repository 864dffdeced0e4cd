"""COCO's files changed in place: the images and annotations of one photograph, and no byte of the others.

Where each entry of a file stands is looked up once and again after each change; what is read is what belongs
to one photograph.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from masu.atomic import alone_in
from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.coco_entries import (
    FIX,
    id_in,
    number_classes,
    object_in,
    word_of,
)
from masu.data.formats.coco_places import Listing, ReplacedError
from masu.data.formats.draft_list import SUFFIX, DraftLists
from masu.data.formats.editing import (
    LOCK,
    ChangedError,
    Entry,
    Frame,
    Held,
    LabelFiles,
    Loaded,
    Past,
    Plan,
    held_in_order,
    keep_below,
    moved,
    planned,
    stamp_of,
    usable_entries,
    version_of,
    write_in_place,
)
from masu.data.formats.form import Candidate, as_size, json_of
from masu.data.formats.json_places import as_utf8, indentation, written
from masu.data.formats.rows import BadEntryError, Rows
from masu.data.formats.tree import Tree, plain
from masu.data.pixels.headers import read_header
from masu.data.splits import role
from masu.errors import InputError, bad_input
from masu.regular import read_bytes

Array = np.ndarray[Any, Any]

_HEAD = 65_536
_TRIES = 5


@dataclass(frozen=True)
class _Said:
    """What a file says of one photograph.

    Attributes:
        file: that lists it.
        row: its position in the list of images.
        image: its entry.
        rows: positions of its annotations.
        texts: that of the image and those of the annotations, as they are written.
        entries: the annotations.
    """

    file: Listing
    row: int
    image: dict[str, Any]
    rows: tuple[int, ...]
    texts: tuple[str, ...]
    entries: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, file: Listing, row: int) -> _Said:
        """What a file says of the image at a position.

        Raises:
            ReplacedError: where the file is another one by now.
            BadEntryError: for a text that is not JSON in UTF-8.
        """
        rows = tuple(file.own(int(file.lists["images"].ids[row])).tolist())
        written = [*file.texts("images", [row]), *file.texts("annotations", rows)]
        try:
            texts = tuple(text.decode() for text in written)
        except UnicodeDecodeError as error:
            raise BadEntryError(f"another encoding ({error})", "UTF-8") from None
        image, *entries = map(json_of, written)
        return cls(file, row, image, rows, texts, tuple(entries))

    @property
    def id(self) -> int:
        """Of the image."""
        return int(self.file.lists["images"].ids[self.row])

    @property
    def version(self) -> str:
        """Another text where a category is renamed that its objects are of, too."""
        keys = set()
        for entry in self.entries:
            with suppress(BadEntryError):
                keys.add(id_in(entry, "category_id", (int,)))
        names = [str(self.file.categories.get(key)) for key in sorted(keys)]
        return version_of("\0".join((*self.texts, *names)).encode())


@dataclass(frozen=True)
class _Rows:
    """Where photographs are listed.

    Attributes:
        of: the file of each and its position in it, in the order of the files; several where it is listed
            several times.
    """

    of: Mapping[str, list[tuple[Path, int]]]

    @cached_property
    def first(self) -> Mapping[str, Mapping[Path, int]]:
        """Of each folder, the first of its photographs in each file that lists any."""
        found: dict[str, dict[Path, int]] = {}
        for photo, rows in self.of.items():
            path, row = rows[0]
            found.setdefault(os.path.dirname(photo), {}).setdefault(path, row)
        return found

    def replaced(self, path: Path, photos: Sequence[tuple[str, int]] = ()) -> _Rows:
        """These, with what a file lists now: photographs and their positions."""
        rows = {
            key: left for key, every in self.of.items() if (left := [one for one in every if one[0] != path])
        }
        for photo, row in photos:
            rows.setdefault(photo, []).append((path, row))
        return _Rows(rows)


class CocoFiles:
    """The labels of the photographs that one or several JSON files list; see :class:`LabelFiles`.

    Args:
        root: the data set's folder.
        candidate: its files.

    Raises:
        InputError: for a file that cannot be read.
    """

    def __init__(self, root: Path, candidate: Candidate) -> None:
        self.root, self._tree = root, Tree(root)
        alone = len(candidate.files) == 1 and candidate.files[0] == candidate.options
        self._lock = RLock()
        self._words = {file: None if alone else word_of(file, self._tree) for file in candidate.files}
        self._past = Past()
        self._found: dict[tuple[Path, str], str | None] = {}
        self._rows = _Rows({})
        self._marks: dict[Path, dict[str, int]] = {}
        self._files: dict[Path, Listing] = {}
        self._drafts = DraftLists()
        self._faults: dict[Path, str] = {}
        for file in candidate.files:
            self._look_at(file)
            if file in self._faults:
                raise bad_input(file, self._faults[file], "annotations of COCO", FIX)
        rows = Rows(self._tree, lambda number, name: "")
        number_classes(
            [one.categories for one in self._files.values()],
            {key for one in self._files.values() for key in one.used},
            rows,
        )
        self._names = rows.class_order()[0]
        self._seen = {file: one.stamp for file, one in self._files.items()}
        for file in self._files:
            self._marks[file] = self._marks_of(file)
        self._look_for_lists()
        self._drafted = self._drafts.photographs()

    @property
    def names(self) -> tuple[str, ...]:
        """The classes of the data set, in its order; those that are new come last."""
        more = [name for one in self._files.values() for name in one.categories.values()]
        return tuple(dict.fromkeys((*self._names, *more)))

    def file_of(self, photo: Path) -> Path:
        """The file that lists a photograph, or would: that of its split, or of others in its folder.

        The first of all where none is for it; its labels cannot be changed then.
        """
        return self._file_for(photo) or next(iter(self._words))

    def _file_for(self, photo: Path) -> Path | None:
        """The file that lists a photograph, or would; None where each is of another split."""
        if rows := self._rows.of.get(os.path.abspath(photo)):
            return rows[0][0]
        word = self._tree.split_of(photo)
        kind = None if word is None else role(word)
        if word is not None:
            for file, own in self._words.items():
                if own is not None and role(own) == kind:
                    return file
        folder = os.path.dirname(os.path.abspath(photo))
        if beside := self._rows.first.get(folder):
            return next(iter(beside))
        open_to_all = (file for file, own in self._words.items() if own is None or role(own) is None)
        return next(iter(self._words) if kind is None else open_to_all, None)

    def load(self, photo: Path) -> Loaded:
        """What the files say of a photograph now."""
        with self._lock:
            try:
                return self._loaded(photo, self._said(photo))
            except BadEntryError as error:
                return Loaded(None, version_of(str(error).encode()), f"{self.file_of(photo)}: found {error}")
            except InputError as error:
                return Loaded(None, version_of(str(error).encode()), str(error))

    def save(self, photo: Path, size: tuple[int, int], entries: Sequence[Entry], version: str) -> str:
        """Have the file say these objects and no others; see :meth:`LabelFiles.save`."""
        with self._lock:
            wanted = usable_entries(photo, size, entries)
            orientation = read_header(photo).orientation
            with self._alone(photo):
                said = self._current(photo, version)
                path = self.file_of(photo)
                content = _Content(self._files[path])
                frame, held = Frame(size), []
                number = content.file.lists["images"].free
                if said is not None:
                    number = said.id
                    frame = self._frame(said, size, orientation)
                    held = _held(said, frame)
                drafted = self._drafts.unconfirmed(path, photo, size, held) is not None
                shown = content.file.ids.shown(number)
                ids = self._category_ids(path, wanted)
                hand = _Hand(photo, content, shown, frame, ids, drafted=drafted)
                key = os.path.abspath(photo)
                plan = planned(held, wanted, self._past.of(key), hand.change, hand.back, hand.new)
                self._past.change(key, held, plan)
                if said is not None and not plan and not drafted:
                    return version
                if drafted:
                    plan = Plan({**hand.without_scores(held), **plan.replaced}, plan.added)
                images = Plan()
                if said is None:
                    images = Plan({}, (self._image(photo, content, number, size),))
                plans = {"annotations": plan, "images": images, "categories": Plan({}, hand.new_categories)}
                self._put(path, content.changed(plans), key)
                if drafted:
                    self._drafts.confirm(path, photo)
                    self._drafted = self._drafts.photographs()
                return self._version(photo, self._said(photo))

    def take_back(self, photo: Path, version: str, into: Path) -> None:
        """Take a photograph off its file's lists; see :meth:`LabelFiles.take_back`."""
        with self._lock, self._alone(photo):
            said = self._current(photo, version)
            if said is None:
                return
            content = _Content(said.file)
            entries = {
                "images": [said.image],
                "annotations": said.entries,
                "categories": [{"id": key, "name": name} for key, name in said.file.categories.items()],
            }
            kept = photo.with_name(f"{photo.name}.json")
            keep_below(into, self.root, kept, as_utf8(entries).encode())
            plans = {
                "images": Plan({said.row: None}),
                "annotations": Plan(dict.fromkeys(said.rows)),
            }
            self._put(said.file.path, content.changed(plans), os.path.abspath(photo))

    def meet(self, photos: Sequence[Path]) -> None:
        """Take note of photographs that have come since, which the files may list already."""
        with self._lock:
            self._tree = Tree(self.root)
            self._found = {key: path for key, path in self._found.items() if path is not None}
            for path, one in self._files.items():
                if any(key not in self._found for key in ((path, name) for name in one.names if name)):
                    self._rows = self._rows.replaced(path, self._placed(one))

    def changed(self) -> tuple[Path, ...]:
        """The photographs whose entries others have changed since the last call."""
        with self._lock:
            self._look_again()
            different: set[str] = set()
            for file, one in self._files.items():
                if self._seen[file] == one.stamp:
                    continue
                before, now = self._marks[file], self._marks_of(file)
                self._seen[file], self._marks[file] = one.stamp, now
                different |= {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
            self._look_for_lists()
            drafted = self._drafts.photographs()
            if drafted != self._drafted:
                names = {name for _, name in drafted ^ self._drafted}
                self._drafted = drafted
                different |= {key for key in self._rows.of if plain(os.path.basename(key)) in names}
            top = os.path.abspath(self.root)
            return tuple(self.root / os.path.relpath(key, top) for key in sorted(different))

    def _look_again(self) -> None:
        """Look at the files that are others than before."""
        for file in self._words:
            known = self._files.get(file)
            if known is None or stamp_of(file) != known.stamp:
                self._look_at(file)

    def _look_at(self, path: Path) -> None:
        try:
            one = Listing(path, self._tree, self._words[path])
        except BadEntryError as error:
            self._rows, self._faults[path] = self._rows.replaced(path), error.found
            return
        self._faults.pop(path, None)
        self._rows, self._files[path] = self._rows.replaced(path, self._placed(one)), one

    def _placed(self, one: Listing) -> list[tuple[str, int]]:
        """The photographs that a file lists, with their positions in it."""
        photos = [(self._photo(one, name) if name else None, row) for row, name in enumerate(one.names)]
        return [(photo, row) for photo, row in photos if photo is not None]

    def _photo(self, one: Listing, name: str) -> str | None:
        """The photograph that a name of a file means."""
        key = one.path, name
        if key not in self._found:
            path = self._tree.find(name, one.look, one.word).path
            self._found[key] = None if path is None else os.path.abspath(path)
        return self._found[key]

    def _said(self, photo: Path) -> _Said | None:
        """What the files say of a photograph now; None where it is not listed.

        Raises:
            BadEntryError: for a broken file, and where the photograph is listed several times.
            InputError: where no file is for its split.
        """
        for _ in range(_TRIES):
            self._look_again()
            with suppress(ReplacedError):
                return self._listed(photo)
        raise BadEntryError("a file that others replace all the time", "one that stays for a moment")

    def _listed(self, photo: Path) -> _Said | None:
        rows = self._rows.of.get(os.path.abspath(photo), [])
        if self._faults and not rows:
            broken, found = next(iter(self._faults.items()))
            raise BadEntryError(f"{found} ({broken.name})", "annotations of COCO")
        if len(rows) > 1:
            raise BadEntryError(f"{photo.name} listed {len(rows)} times", "one entry for it")
        if not rows:
            if self._file_for(photo) is None:
                word = self._tree.split_of(photo)
                fix = f"add one beside {next(iter(self._words)).name}, or move the photograph"
                raise bad_input(photo, f"no file of annotations for the split {word!r}", "one", fix)
            return None
        row, file = rows[0][1], self._files[rows[0][0]]
        if (file.lists["images"].ids == file.lists["images"].ids[row]).sum() > 1:
            raise BadEntryError(f"the id of {photo.name} twice", "one entry for each id")
        return _Said.of(file, row)

    def _loaded(self, photo: Path, said: _Said | None) -> Loaded:
        if said is None:
            return Loaded(None, "")
        try:
            header = read_header(photo)
        except InputError as error:
            return Loaded(None, self._version(photo, said), str(error))
        size, version = (header.height, header.width), self._version(photo, said)
        held = _held(said, self._frame(said, size, header.orientation))
        self._past.see(os.path.abspath(photo), held)
        try:
            drafts = self._drafts.unconfirmed(said.file.path, photo, size, held)
        except InputError as error:
            return Loaded(None, version, str(error))
        if drafts is not None:
            return Loaded(None, version, unconfirmed=drafts)
        return Loaded(tuple(one.entry for one in held), version)

    def _version(self, photo: Path, said: _Said | None) -> str:
        """See :class:`Loaded`; it is another one while a list of drafts names the photograph."""
        if said is None:
            return ""
        return said.version + ("-drafts" if self._drafts.names(said.file.path, photo) else "")

    def _look_for_lists(self) -> None:
        """Take note of the lists of drafts beside the files."""
        folders = dict.fromkeys(file.parent for file in self._words)
        self._drafts.look(list_ for folder in folders for list_ in folder.glob(f"*{SUFFIX}"))

    def _current(self, photo: Path, version: str) -> _Said | None:
        """What the files say, which is of a version.

        Raises:
            ChangedError: where it is of another one.
            InputError: where it cannot be changed.
        """
        try:
            said = self._said(photo)
        except BadEntryError as error:
            raise bad_input(self.file_of(photo), error.found, error.wanted, FIX) from None
        if version != self._version(photo, said):
            raise ChangedError(photo, self._loaded(photo, said))
        return said

    def _frame(self, said: _Said, size: tuple[int, int], orientation: int) -> Frame:
        size_said = as_size(said.image.get("height"), said.image.get("width"))
        return Frame.of(size, orientation, size_said)

    def _category_ids(self, path: Path, entries: Sequence[Entry]) -> dict[str, int]:
        """An id in a file for the class of each entry: its own, else another file's, else a new one."""
        own = self._files[path].categories
        ids = {name: key for key, name in reversed(own.items())}
        others = {name: key for one in self._files.values() for key, name in one.categories.items()}
        free = max((key for one in self._files.values() for key in one.categories), default=0) + 1
        for entry in entries:
            if entry.name in ids:
                continue
            key = others.get(entry.name, free)
            if key in own or key in ids.values():
                key = free
            ids[entry.name] = key
            free = max(free, key + 1)
        return ids

    def _image(self, photo: Path, content: _Content, number: int, size: tuple[int, int]) -> str:
        """The entry of a photograph that is not listed yet.

        Raises:
            InputError: where no name for it is found again.
        """
        full, file = os.path.abspath(photo), content.file
        if photo.name not in self._tree.folder(photo.parent).names:
            self._tree, self._found = Tree(self.root), {}
        for name in self._names_for(full, file):
            if self._photo(file, name) == full:
                entry = {"id": number, "file_name": name, "height": size[0], "width": size[1]}
                return content.written(entry, "images")
        raise bad_input(
            file.path, f"no folder from which {photo} has a name", "an image below one of its folders"
        )

    def _names_for(self, full: str, file: Listing) -> Iterator[str]:
        """Names that may mean a photograph, the likeliest first: as others of its folder have them."""
        folder, last = os.path.split(full)
        row = self._rows.first.get(folder, {}).get(file.path)
        if row is not None:
            known = file.names[row]
            yield known[: len(known) - len(known.replace("\\", "/").rpartition("/")[2])] + last
        for above in file.look.folders:
            top = os.path.abspath(above)
            if full.startswith(top + os.sep):
                yield os.path.relpath(full, top).replace(os.sep, "/")
        yield last

    def _put(self, path: Path, content: bytes, key: str) -> None:
        """Write a file, and take note of what masu itself has changed."""
        seen = self._seen[path] == self._files[path].stamp
        write_in_place(path, content)
        self._look_at(path)
        if path in self._faults:
            raise bad_input(path, self._faults[path], "what was written")
        if seen:
            self._seen[path] = self._files[path].stamp
        if rows := self._rows.of.get(key):
            self._marks[path][key] = self._files[path].mark(rows[0][1], content)
        else:
            self._marks[path].pop(key, None)

    def _marks_of(self, path: Path) -> dict[str, int]:
        """The mark of each photograph of a file; see :meth:`Listing.mark`."""
        content, file = read_bytes(path), self._files[path]
        return {
            key: file.mark(rows[0][1], content) for key, rows in self._rows.of.items() if rows[0][0] == path
        }

    def _alone(self, photo: Path) -> AbstractContextManager[None]:
        return alone_in([Path(os.path.realpath(self.file_of(photo))).parent], LOCK)


def _held(said: _Said, frame: Frame) -> list[Held]:
    """The objects of a photograph."""
    found = []
    for at, text, entry in zip(said.rows, said.texts[1:], said.entries, strict=True):
        with suppress(BadEntryError):
            category, box, flag = object_in(entry)
            shown, name = frame.shown(box), said.file.categories.get(category)
            if shown is not None and name is not None:
                found.append((shown, name, flag, (at,), (text,)))
    return held_in_order(found)


class _Content:
    """The bytes of a file, and how its entries are written."""

    def __init__(self, file: Listing) -> None:
        self.file = file
        try:
            self.bytes = read_bytes(file.path)
        except OSError as error:
            raise bad_input(file.path, f"a file that cannot be read ({error})", "annotations") from None
        if stamp_of(file.path) != file.stamp:
            found = "it replaced by another program just now"
            raise bad_input(file.path, found, "it as it was a moment ago", "save again")
        self._head = self.bytes[:_HEAD].decode("utf-8-sig", "replace")

    def first(self, key: str) -> bytes:
        """The first entry of a list; empty where there is none."""
        where = self.file.lists[key].spans
        return self.bytes[where[0, 0] : where[0, 1]] if len(where) else b""

    def written(self, value: dict[str, Any], key: str) -> str:
        """An entry as those of a list are written."""
        first = self.first(key)
        if b"\n" in first or (not first and indentation(self._head)[0]):
            return written(value, self._head, 2)
        tight = bool(first) and b'":' in first and b'": ' not in first
        return as_utf8(value, separators=(",", ":") if tight else None)

    def changed(self, plans: Mapping[str, Plan]) -> bytes:
        """The file with the changes to its lists."""
        parts: list[bytes] = []
        at = 0
        every = [
            change for key, plan in plans.items() for change in self.file.lists[key].changes(plan, self.bytes)
        ]
        for start, end, new in sorted(every, key=lambda change: change[:2]):
            parts += [self.bytes[at:start], new]
            at = end
        return b"".join((*parts, self.bytes[at:]))


class _Hand:
    """How the annotations of one photograph are written.

    Attributes:
        new_categories: entries for classes that the file did not list.
    """

    def __init__(
        self,
        photo: Path,
        content: _Content,
        image: object,
        frame: Frame,
        ids: Mapping[str, int],
        *,
        drafted: bool,
    ) -> None:
        self._photo, self._content, self._image, self._frame, self._ids = photo, content, image, frame, ids
        self._drafted = drafted
        self._free = content.file.lists["annotations"].free
        self._masks = False
        with suppress(BadEntryError):
            self._masks = bool(json_of(content.first("annotations") or b"{}").get("segmentation"))
        self.new_categories = tuple(
            content.written({"id": key, "name": name}, "categories")
            for name, key in ids.items()
            if key not in content.file.categories
        )

    def change(self, held: Held, entry: Entry) -> tuple[str, ...]:
        return (self._content.written(self._changed(held, entry), "annotations"),)

    def without_scores(self, held: Sequence[Held]) -> dict[int, str]:
        """Entries of drafts as those of labels, by position."""
        scored = (one for one in held if "score" in json.loads(one.texts[0]))
        return {one.rows[0]: self.change(one, one.entry)[0] for one in scored}

    def back(self, held: Held, entry: Entry) -> tuple[str, ...]:
        value = self._changed(held, entry)
        value |= {"image_id": self._image, "category_id": self._ids[entry.name]}
        if value.get("id") in self._content.file.lists["annotations"].ids:
            value["id"] = self._new_id()
        return (self._content.written(value, "annotations"),)

    def _changed(self, held: Held, entry: Entry) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(held.texts[0])
        if self._drafted:
            value.pop("score", None)  # labels have none
        if held.entry.name != entry.name:
            value["category_id"] = self._ids[entry.name]
        if held.entry.flag != entry.flag:
            value["iscrowd"] = self._crowd(entry)
        if moved(held.entry, entry):
            value |= self._region(entry, masked=bool(value.get("segmentation")))
        return value

    def new(self, entry: Entry) -> str:
        value = {
            "id": self._new_id(),
            "image_id": self._image,
            "category_id": self._ids[entry.name],
            **self._region(entry, masked=self._masks),
            "iscrowd": self._crowd(entry),
        }
        return self._content.written(value, "annotations")

    def _new_id(self) -> int:
        self._free += 1
        return self._free - 1

    def _region(self, entry: Entry, *, masked: bool) -> dict[str, Any]:
        """The box; where there are masks, it is one."""
        x1, y1, x2, y2 = self._frame.written(entry.box)
        width, height = round(x2 - x1, 2), round(y2 - y1, 2)
        made: dict[str, Any] = {"bbox": [x1, y1, width, height], "area": round(width * height, 4)}
        return made | ({"segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]]} if masked else {})

    def _crowd(self, entry: Entry) -> int:
        """Whether an object is a crowd region.

        Raises:
            InputError: for a difficult object.
        """
        if entry.flag & DIFFICULT:
            found = f"a difficult object ({entry.name})"
            fix = "COCO has no such objects; delete it, or say that it is a crowd region"
            raise bad_input(self._photo, found, "an object or a crowd region", fix)
        return int(bool(entry.flag & CROWD))


def edit(root: Path, candidate: Candidate | None) -> LabelFiles:
    """The entries of the photographs below a folder, to be changed in their files.

    Raises:
        InputError: where there is no file, or one that cannot be read.
    """
    if candidate is None:
        raise bad_input(root, "no annotations", "a data set of COCO", "begin with LabelMe's files")
    return CocoFiles(root, candidate)
