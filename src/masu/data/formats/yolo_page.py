"""What a ``data.yaml`` says, or lists and folders where there is none: classes, splits, keypoints."""

from __future__ import annotations

import os
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import yaml

from masu.data.formats.form import Candidate
from masu.data.formats.rows import Rows, class_name
from masu.data.formats.tree import Tree
from masu.data.formats.yolo_lists import class_names, images, lists, text_of
from masu.data.formats.yolo_places import is_among_images, labels_of
from masu.data.splits import role
from masu.errors import InputError, bad_input, listed
from masu.regular import read_bytes, read_text, size_of

MOST_BYTES = 1_000_000
"""Size of a ``data.yaml``."""

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""All is text or a container of texts; libyaml, where PyYAML was built with it, is nine times as fast."""

_FIX = "correct the file or leave it out"

_NOTHING = ("", "null", "~", "none")


class Page(NamedTuple):
    """A ``data.yaml``, and whether it was asked for itself: only then it may name a folder anywhere."""

    file: Path
    asked_for: bool


def opened(candidate: Candidate, tree: Tree) -> tuple[dict[str, Any], Path | None, Tree]:
    """The content of the ``data.yaml``, its file, and the files of the data set that it means."""
    if candidate.options is None:
        return {}, None, tree
    if len(candidate.files) > 1:
        found = f"{listed([tree.below(file) for file in candidate.files], 6)}, each a data set"
        raise bad_input(tree.root, found, "one", "point at one of these files")
    content = page_in(candidate.options.file)
    return content, candidate.options.file, _tree_of(content, candidate.options, tree)


def name_of(number: int, names: tuple[str, ...] | None) -> str | None:
    """The class of a number; None for one that is not listed."""
    if names is None:
        return str(number)
    return names[number] if number < len(names) else None


def is_data_yaml(file: Path) -> bool:
    """Whether a YAML file describes a data set; a broken one does where only such a file has its name."""
    try:
        content = yaml.load(read_bytes(file, MOST_BYTES), LOADER)
    except (yaml.YAMLError, ValueError, RecursionError, OSError):
        # broken: a name that only a data.yaml has is told so when it is read
        return file.name in ("data.yaml", "data.yml")
    if not isinstance(content, dict):
        return file.name in ("data.yaml", "data.yml")
    return (
        isinstance(content.get("names"), list | dict)
        and any(isinstance(key, str) and role(key) is not None for key in content)
    ) or (file.name in ("data.yaml", "data.yml") and "names" in content)


def page_in(file: Path) -> dict[str, Any]:
    """The file's content, all of it as it is written: ``no`` is a name, not a boolean."""
    try:
        if (size := size_of(file)) > MOST_BYTES:
            raise bad_input(file, f"a file of {size / 1e6:.1f} MB", "at most 1 MB", _FIX)
        content = yaml.load(read_text(file), LOADER)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())
        raise bad_input(file, f"broken YAML ({reason})", "a data.yaml of YOLO", _FIX) from None
    if not isinstance(content, dict):
        raise bad_input(file, "YAML without keys", "a data.yaml with names, train, val", _FIX)
    return content


def _tree_of(content: dict[str, Any], page: Page, tree: Tree) -> Tree:
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


def names_in(content: dict[str, Any], file: Path | None, tree: Tree) -> tuple[str, ...] | None:
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


def keypoints_in(content: dict[str, Any], file: Path | None) -> tuple[int, int] | None:
    """Number of keypoints of an object, and 2 or 3 values of each; None where objects have none."""
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


def images_in(
    content: dict[str, Any], file: Path | None, tree: Tree, rows: Rows
) -> Iterator[tuple[str, str | None]]:
    """Images with a split, or None; one of several splits once for each."""
    if file is None:
        yield from _unsaid(tree, rows)
        return
    named: set[str] = set()
    words = [k for k, v in content.items() if is_split(k, v, tree.root)]
    if not words:
        raise bad_input(file, "no train, val or test", "a folder for each split", _FIX)
    entries = {word: content[word] if isinstance(content[word], list) else [content[word]] for word in words}
    for word in words:
        for entry in entries[word]:
            if not isinstance(entry, str):
                wanted = "a folder, a list of folders or a .txt"
                raise bad_input(f"{file}, {word!r}", reprlib.repr(entry), wanted, _FIX)
            place = place_of(entry, file, word, tree)
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
        if image not in named and labels_of(image, tree) is not None:
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
    labelled = {os.path.dirname(image) for image in every if labels_of(image, tree) is not None}
    for image in every:
        split = None if named else tree.split_of(image)
        if image not in named and (
            split is not None or is_among_images(image, tree) or os.path.dirname(image) in labelled
        ):
            yield image, split


def is_split(key: object, value: object, root: Path) -> bool:
    """Whether a key stands for a split: by its name, or because it names a list of files."""
    if not isinstance(key, str) or not value or value in _NOTHING:
        return False
    return role(key, strict=True) is not None or (
        isinstance(value, str) and value.endswith(".txt") and os.path.isfile(root / value)
    )


def place_of(entry: str, file: Path, word: str, tree: Tree) -> Path | None:
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


def describe(number: int, name: str) -> str:
    """An object, by its line."""
    return f"line {number}"
