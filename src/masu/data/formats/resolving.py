"""From what a reader found to a data set: names become files, words splits, entries of one image one image."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from masu.data.dataset import Dataset, Fault
from masu.data.formats.rows import Objects, Rows
from masu.data.formats.tree import Tree
from masu.data.paths import Paths
from masu.data.splits import in_order, role, split_names
from masu.errors import bad_input, listed

Array = np.ndarray[Any, Any]

_GONE = -1


def resolved(rows: Rows, form: str) -> Dataset:
    """The data set of a reader's rows, not yet looked at: sizes and boxes are as the annotations say.

    An image that several entries name is one: with the objects of them all, one that two have alike counted
    once, where they are of the same splits; with the splits of them all where they have the same objects; and
    once for each labelling where different splits label it in different ways. Files named after no known kind
    of split are splits of their own, unless they label the same images in different ways: then each has its
    own classes. Where nothing says splits, those that the folders of the images are named as count.

    Raises:
        InputError: a name that leads out of the data set.
    """
    files, looks, relative, sizes, numbers = rows.image_columns()
    objects = rows.all_objects()
    starts = np.searchsorted(objects.images, np.arange(len(rows.names) + 1))
    names = split_names(rows.words)
    members = {word: np.array(list(owned), np.int64) for word, owned in rows.words.items()}
    faults: list[Fault] = []

    paths, word_of = _paths(rows, files, looks, numbers, members, names, faults)
    target = np.arange(len(paths))
    target[[path is None for path in paths]] = _GONE
    repeated = _repeated(paths)
    if _each_its_classes(repeated, word_of, objects, starts):
        for word in [word for word in members if role(word) is None]:
            del members[word], names[word]
    if len(names) == 1 and role(next(iter(names))) is None:
        members, names = {}, {}
    if not names:
        members = _by_folder(paths, rows.tree, word_of)
        names = split_names(members)
    splits = tuple(in_order(names.values()))
    table = np.zeros((len(splits), len(paths)), np.bool_)
    for word, owned in members.items():
        table[splits.index(names[word]), owned] = True
    kept = np.ones(len(objects.images), np.bool_)
    for group in repeated:
        _join(group, rows, files, numbers, sizes, table, objects, starts, target, kept, faults)

    alive = np.flatnonzero(target == np.arange(len(paths)))
    position = np.full(len(paths) + 1, _GONE)
    position[alive] = np.arange(len(alive))
    owners = position[target[objects.images]]
    kept &= owners != _GONE
    owners, objects = (
        owners[kept],
        Objects(*(column[kept] for column in objects)) if not kept.all() else objects,
    )
    if not (np.diff(owners) >= 0).all():
        order = np.argsort(owners, kind="stable")
        owners, objects = owners[order], Objects(*(column[order] for column in objects))
    class_names, ids = rows.class_order()
    number_of = {name: number for number, name in enumerate(class_names)}
    codes = np.array([number_of[name] for name in rows.classes], np.int32)
    told = [
        Fault(
            f.kind,
            f.file,
            f.where,
            f.found,
            f.action,
            Path(paths[f.image] or "") if f.image >= 0 and paths[f.image] else None,
            tuple(
                dict.fromkeys(names[word] for word in (*f.splits, *word_of.get(f.image, ())) if word in names)
            ),
        )
        for f in rows.faults
    ]
    return Dataset(
        root=rows.root,
        split=None,
        splits=splits,
        names=class_names,
        category_ids=ids,
        paths=Paths.of(paths[row] or "" for row in alive.tolist()),
        starts=np.searchsorted(owners, np.arange(len(alive) + 1)),
        boxes=objects.boxes,
        labels=codes[objects.classes] if len(codes) else objects.classes,
        flags=objects.flags,
        areas=objects.areas,
        sizes=sizes[alive],
        claimed=np.zeros((len(alive), 2), np.int32),
        relative=relative[alive],
        members=table[:, alive],
        files=Paths.of(rows.files),
        image_files=files[alive],
        object_files=objects.files,
        image_ids=numbers[alive],
        places=objects.places,
        describe=rows.describe,
        form=form,
        supercategories=tuple(rows.supercategories.get(name, "") for name in class_names),
        left_out=dict(+rows.left_out),
        faults=tuple(dict.fromkeys((*told, *faults, *_lacking(rows, names, class_names)))),
    )


def _by_folder(paths: Iterable[str | None], tree: Tree, word_of: dict[int, list[str]]) -> dict[str, Array]:
    """The rows of each split by the folders of their images, where these are of several splits.

    One table over ``train/`` and ``test/`` says no splits, and yet there are two.
    """
    known: dict[str, str | None] = {}
    owned: dict[str, list[int]] = defaultdict(list)
    for row, path in enumerate(paths):
        if path is None:
            continue
        folder = os.path.dirname(path)
        if folder not in known:
            known[folder] = tree.split_of(path)
        if (word := known[folder]) is not None:
            owned[word].append(row)
    if len(set(split_names(owned).values())) < 2:
        return {}
    for word, rows in owned.items():
        for row in rows:
            word_of[row].append(word)
    return {word: np.array(rows, np.int64) for word, rows in owned.items()}


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


def _paths(
    rows: Rows,
    files: Array,
    looks: Array,
    numbers: Array,
    members: dict[str, Array],
    names: dict[str, str],
    faults: list[Fault],
) -> tuple[list[str | None], dict[int, list[str]]]:
    """The file of each row, None where there is none; and the words of the splits of each row."""
    word_of: dict[int, list[str]] = defaultdict(list)
    for word, owned in members.items():
        for row in owned.tolist():
            word_of[row].append(word)
    paths: list[str | None] = []
    for row, (name, look, file) in enumerate(zip(rows.names, looks.tolist(), files.tolist(), strict=True)):
        if row in rows.dropped:
            paths.append(None)
            continue
        words = word_of.get(row, ())
        found = rows.tree.find(name, rows.looks[look], words[0] if words else None)
        paths.append(found.path)
        if found.path is not None:
            continue
        where = rows.describe_image(int(numbers[row]), name)
        if found.outside:
            raise bad_input(
                f"{rows.files[file]}, {where}",
                f"the file name {name!r}, which leaves {rows.root}",
                "a path inside the data set",
                "write file names relative to the folder of the images, or say where they are with --images",
            )
        kind, what = "missing-image", f"no such file {name}, looked in {_looked(rows, look)}"
        if found.several:
            kind, what = "ambiguous-image", f"{name} may be {listed(found.several, 4)}"
        splits = tuple(names[word] for word in words)
        faults.append(Fault(kind, rows.files[file], where, what, "skipped", None, splits))
    return paths, word_of


def _looked(rows: Rows, look: int) -> str:
    """The folders that were looked in, as far as they are there."""
    folders = [folder for folder in rows.looks[look].folders if rows.tree.folder(folder).is_there]
    return listed((folder or "." for folder in dict.fromkeys(map(os.path.normpath, folders))), 6)


def _repeated(paths: Iterable[str | None]) -> list[list[int]]:
    """Rows of the same file, for each file that has several."""
    first: dict[str, int] = {}
    groups: dict[int, list[int]] = {}
    for row, path in enumerate(paths):
        if path is not None and (before := first.setdefault(path, row)) != row:
            groups.setdefault(before, [before]).append(row)
    return list(groups.values())


def _each_its_classes(
    repeated: list[list[int]], word_of: dict[int, list[str]], objects: Objects, starts: Array
) -> bool:
    """Whether files of no known kind of split label the same images in other ways."""
    for group in repeated:
        mine = [row for row in group if any(role(word) is None for word in word_of.get(row, ()))]
        if len({tuple(word_of[row]) for row in mine}) > 1:
            labels = [_labels(row, objects, starts) for row in mine]
            if any(one.keys() != labels[0].keys() for one in labels):
                return True
    return False


def _labels(row: int, objects: Objects, starts: Array) -> dict[tuple[Any, ...], int]:
    """What a row says is in its image, with the object that says so."""
    own = range(int(starts[row]), int(starts[row + 1]))
    return {(int(objects.classes[i]), int(objects.flags[i]), repr(objects.boxes[i].tolist())): i for i in own}


def _join(
    group: list[int],
    rows: Rows,
    files: Array,
    numbers: Array,
    sizes: Array,
    table: Array,
    objects: Objects,
    starts: Array,
    target: Array,
    kept: Array,
    faults: list[Fault],
) -> None:
    """The rows of one image: of the same splits they are one, of different splits where they label alike."""
    chosen: list[tuple[int, dict[tuple[Any, ...], int]]] = []
    for row in group:
        labels = _labels(row, objects, starts)
        for first, known in chosen:
            same = bool((table[:, row] == table[:, first]).all())
            if not same and labels.keys() != known.keys():
                continue
            target[row] = first
            table[:, first] |= table[:, row]
            place = range(int(starts[row]), int(starts[row + 1]))
            new = labels.keys() - known.keys()
            kept[[i for i in place if i not in {labels[key] for key in new}]] = False
            known |= {key: labels[key] for key in new}
            if same and files[first] == files[row]:
                faults.append(_twice(row, rows, files, numbers))
            _compare(first, row, rows, files, numbers, sizes, faults)
            break
        else:
            chosen.append((row, labels))


def _twice(row: int, rows: Rows, files: Array, numbers: Array) -> Fault:
    where = rows.describe_image(int(numbers[row]), rows.names[row])
    found = f"{rows.names[row]} for a second time"
    return Fault("double-image", rows.files[files[row]], where, found, "joined with the first")


def _compare(
    first: int, row: int, rows: Rows, files: Array, numbers: Array, sizes: Array, faults: list[Fault]
) -> None:
    file = rows.files[files[row]]
    where = rows.describe_image(int(numbers[row]), rows.names[row])
    if not sizes[first].any():
        sizes[first] = sizes[row]
    elif sizes[row].any() and (sizes[first] != sizes[row]).any():
        (height, width), (other_height, other_width) = sizes[first].tolist(), sizes[row].tolist()
        found = (
            f"{other_width}×{other_height} pixels, but {width}×{height} in {rows.files[files[first]].name}"
        )
        faults.append(Fault("wrong-size", file, where, found, f"taken as {width}×{height}"))
