"""From what a reader found to a data set: names become files, and entries of one image one image."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from masu.data.dataset import Dataset, Paths
from masu.data.formats.draft_list import without_drafts
from masu.data.formats.rows import Objects, RowFault, Rows
from masu.data.formats.tree import Found
from masu.data.kinds import Fault
from masu.data.splits import in_order, role, split_names
from masu.errors import bad_input, listed

_Labels = dict[tuple[Any, ...], int]
Array = np.ndarray[Any, Any]

_GONE = -1  # stands for no image


def resolved(rows: Rows, form: str) -> Dataset:
    """The data set of a reader's rows, not yet looked at: sizes and boxes are as the annotations say.

    An image that several entries name is one: with the objects of them all, one that two have alike counted
    once, where they are of the same splits; with the splits of them all where they have the same objects; and
    once for each labelling where different splits label it in different ways. Files named after no known kind
    of split are splits of their own, unless they label the same images in different ways: then each has its
    own classes. Where nothing says splits, those that the folders of the images are named as count. An image
    whose labels are what a model drafted is left out.

    Args:
        rows: what the reader found; its objects are taken out of it.
        form: name of the format.

    Raises:
        InputError: a name that leads out of the data set, or a list of drafts that cannot be read.
    """
    entries = _Entries(rows)
    alive = np.flatnonzero(entries.image == np.arange(len(entries.paths)))
    owners = entries.take_objects(alive)
    objects = entries.objects
    class_names, ids = rows.class_order()
    number_of = {name: number for number, name in enumerate(class_names)}
    codes = np.array([number_of[name] for name in rows.classes], np.int32)
    lists = rows.all_class_lists()
    told = (_told(fault, entries) for fault in rows.faults)
    lacking = _lacking(rows, entries.names, class_names)
    data = Dataset(
        root=rows.root,
        split=None,
        splits=entries.splits,
        names=class_names,
        category_ids=ids,
        paths=Paths.of(entries.paths[entry] or "" for entry in alive.tolist()),
        starts=np.searchsorted(owners, np.arange(len(alive) + 1)),
        boxes=objects.boxes,
        labels=codes[objects.classes] if len(codes) else objects.classes,
        flags=objects.flags,
        areas=objects.areas,
        sizes=entries.sizes[alive],
        claimed=np.zeros((len(alive), 2), np.int32),
        relative=entries.relative[alive],
        members=entries.members[:, alive],
        files=Paths.of(rows.files),
        image_files=entries.files[alive],
        object_files=objects.files,
        image_ids=entries.numbers[alive],
        places=objects.places,
        describe=rows.describe,
        form=form,
        supercategories=tuple(rows.supercategories.get(name, "") for name in class_names),
        left_out=dict(sorted((+rows.left_out).items())),
        faults=tuple(dict.fromkeys((*told, *entries.faults, *lacking))),
        class_lists=None if lists is None else lists.moved(entries.positions(alive), codes, len(alive)),
        drafts=tuple(sorted(set(rows.drafts.values()))),
    )
    return without_drafts(data, rows)


class _Entries:
    """The images as the files have them, N entries in columns; several entries may be of one image.

    Attributes:
        paths: the file of each, None where there is none.
        words: what its annotations call its splits, by entry.
        names: the splits' names by these words.
        splits: these names, each once.
        members: ``(len(splits), N)`` bool, which entry is in which split.
        image: ``(N,)`` the entry that stands for its image: itself, an earlier one, or ``_GONE``.
        objects: of all entries, in their order.
        faults: what was met here.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.files, self.looks, self.relative, self.sizes, self.numbers = rows.image_columns()
        self.objects = rows.all_objects()
        self.faults: list[Fault] = []
        self.names = split_names(rows.words)
        self.words: list[tuple[str, ...]] = [()] * len(rows.names)
        for word, owned in rows.words.items():
            alone = (word,)  # one for all: they are very many
            for entry in owned:
                self.words[entry] = (*self.words[entry], word) if self.words[entry] else alone
        self._starts = np.searchsorted(self.objects.images, np.arange(len(rows.names) + 1))
        self._counts = np.ones(len(self.objects.images), np.bool_)
        self.paths = self._found()
        repeated = _repeated(self.paths)
        if self._each_its_classes(repeated):
            self.names = {word: name for word, name in self.names.items() if role(word) is not None}
        if len(self.names) == 1 and role(next(iter(self.names))) is None:
            self.names = {}
        of_word: dict[str, Array] = {word: np.array(rows.words[word], np.int64) for word in self.names}
        if not self.names and rows.folders_mean_splits:
            of_word = self._by_folder()
            self.names = split_names(of_word)
        self.splits = tuple(in_order(self.names.values()))
        self.members = np.zeros((len(self.splits), len(self.paths)), np.bool_)
        for word, name in self.names.items():
            self.members[self.splits.index(name), of_word[word]] = True
        self.image = np.arange(len(self.paths))
        self.image[[path is None for path in self.paths]] = _GONE
        for group in repeated:
            self._join(group)

    def positions(self, images: Array) -> Array:
        """``(N,)`` the position of each entry's image in ``images``, ``_GONE`` where it has none."""
        position = np.full(len(self.paths) + 1, _GONE)  # the last for _GONE itself
        position[images] = np.arange(len(images))
        positions: Array = position[self.image]
        return positions

    def take_objects(self, images: Array) -> Array:
        """Keep only the objects that count, image by image.

        Args:
            images: ``(n,)`` the entries that stand for images, in their order.

        Returns:
            Of each object the position of its image in ``images``.
        """
        owners: Array = self.positions(images)[self.objects.images]
        kept = self._counts & (owners != _GONE)
        if not kept.all():
            owners, self.objects = owners[kept], Objects(*(column[kept] for column in self.objects))
        if not (np.diff(owners) >= 0).all():
            order = np.argsort(owners, kind="stable")
            owners, self.objects = owners[order], Objects(*(column[order] for column in self.objects))
        return owners

    def _found(self) -> list[str | None]:
        """The file of each entry."""
        paths: list[str | None] = []
        rows = self.rows
        for entry, (name, look) in enumerate(zip(rows.names, self.looks.tolist(), strict=True)):
            if entry in rows.dropped:
                paths.append(None)
                continue
            words = self.words[entry]
            found = rows.tree.find(name, rows.looks[look], words[0] if words else None)
            paths.append(found.path)
            if found.path is None:
                self._tell_missing(entry, found)
        return paths

    def _by_folder(self) -> dict[str, Array]:
        """The entries of each split by the folders of their images, where these are of several splits.

        One table over ``train/`` and ``test/`` says no splits, and yet there are two.
        """
        known: dict[str, str | None] = {}
        owned: dict[str, list[int]] = defaultdict(list)
        for entry, path in enumerate(self.paths):
            if path is None:
                continue
            folder = os.path.dirname(path)
            if folder not in known:
                known[folder] = self.rows.tree.split_of(path)
            if (word := known[folder]) is not None:
                owned[word].append(entry)
        if len(set(split_names(owned).values())) < 2:
            return {}
        for word, entries in owned.items():
            for entry in entries:
                self.words[entry] = (*self.words[entry], word)
        return {word: np.array(entries, np.int64) for word, entries in owned.items()}

    def _tell_missing(self, entry: int, found: Found) -> None:
        rows, name, (file, where) = self.rows, self.rows.names[entry], self._place(entry)
        if found.outside:
            raise bad_input(
                f"{file}, {where}",
                f"the file name {name!r}, which leaves {rows.root}",
                "a path inside the data set",
                "write file names relative to the folder of the images, or say where they are with --images",
            )
        splits = tuple(self.names[word] for word in self.words[entry])
        if found.several:
            kind, what = "ambiguous-image", f"{name} may be {listed(found.several, 4)}"
        else:
            kind, what = "missing-image", f"no such file {name}, looked in {self._looked_in(entry)}"
        self.faults.append(Fault(kind, file, where, what, "skipped", None, splits))

    def _looked_in(self, entry: int) -> str:
        """The folders that were looked in, as far as they are there."""
        tree, look = self.rows.tree, self.rows.looks[self.looks[entry]]
        folders = [folder for folder in look.folders if tree.folder(folder).is_there]
        return listed((folder or "." for folder in dict.fromkeys(map(os.path.normpath, folders))), 6)

    def _place(self, entry: int) -> tuple[Path, str]:
        """The annotation file of an entry, and the place in it in words."""
        rows = self.rows
        where = rows.describe_image(int(self.numbers[entry]), rows.names[entry])
        return rows.files[self.files[entry]], where

    def _own(self, entry: int) -> range:
        return range(int(self._starts[entry]), int(self._starts[entry + 1]))

    def _labels(self, entry: int) -> _Labels:
        """What an entry says is in its image, with the object that says so."""
        classes, flags, boxes = self.objects.classes, self.objects.flags, self.objects.boxes
        return {(int(classes[i]), int(flags[i]), repr(boxes[i].tolist())): i for i in self._own(entry)}

    def _each_its_classes(self, repeated: list[list[int]]) -> bool:
        """Whether files of no known kind of split label the same images in other ways."""
        for group in repeated:
            mine = [entry for entry in group if any(role(word) is None for word in self.words[entry])]
            if len({self.words[entry] for entry in mine}) > 1:
                labels = [self._labels(entry) for entry in mine]
                if any(one.keys() != labels[0].keys() for one in labels):
                    return True
        return False

    def _join(self, group: list[int]) -> None:
        """Entries of one file: of the same splits they are one image, of others where they label alike."""
        chosen: list[tuple[int, _Labels]] = []
        for entry in group:
            labels = self._labels(entry)
            for first, known in chosen:
                same = bool((self.members[:, entry] == self.members[:, first]).all())
                if not same and labels.keys() != known.keys():
                    continue
                self.image[entry] = first
                self.members[:, first] |= self.members[:, entry]
                new = {key: labels[key] for key in labels.keys() - known.keys()}
                self._counts[list(set(self._own(entry)) - set(new.values()))] = False
                known |= new
                if same and self.files[first] == self.files[entry]:
                    found = f"{self.rows.names[entry]} for a second time"
                    self._tell("double-image", entry, found, "joined with the first")
                self._join_sizes(first, entry)
                break
            else:
                chosen.append((entry, labels))

    def _join_sizes(self, first: int, entry: int) -> None:
        one, other = self.sizes[first].tolist(), self.sizes[entry].tolist()
        if not any(one):
            self.sizes[first] = other
        elif any(other) and one != other:
            known = f"{one[1]}×{one[0]}"
            file = self.rows.files[self.files[first]]
            found = f"{other[1]}×{other[0]} pixels, but {known} in {file.name}"
            self._tell("wrong-size", entry, found, f"taken as {known}")

    def _tell(self, kind: str, entry: int, found: str, action: str) -> None:
        self.faults.append(Fault(kind, *self._place(entry), found, action))


