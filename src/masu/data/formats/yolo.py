"""YOLO folders: one text file per image, boxes as shares of it, classes by number.

The layouts of Ultralytics: ``data.yaml`` with the folders or lists of the splits, or bare pairs of folders
``images/`` and ``labels/``; the label file of ``…/images/…/a.jpg`` is ``…/labels/…/a.txt``. Also labelImg's:
label files beside the images, and ``classes.txt``.
"""

from __future__ import annotations

import os
import re
import reprlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import yaml

from masu.data.formats.copying import Copy
from masu.data.formats.editing import (
    Entry,
    Frame,
    Held,
    LabelFiles,
    Plan,
    held_in_order,
    moved,
    stamp_of,
    version_of,
    write_in_place,
)
from masu.data.formats.form import BY_CONTENT, BY_LAYOUT, SAYS_SO, Candidate, Format, Place
from masu.data.formats.list_lines import ListLine
from masu.data.formats.one_file_each import Named, OneFileEach, Photo
from masu.data.formats.rows import BadEntryError, Box, Rows, class_name
from masu.data.formats.tree import Tree, is_image
from masu.data.formats.yolo_labels import (
    LARGEST_SHARE,
    Line,
    Reading,
    class_number,
    holds_an_object,
    label_lines,
    line_of,
    parse,
)
from masu.data.formats.yolo_labels import MOST_BYTES as MOST_BYTES_OF_LABELS
from masu.data.formats.yolo_lists import NAMES, class_names, images, lists, names_files, text_of
from masu.data.formats.yolo_names import with_names
from masu.data.splits import TRAIN, TRAINVAL, role
from masu.errors import InputError, bad_input, listed
from masu.regular import read_bytes, read_text, size_of

MOST_BYTES = 1_000_000
"""Size of a ``data.yaml``."""

_COUNT = re.compile(r"^([ \t]*classes[ \t]*=[ \t]*)[0-9]+", re.MULTILINE)
"""The number of classes in the settings of DarkNet."""

_LARGE = 10_000
"""Pixels of a side from which 6 digits of a share are not enough."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""All is text or a container of texts; libyaml, where PyYAML was built with it, is nine times as fast."""

_FIX = "correct the file or leave it out"
_IMAGES = ("images", "image", "imgs", "img", "jpegimages")
_NOTHING = ("", "null", "~", "none")


class _Page(NamedTuple):
    """A ``data.yaml``, and whether it was asked for itself: only then it may name a folder anywhere."""

    file: Path
    asked_for: bool


