"""YOLO's label files changed in place, their lists of classes added to."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from masu.data.formats.editing import (
    Entry,
    Frame,
    Held,
    LabelFiles,
    Plan,
    held_in_order,
    moved,
    stamp_of,
    text_in,
    version_of,
    write_in_place,
)
from masu.data.formats.form import Candidate
from masu.data.formats.list_lines import ListLine
from masu.data.formats.one_file_each import Named, OneFileEach, Photo
from masu.data.formats.rows import BadEntryError, Box, Rows
from masu.data.formats.tree import Tree
from masu.data.formats.yolo_labels import MOST_BYTES as MOST_BYTES_OF_LABELS
from masu.data.formats.yolo_labels import Reading, class_number, line_of, lines_in, parse
from masu.data.formats.yolo_lists import NAMES, lists, names_files, text_of
from masu.data.formats.yolo_names import with_names
from masu.data.formats.yolo_page import (
    LOADER,
    describe,
    images_in,
    is_split,
    keypoints_in,
    name_of,
    names_in,
    opened,
    page_in,
    place_of,
)
from masu.data.formats.yolo_places import labels_of, new_labels_of
from masu.data.splits import TRAIN, TRAINVAL, role
from masu.errors import InputError, bad_input, listed
from masu.regular import read_bytes

_COUNT = re.compile(r"^([ \t]*classes[ \t]*=[ \t]*)[0-9]+", re.MULTILINE)
"""The number of classes in the settings of DarkNet."""

_LARGE = 10_000
"""Pixels of a side from which 6 digits of a share are not enough."""


class _Classes:
    """The class names of a data set as its files list them now; new ones are added to them."""

    def __init__(self, page: Path | None, tree: Tree, used: set[int]) -> None:
        self._page, self._tree = page, tree
        found = [page] if page is not None else names_files(tree)
        self._new_list = not found and not used
        self.files = tuple(found or [Path(tree.root, NAMES[0])])
        self.trouble = ""
        self.listed: tuple[str, ...] | None = None
        self._used = sorted(used)
        self._stamps: list[tuple[int, int, int] | None] | None = None
        self._refresh()

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of their numbers."""
        return tuple(map(str, self._used)) if self.listed is None else self.listed

    def version(self, content: bytes) -> str:
        """A text that differs for other lines, and where a number of theirs means another class."""
        self._refresh()
        numbers = set()
        for line in content.decode("utf-8", "replace").splitlines():
            with suppress(BadEntryError, IndexError):
                numbers.add(class_number(line.split()[0]))
        names = [name_of(number, self.listed) for number in sorted(numbers)]
        return version_of(content, "\0".join(map(str, names)).encode())

    def see(self, names: Sequence[str]) -> None:
        """Nothing: the list says them all."""

    def meet(self, names: Sequence[str]) -> None:
        """Add the classes to the list that it lacks.

        Raises:
            InputError: where there is no list, or one that cannot be added to.
        """
        self._refresh()
        new = [name for name in dict.fromkeys(names) if name not in self.names]
        if not new or self.trouble:
            return
        if self.listed is None and not self._new_list:
            if all(name.isascii() and name.isdecimal() for name in new):
                self._used = sorted({*self._used, *map(int, new)})
                return
            fix = f"write the names, one a line in the order of their numbers, into {self.files[0]}"
            raise bad_input(self._tree.root, f"no names for the numbers, and {new[0]!r}", "a number", fix)
        if self._page is not None:
            text = with_names(self._page, text_of(self._page), new)
            wanted = (*self.names, *new)
            if _said_names(text, self._page) != wanted:
                found = "names in a form that is not added to"
                raise bad_input(self._page, found, "a plain list", f"add {listed(new)} to it yourself")
            write_in_place(self._page, text.encode())
        if lines := [name for name in new if self._page is None and len(name.splitlines()) != 1]:
            raise bad_input(self.files[0], f"class {lines[0]!r}", "a name of one line", "rename it")
        for file in self.files if self._page is None else ():
            before = read_bytes(file) if file.exists() else b""
            gap = b"\n" if before and not before.endswith(b"\n") else b""
            write_in_place(file, before + gap + "".join(f"{name}\n" for name in new).encode())
            for settings in sorted(file.parent.glob("*.data")):
                text = text_of(settings)
                counted = _COUNT.sub(rf"\g<1>{len(self.names) + len(new)}", text)
                if counted != text:
                    write_in_place(settings, counted.encode())
        self._refresh()

    def number(self, name: str) -> int:
        """The number of a class that was met."""
        return int(name) if self.listed is None else self.listed.index(name)

    def _refresh(self) -> None:
        """Read the lists where they are others than before."""
        stamps = [stamp_of(file) for file in self.files]
        if stamps == self._stamps:
            return
        self._stamps, self.trouble = stamps, ""
        try:
            content = {} if self._page is None else page_in(self._page)
            self.listed = names_in(content, self._page, Tree(self._tree.root, self._tree.images))
        except InputError as error:
            self.trouble = str(error)