def _told(fault: RowFault, entries: _Entries) -> Fault:
    """A reader's fault with the file of its image and the names of its splits."""
    path = entries.paths[fault.image] if fault.image >= 0 else None
    words = (*fault.splits, *(entries.words[fault.image] if fault.image >= 0 else ()))
    splits = tuple(dict.fromkeys(entries.names[word] for word in words if word in entries.names))
    image = None if path is None else Path(path)
    return Fault(fault.kind, fault.file, fault.where, fault.found, fault.action, image, splits)


def _lacking(rows: Rows, names: dict[str, str], classes: Iterable[str]) -> Iterator[Fault]:
    """Splits with a list of classes that lacks some of the others'."""
    known: dict[str, set[str]] = defaultdict(set)
    for word, own in rows.known.items():
        if word in names:
            known[names[word]] |= own
    for split, own in known.items():
        if missing := [name for name in classes if name not in own]:
            found = f"no {listed(missing, 8)}"
            yield Fault("split-classes", rows.root, f"split {split}", found, "kept", splits=(split,))


def _repeated(paths: Iterable[str | None]) -> list[list[int]]:
    """Rows of the same file, for each file that has several."""
    first: dict[str, int] = {}
    groups: dict[int, list[int]] = {}
    for row, path in enumerate(paths):
        if path is not None and (before := first.setdefault(path, row)) != row:
            groups.setdefault(before, [before]).append(row)
    return list(groups.values())