def find(place: Place) -> Candidate | None:
    """The data set of a ``data.yaml``, a folder with one, or a folder with images and their labels."""
    if files := _data_yamls(place):
        return Candidate(files, SAYS_SO, _Page(files[0], place.path.is_file()))
    if place.path.is_file():
        return None
    tree = place.tree
    beside = False
    for path in tree.walk():
        parts = tree.below(os.path.join(path, "x")).lower().split("/")[:-1]
        texts = {os.path.splitext(name)[0] for name in tree.folder(path).by_suffix.get(".txt", ())}
        if not texts:
            continue
        if any("labels" in _words(part) for part in parts) and texts - {"classes"}:
            return Candidate((), BY_CONTENT)
        pairs = texts & tree.folder(path).stems.keys()
        beside = beside or any(holds_an_object(Path(path, f"{stem}.txt")) for stem in sorted(pairs)[:3])
    named = any(name in tree.folder(place.root).names for name in NAMES)
    if beside and named:
        return Candidate((), BY_CONTENT)
    folders = {name.lower() for name in tree.folder(place.root).folders}
    if {"images", "labels"} <= folders and not tree.files(".json", ".xml", ".csv", ".txt"):
        return Candidate((), BY_LAYOUT)  # nothing is labelled yet
    return Candidate((), BY_LAYOUT) if beside else None


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images of all splits and of none, with the objects of their label files.

    An image without a label file has no objects; one that no list names counts where it has such a file.
    Polygons and turned boxes become the box around them, of poses the box is taken. A label file that two
    images share belongs to neither.

    Raises:
        InputError: a ``data.yaml`` or list that cannot be read, or paths that leave the data set.
    """
    content, page, tree = _opened(candidate, tree)
    rows = Rows(tree, _describe)
    names = _names(content, page, tree)
    splits: dict[str, list[str]] = defaultdict(list)
    for image, split in _images(content, page, tree, rows):
        splits[image] += [] if split is None else [split]
    labels = {image: _labels_of(image, tree) for image in splits}
    reading = Reading(_keypoints(content, page))
    lines = {file: _lines(file, reading, rows) for file in dict.fromkeys(labels.values()) if file is not None}
    owners: dict[str, list[str]] = defaultdict(list)
    for image, file in labels.items():
        if file is not None:
            owners[file].append(image)
    look = rows.look([tree.root])
    used: set[int] = set()
    for image, words in splits.items():
        file = labels[image]
        if file is not None and len(owners[file]) > 1:
            others = " and ".join(os.path.basename(other) for other in owners[file] if other != image)
            found = f"{os.path.basename(image)} and {others} share {os.path.basename(file)}"
            rows.fault("shared-label", Path(image), "image", found, splits=words)
            continue
        number = rows.file(Path(file or image))
        row = rows.image(_inside(image, tree), number, look, splits=words, relative=True)
        for line in lines.get(file or "", ()):
            _add(line, row, number, reading, names, used, rows)
    _tell_orphans(tree, {*owners}, rows)
    if names is not None:
        rows.ids = {name: number for number, name in enumerate(names)}
    else:
        rows.ids = {str(number): number for number in sorted(used)}
    return rows


def _opened(candidate: Candidate, tree: Tree) -> tuple[dict[str, Any], Path | None, Tree]:
    """The content of the ``data.yaml``, its file, and the files of the data set that it means."""
    if candidate.options is None:
        return {}, None, tree
    if len(candidate.files) > 1:
        found = f"{listed([tree.below(file) for file in candidate.files], 6)}, each a data set"
        raise bad_input(tree.root, found, "one", "point at one of these files")
    content = _yaml(candidate.options.file)
    return content, candidate.options.file, _tree_of(content, candidate.options, tree)


def _describe(number: int, name: str) -> str:
    return f"line {number}"


def _add(
    line: Line,
    row: int,
    file: int,
    reading: Reading,
    names: tuple[str, ...] | None,
    used: set[int],
    rows: Rows,
) -> None:
    path = rows.files[file]
    try:
        shape = reading.shape(line)
    except BadEntryError as error:
        rows.bad(error, path, f"line {line.where}", image=row)
        return
    name = _name_of(line.number, names)
    if name is None:
        found = f"class {line.number}, known are 0 to {len(names or ()) - 1}"
        rows.fault("unknown-class", path, f"line {line.where}", found, image=row)
        return
    if shape.left_out:
        rows.left_out[shape.left_out] += 1
    used.add(line.number)
    rows.object(row, shape.box, name, line.where, file)


def _name_of(number: int, names: tuple[str, ...] | None) -> str | None:
    """The class of a number; None for one that is not listed."""
    if names is None:
        return str(number)
    return names[number] if number < len(names) else None


def _lines(file: str, reading: Reading, rows: Rows) -> list[Line]:
    found = []
    path = Path(file)
    try:
        for number, text in label_lines(path):
            try:
                line = parse(number, text)
            except BadEntryError as error:
                rows.bad(error, path, f"line {number}")
                continue
            reading.add(line)
            found.append(line)
    except BadEntryError as error:
        rows.bad(error, path, "the file")
    return found


def _data_yamls(place: Place) -> tuple[Path, ...]:
    """The ``data.yaml`` nearest to the root, this name before others; several where they are alike."""
    depths: dict[int, list[Path]] = defaultdict(list)
    for file in place.files(".yaml", ".yml"):
        depths[place.tree.below(file).count("/")].append(file)
    for depth in sorted(depths):
        if files := [file for file in depths[depth] if _is_data_yaml(file)]:
            return tuple([file for file in files if file.stem == "data"] or files)
    return ()


def _is_data_yaml(file: Path) -> bool:
    try:
        content = yaml.load(read_bytes(file, MOST_BYTES), _LOADER)
    except (yaml.YAMLError, ValueError, RecursionError, OSError):
        # broken: a name that only a data.yaml has is told so when it is read
        return file.name in ("data.yaml", "data.yml")
    if not isinstance(content, dict):
        return file.name in ("data.yaml", "data.yml")
    return (
        isinstance(content.get("names"), list | dict)
        and any(isinstance(key, str) and role(key) is not None for key in content)
    ) or (file.name in ("data.yaml", "data.yml") and "names" in content)


def _yaml(file: Path) -> dict[str, Any]:
    """The file's content, all of it as it is written: ``no`` is a name, not a boolean."""
    try:
        if (size := size_of(file)) > MOST_BYTES:
            raise bad_input(file, f"a file of {size / 1e6:.1f} MB", "at most 1 MB", _FIX)
        content = yaml.load(read_text(file), _LOADER)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())
        raise bad_input(file, f"broken YAML ({reason})", "a data.yaml of YOLO", _FIX) from None
    if not isinstance(content, dict):
        raise bad_input(file, "YAML without keys", "a data.yaml with names, train, val", _FIX)
    return content