def _said_names(text: str, file: Path) -> tuple[str, ...] | None:
    try:
        content = yaml.load(text, LOADER)
        return names_in(content, file, Tree(file.parent)) if isinstance(content, dict) else None
    except (yaml.YAMLError, InputError):
        return None


class _Hand:
    """The label files of a data set."""

    most_bytes = MOST_BYTES_OF_LABELS

    def __init__(self, tree: Tree, candidate: Candidate) -> None:
        content, page, self.tree = opened(candidate, tree)
        rows = Rows(self.tree, describe)
        every = list(images_in(content, page, self.tree, rows))
        labels = {image: labels_of(image, self.tree) for image, _ in every}
        others = [one for one in every if one[1] is not None and role(one[1]) not in (TRAIN, TRAINVAL)]
        self._held_out = {os.path.abspath(image) for image, _ in others}
        self._lists = _lists_by_role(content, page, self.tree)
        self._reading = Reading(keypoints_in(content, page))
        lines = [lines_in(file, self._reading, rows) for file in dict.fromkeys(labels.values()) if file]
        self.classes = _Classes(page, self.tree, {line.number for one in lines for line in one})
        self._named = Named(self.tree, None)
        self._owners: dict[str, set[str]] = defaultdict(set)
        for image, file in labels.items():
            self._owners[os.path.abspath(file or "")].add(os.path.abspath(image))

    def meet(self, photos: Sequence[Path]) -> None:
        self._named.meet(photos)
        lists = [file for word, file in self._lists.items() if word not in (TRAIN, TRAINVAL)]
        others = {
            os.path.abspath(Path(base, line.strip().replace("\\", "/")))
            for file in lists
            for line in text_of(file).splitlines()
            for base in (file.parent, self.tree.root)
        }
        for photo in photos:
            full = os.path.abspath(photo)
            self._owners[os.path.abspath(self.file_of(photo))].add(full)
            if full in others:
                self._held_out.add(full)

    def file_of(self, photo: Path) -> Path:
        tree = self._named.tree_with(photo)
        known = labels_of(os.fspath(photo), tree)
        return new_labels_of(photo, tree) if known is None else Path(known)

    def list_line(self, photo: Path, file: Path) -> ListLine | None:
        """In the list of train, else that of trainval, as others of its folder stand there."""
        full = os.path.abspath(photo)
        folder = self.tree.split_of(photo)
        if full in self._held_out or (folder is not None and role(folder) not in (TRAIN, TRAINVAL)):
            return None
        found = self._lists.get(TRAIN) or self._lists.get(TRAINVAL)
        if found is None:
            return None
        alike: list[str] = []
        for whole in text_of(found).splitlines():
            line = whole.strip()
            last = line.replace("\\", "/").rpartition("/")[2]
            start = line.removesuffix(last)
            above = {os.path.abspath(Path(base, start)) for base in (found.parent, self.tree.root)}
            if last and os.path.dirname(full) in above:
                if last == photo.name:
                    return ListLine(found, line)
                alike.append(start + photo.name)
        return ListLine(found, alike[0]) if alike else None

    def page(self, file: Path, content: bytes | None, photo: Photo) -> _LabelPage:
        if self.classes.trouble:
            raise BadEntryError(self.classes.trouble, "the names of its classes")
        own = os.path.abspath(photo.path)
        if others := sorted(self._owners[os.path.abspath(file)] - {own}):
            raise BadEntryError(f"the labels of {os.path.basename(others[0])} as well", "those of one image")
        text, mark = text_in(content or b"")
        return _LabelPage(text, mark, photo, self.classes, self._reading)


def _lists_by_role(content: dict[str, Any], page: Path | None, tree: Tree) -> dict[str | None, Path]:
    """The list of images of each split that is one file and no folder, by what the split is for."""
    if page is None:
        return {role(word): file for word, file in reversed(lists(tree).items())}
    found: dict[str | None, Path] = {}
    for word, entry in content.items():
        if isinstance(entry, str) and entry.endswith(".txt") and is_split(word, entry, tree.root):
            place = place_of(entry, page, word, tree)
            if place is not None and place.is_file():
                found.setdefault(role(word), place)
    return found


class _LabelPage:
    """A label file taken apart."""

    unconfirmed = None  # it has no place for that

    def __init__(self, text: str, mark: str, photo: Photo, classes: _Classes, reading: Reading) -> None:
        self._mark, self._photo, self._classes, self._reading = mark, photo, classes, reading
        self._lines = text.splitlines(keepends=True)
        self._frame = Frame(photo.size)
        found = []
        for at, whole in enumerate(self._lines):
            with suppress(BadEntryError):
                line = whole.splitlines()[0]
                if not line.strip():
                    continue
                parsed = parse(at + 1, line)
                x1, y1, x2, y2 = reading.shape(parsed).box
                height, width = photo.size
                name = name_of(parsed.number, classes.listed)
                box = self._frame.shown((x1 * width, y1 * height, x2 * width, y2 * height))
                if box is not None and name is not None:
                    found.append((box, name, 0, (at,), (line,)))
        self.held = held_in_order(found)

    def change(self, held: Held, entry: Entry) -> tuple[str, ...]:
        line = held.texts[0]
        number = self._number(entry)
        if moved(held.entry, entry):
            before = parse(1, line)
            of_points = self._reading.shape(before).of_points
            shares = self._reading.written(self._shares(entry.box), of_points=of_points)
            rest = () if of_points else before.words[4:]
            return (" ".join((line_of(number, shares[: 8 if of_points else 4], self._digits), *rest)),)
        return (re.sub(r"\S+", str(number), line, count=1),)

    def new(self, entry: Entry) -> str:
        return line_of(self._number(entry), self._reading.written(self._shares(entry.box)), self._digits)

    def content(self, plan: Plan) -> bytes:
        end = "\r\n" if self._lines and self._lines[0].endswith("\r\n") else "\n"
        made = []
        for at, whole in enumerate(self._lines):
            text = plan.replaced.get(at, "")
            if text is not None:
                made.append(text + whole[len(whole.splitlines()[0]) :] if text else whole)
        if made and plan.added and made[-1].splitlines()[0] == made[-1]:
            made[-1] += end
        made += [text + end for text in plan.added]
        return (self._mark + "".join(made)).encode()

    @property
    def _digits(self) -> int:
        """So many that boxes are written to a hundredth of a pixel."""
        return 6 if max(self._photo.size) <= _LARGE else 8

    def _shares(self, box: Box) -> Box:
        height, width = self._photo.size
        x1, y1, x2, y2 = box
        return x1 / width, y1 / height, x2 / width, y2 / height

    def _number(self, entry: Entry) -> int:
        """The class of an object.

        Raises:
            InputError: for a crowd region or a difficult object.
        """
        if entry.flag:
            found = f"a crowd region or a difficult object ({entry.name})"
            raise bad_input(self._photo.path, found, "an object", "YOLO has no such flags; delete it")
        return self._classes.number(entry.name)


def edit(root: Path, candidate: Candidate | None) -> LabelFiles:
    """The label files of the images below a folder, to be changed.

    A new class is added to the list of ``data.yaml``, or to the files that list them one a line. A box of a
    data set of polygons or turned boxes is written as four points; in one of keypoints with none of these.

    Raises:
        InputError: where there is no data set, and as of :func:`read`.
    """
    if candidate is None:
        raise bad_input(root, "no labels", "a data set of YOLO", "begin with LabelMe's files")
    hand = _Hand(Tree(root), candidate)
    return OneFileEach(hand.tree, hand)