def _tree_of(content: dict[str, Any], page: _Page, tree: Tree) -> Tree:
    """The folder that ``path`` names; an absolute one of elsewhere is passed over.

    It is of another machine, or of a stranger who wants other files of this one read; whoever asks for the
    ``data.yaml`` itself wants what it says.
    """
    path, file = content.get("path"), page.file
    if _is_here(path) and (page.asked_for or tree.holds(path)):
        return Tree(Path(path), tree.images)
    root = file.parent if file.parent != tree.root and os.path.isdir(tree.root) else tree.root
    if isinstance(path, str) and path not in (*_NOTHING, ".") and ".." not in path.split("/"):
        inside = root / path
        if not os.path.isabs(path) and os.path.isdir(inside):
            return Tree(inside, tree.images)
    last = os.path.basename(path.rstrip("/")) if isinstance(path, str) else ""
    if last not in ("", ".", "..") and os.path.isdir(root / last):
        return Tree(root / last, tree.images)
    return tree if root == tree.root else Tree(root, tree.images)


def _is_here(path: object) -> TypeGuard[str]:
    return isinstance(path, str) and os.path.isabs(path) and os.path.isdir(path)


def _names(content: dict[str, Any], file: Path | None, tree: Tree) -> tuple[str, ...] | None:
    """Class names, or None where nothing says them."""
    if file is None:
        return class_names(tree)
    names = content.get("names")
    if names == []:
        return ()  # pictures without any object
    if isinstance(names, dict):
        by_number = {(int(k) if str(k).isdecimal() and len(str(k)) < 10 else k): names[k] for k in names}
        if set(by_number) == set(range(len(names))):
            names = [by_number[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise bad_input(f"{file}, 'names'", reprlib.repr(names), "a list, or 0: name, 1: name …", _FIX)
    texts = [class_name(name) for name in names]
    if len(set(texts)) != len(texts):
        twice = next(name for name, times in Counter(texts).items() if times > 1)
        raise bad_input(f"{file}, 'names'", f"{twice!r} twice", "each class name once", _FIX)
    count = str(content.get("nc", len(texts)))
    if count.isdecimal() and int(count[:12]) != len(texts):
        raise bad_input(f"{file}, 'nc'", count, f"{len(texts)}, as many as names", _FIX)
    return tuple(texts)


def _keypoints(content: dict[str, Any], file: Path | None) -> tuple[int, int] | None:
    shape = content.get("kpt_shape")
    if shape is None or shape in _NOTHING:
        return None
    if (
        isinstance(shape, list)
        and len(shape) == 2
        and all(isinstance(n, str) and n.isdecimal() for n in shape)
    ):
        count, each = int(shape[0][:6]), int(shape[1][:6])
        if count >= 1 and each in (2, 3):
            return count, each
    raise bad_input(f"{file}, 'kpt_shape'", reprlib.repr(shape), "[number of keypoints, 2 or 3]", _FIX)


def _images(
    content: dict[str, Any], file: Path | None, tree: Tree, rows: Rows
) -> Iterator[tuple[str, str | None]]:
    """Images with a split, or None; one of several splits once for each."""
    if file is None:
        yield from _unsaid(tree, rows)
        return
    named: set[str] = set()
    words = [k for k, v in content.items() if _is_split(k, v, tree.root)]
    if not words:
        raise bad_input(file, "no train, val or test", "a folder for each split", _FIX)
    entries = {word: content[word] if isinstance(content[word], list) else [content[word]] for word in words}
    for word in words:
        for entry in entries[word]:
            if not isinstance(entry, str):
                wanted = "a folder, a list of folders or a .txt"
                raise bad_input(f"{file}, {word!r}", reprlib.repr(entry), wanted, _FIX)
            place = _place(entry, file, word, tree)
            if place is None:
                if len(words) > 1 and role(word) == "test":
                    # Roboflow writes the entry whether there is such a split or not
                    found = f"{entry!r}, which does not exist"
                    rows.fault("missing-split", file, "'test'", found, "left out")
                    continue
                elsewhere = _is_here(content.get("path")) and not tree.holds(content["path"])
                fix = f"name {file} itself to follow its 'path' out of this folder" if elsewhere else _FIX
                found = f"{entry!r}, which does not exist"
                raise bad_input(f"{file}, {word!r}", found, "a folder or list", fix)
            rows.split(word)
            for image in _of_entry(place, word, tree, rows):
                named.add(image)
                yield image, word
    for image in tree.image_files():
        if image not in named and _labels_of(image, tree) is not None:
            yield image, None


def _unsaid(tree: Tree, rows: Rows) -> Iterator[tuple[str, str | None]]:
    """Images where no ``data.yaml`` says the splits: those of DarkNet's lists, then those of folders."""
    named: set[str] = set()
    for word, file in lists(tree).items():
        rows.split(word)
        for number, name, image in images(file, word, tree):
            if image is None:
                rows.fault("missing-image", file, f"line {number}", f"no such file {name}", splits=[word])
            else:
                named.add(image)
                yield image, word
    every = tree.image_files()
    labelled = {os.path.dirname(image) for image in every if _labels_of(image, tree) is not None}
    for image in every:
        split = None if named else tree.split_of(image)
        if image not in named and (
            split is not None or _is_among_images(image, tree) or os.path.dirname(image) in labelled
        ):
            yield image, split


def _is_split(key: object, value: object, root: Path) -> bool:
    """Whether a key stands for a split: by its name, or because it names a list of files."""
    if not isinstance(key, str) or not value or value in _NOTHING:
        return False
    return role(key, strict=True) is not None or (
        isinstance(value, str) and value.endswith(".txt") and os.path.isfile(root / value)
    )


def _is_among_images(image: str, tree: Tree) -> bool:
    return any(_labels_beside(part) is not None for part in tree.below(image).split("/")[:-1])


def _words(folder: str) -> list[str]:
    """The words of a folder's name, and what separates them."""
    return re.split(r"([-_. ]+)", folder.lower())


def _labels_beside(folder: str) -> str | None:
    """The folder of the labels: ``labels`` of ``images``, ``train_labels`` of ``train_images``, or None."""
    words = _words(folder)
    labels = ["labels" if word in _IMAGES else word for word in words]
    return "".join(labels) if labels != words else None


def _place(entry: str, file: Path, word: str, tree: Tree) -> Path | None:
    """What an entry means; Roboflow's ``../train/images`` stands beside the file, whatever it says."""
    entry = entry.replace("\\", "/")
    bases = dict.fromkeys((Path(tree.root), file.parent))
    inside = [p for base in bases for p in (base / entry, base / entry.removeprefix("../")) if tree.holds(p)]
    found = next((path for path in inside if os.path.isdir(path) or os.path.isfile(path)), None)
    if found is None and not any(os.path.exists(base / entry) for base in bases):
        found = _of_another_machine(entry, word, tree)
    if found is None and (not inside or any(os.path.exists(base / entry) for base in bases)):
        raise bad_input(
            f"{file}, {word!r}",
            f"the file name {entry!r}, which leaves {tree.root}",
            "a path inside the data set",
            "say the folder of the data set as 'path'",
        )
    return None if found is None else Path(os.path.normpath(found))


def _of_another_machine(entry: str, word: str, tree: Tree) -> Path | None:
    """The longest end of a path that is here and named as the split: of ``/content/cells/images/train``."""
    parts = [part for part in entry.split("/") if part not in ("", ".")]
    ends = [parts[at:] for at in range(1, len(parts)) if ".." not in parts[at:]]
    named = [end for end in ends if any(role(Path(part).stem, strict=True) == role(word) for part in end)]
    return next((path for end in named if os.path.exists(path := Path(tree.root, *end))), None)


def _of_entry(place: Path, word: str, tree: Tree, rows: Rows) -> Iterator[str]:
    if place.is_dir():
        inside = Tree(place)
        yield from inside.image_files()
        return
    for number, line in enumerate(text_of(place).splitlines(), start=1):
        name = line.strip().replace("\\", "/")
        if not name:
            continue
        folders = dict.fromkeys((place.parent, Path(tree.root)))
        found = [path for folder in folders if tree.holds(path := Path(os.path.normpath(folder / name)))]
        if not found:
            raise bad_input(
                f"{place}, line {number}",
                f"the file name {name!r}, which leaves {tree.root}",
                "a path inside the data set",
                "write file names relative to the folder of the images",
            )
        image = next((path for path in found if os.path.isfile(path)), None)
        if image is None:
            rows.fault("missing-image", place, f"line {number}", f"no such file {name}", splits=[word])
        else:
            yield os.fspath(image)


def _labels_of(image: str, tree: Tree) -> str | None:
    """The label file of an image: with ``labels`` for the ``images`` or ``img`` of its path, the last first.

    Else the one beside it. ``a.jpg.txt`` comes before ``a.txt``; the suffix may be in capitals.
    """
    above, name = os.path.split(image)
    for folder in _label_folders(above, tree):
        if (found := _text_for(folder, name, tree)) is not None:
            return found
    found = _text_for(above, name, tree)
    if found is None and tree.images is not None and _below(image, tree.images):
        inner = os.path.relpath(above, tree.images)
        for folder in (os.path.join(tree.root, "labels"), os.fspath(tree.root)):
            found = found or _text_for(os.path.normpath(os.path.join(folder, inner)), name, tree)
    return found


def _label_folders(above: str, tree: Tree) -> Iterator[str]:
    """The folders of the labels of a folder's images that may be there, the likeliest first."""
    parts = above.split(os.sep)
    for at in range(len(parts) - 1, -1, -1):
        if (labels := _labels_beside(parts[at])) is not None:
            top = os.sep.join(parts[:at]) or (os.sep if above.startswith(os.sep) else ".")
            for folder in tree.folder(top).folders:
                if folder.lower() == labels:
                    yield os.path.join(top, folder, *parts[at + 1 :])


def _new_labels_of(photo: Path, tree: Tree) -> Path:
    """Where the label file of an image is to be that has none."""
    alike = tree.folder(photo.parent).stems.get(photo.stem, ())
    name = f"{photo.name if len(alike) > 1 else photo.stem}.txt"
    above = os.fspath(photo.parent)
    if folder := next(_label_folders(above, tree), None):
        return Path(folder, name)
    parts = photo.parent.parts
    for at in range(len(parts) - 1, len(tree.root.parts) - 1, -1):
        if (labels := _labels_beside(parts[at])) is not None:
            return Path(*parts[:at], labels, *parts[at + 1 :], name)
    return photo.parent / name


def _below(path: str, folder: Path) -> bool:
    return Path(os.path.abspath(folder)) in Path(os.path.abspath(path)).parents


def _text_for(folder: str, name: str, tree: Tree) -> str | None:
    listing = tree.folder(folder)
    for wanted in (name, os.path.splitext(name)[0]):
        if f"{wanted}.txt" in listing.names:
            return os.path.join(folder, f"{wanted}.txt")
        for found in listing.alike.get(f"{wanted}.txt".casefold(), ()):
            if os.path.splitext(found)[0] == wanted:
                return os.path.join(folder, found)
    return None


def _tell_orphans(tree: Tree, claimed: Iterable[str], rows: Rows) -> None:
    """Tell the label files that no image claims."""
    known = {os.path.normpath(file) for file in claimed}
    for file in tree.files(".txt"):
        path = os.path.normpath(file)
        if path in known or file.name in NAMES:
            continue
        in_labels = "labels" in tree.below(file).lower().split("/")[:-1]
        if in_labels or (tree.folder(file.parent).stems and holds_an_object(file)):
            found = f"no image {file.stem}"
            if unread := _unread_twin(file, tree):
                found = f"{unread}, whose suffix masu does not read"
            rows.fault("missing-image", file, "the file", found)


def _unread_twin(labels: Path, tree: Tree) -> str | None:
    """A file of the label's stem where its image should be, of a kind that is not read."""
    folders = [labels.parent]
    parts = labels.parent.parts
    for at in range(len(parts) - 1, -1, -1):
        if parts[at].lower() == "labels":
            folders += [Path(*parts[:at], name, *parts[at + 1 :]) for name in ("images", "Images", "IMAGES")]
            break
    for folder in folders:
        for name in sorted(tree.folder(folder).names):
            stem, suffix = os.path.splitext(name)
            if stem == labels.stem and suffix.lower() != ".txt" and not is_image(name):
                return str(name)
    return None


def _inside(image: str, tree: Tree) -> str:
    return os.path.relpath(image, tree.root)


def write(copy: Copy) -> None:
    """``data.yaml``, a list ``<split>.txt``, ``images/``, ``labels/``; ignored regions are left out."""
    data = copy.data
    if data.category_ids != tuple(range(len(data.names))):
        copy.say("YOLO numbers classes from 0: the ids of the source are not kept")
    copy.say_not_coco()
    copy.say_without_scores("YOLO")
    places: dict[str, str] = {}
    stray_names = copy.put_strays("images")
    for split, indices in copy.parts():
        for index in indices:
            name = copy.image(index, "images")
            labels = f"labels/{Path(name).stem}.txt"
            if not (copy.out / labels).exists():
                copy.text(labels, "".join(_yolo_lines(copy, index)))
        key = split or "train"
        places[key] = "images"
        if split is not None or stray_names:
            lines = [f"./images/{copy.name(index)}\n" for index in indices]
            places[key] = f"{key}.txt"
            copy.text(f"{key}.txt", "".join(lines))
        if split is None:
            copy.say("YOLO needs a split: all images are in train")
    page = {"path": ".", **places, "names": list(data.names)}
    text = yaml.safe_dump(page, allow_unicode=True, sort_keys=False)
    copy.text("data.yaml", text)


def _yolo_lines(copy: Copy, index: int) -> list[str]:
    height, width = copy.size(index)
    lines = []
    for row in copy.objects(index):
        if copy.is_ignored(row):
            copy.say("YOLO has no ignored regions: {} left out")
            continue
        x1, y1, x2, y2 = copy.data.boxes[row].tolist()
        values = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        if max(map(abs, values)) > LARGEST_SHARE:
            copy.say("boxes farther outside than YOLO can say: {} left out")
            continue
        lines.append(f"{copy.data.labels[row]} {' '.join(map(repr, values))}\n")
    return lines


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
        names = [_name_of(number, self.listed) for number in sorted(numbers)]
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
            content = {} if self._page is None else _yaml(self._page)
            self.listed = _names(content, self._page, Tree(self._tree.root, self._tree.images))
        except InputError as error:
            self.trouble = str(error)


def _said_names(text: str, file: Path) -> tuple[str, ...] | None:
    try:
        content = yaml.load(text, _LOADER)
        return _names(content, file, Tree(file.parent)) if isinstance(content, dict) else None
    except (yaml.YAMLError, InputError):
        return None


class _Hand:
    """The label files of a data set."""

    most_bytes = MOST_BYTES_OF_LABELS

    def __init__(self, tree: Tree, candidate: Candidate) -> None:
        content, page, self.tree = _opened(candidate, tree)
        rows = Rows(self.tree, _describe)
        every = list(_images(content, page, self.tree, rows))
        labels = {image: _labels_of(image, self.tree) for image, _ in every}
        others = [one for one in every if one[1] is not None and role(one[1]) not in (TRAIN, TRAINVAL)]
        self._held_out = {os.path.abspath(image) for image, _ in others}
        self._lists = _lists_by_role(content, page, self.tree)
        self._reading = Reading(_keypoints(content, page))
        lines = [_lines(file, self._reading, rows) for file in dict.fromkeys(labels.values()) if file]
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
        known = _labels_of(os.fspath(photo), tree)
        return _new_labels_of(photo, tree) if known is None else Path(known)

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
        try:
            text = (content or b"").decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadEntryError(f"a file that cannot be read ({error})", "UTF-8 text") from None
        mark = "\ufeff" if content is not None and content.startswith(b"\xef\xbb\xbf") else ""
        return _LabelPage(text, mark, photo, self.classes, self._reading)


def _lists_by_role(content: dict[str, Any], page: Path | None, tree: Tree) -> dict[str | None, Path]:
    """The list of images of each split that is one file and no folder, by what the split is for."""
    if page is None:
        return {role(word): file for word, file in reversed(lists(tree).items())}
    found: dict[str | None, Path] = {}
    for word, entry in content.items():
        if isinstance(entry, str) and entry.endswith(".txt") and _is_split(word, entry, tree.root):
            place = _place(entry, page, word, tree)
            if place is not None and place.is_file():
                found.setdefault(role(word), place)
    return found


class _LabelPage:
    """A label file taken apart."""

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
                name = _name_of(parsed.number, classes.listed)
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


FORMAT = Format(
    "yolo",
    "YOLO (data.yaml, or folders images/ and labels/)",
    find,
    read,
    write,
    by_stem=True,
    all_in_splits=True,
    edit=edit,
)
