"""KITTI's object detection: a text for each image, ``label_2/*.txt`` beside ``image_2/``.

A line has 15 values, as the readme of KITTI's development kit says: type, truncated, occluded, alpha, the box
as left top right bottom in pixels from 0, then size, place and turn of the box in space. Results have a score
as the 16th.
"""

from __future__ import annotations

from pathlib import Path

from masu.data.dataset import CROWD
from masu.data.formats.form import BY_CONTENT, Candidate, Format, Place, load_text
from masu.data.formats.rows import BadEntryError, Box, Rows
from masu.data.formats.tree import Tree
from masu.data.splits import TEST, role

MOST_BYTES = 16_000_000
"""Size of a label file."""

_NO_CLASS = "DontCare"
_VALUES = (15, 16)
_LOOKED_AT = 16  # of a folder, since the first ones may be empty


def find(place: Place) -> Candidate | None:
    """The texts of the folders in which one has KITTI's lines, or one of them."""
    folders: dict[Path, list[Path]] = {}
    for file in place.files(".txt"):
        folders.setdefault(file.parent, []).append(file)
    files: list[Path] = []
    for inside in folders.values():
        if any(_is_kitti(place.head(file)) for file in inside[:_LOOKED_AT]):
            files += inside
    return Candidate(tuple(files), BY_CONTENT) if files else None


def _is_kitti(head: bytes) -> bool:
    values = head.lstrip().partition(b"\n")[0].decode("utf-8", "replace").split()
    if len(values) not in _VALUES or _is_number(values[0]):
        return False
    return all(map(_is_number, values[1:]))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The images that have a label file, with their boxes.

    ``DontCare`` regions hold objects of any class that nobody labelled: each is a crowd of every class of the
    data set. Splits are the lists in ``ImageSets/``, else the folders that are named as splits. An image is
    looked for in ``image_2/`` beside ``label_2/`` (in ``images/`` beside ``labels/``) and beside its label
    file.
    """
    rows = Rows(tree, _describe)
    lists = _lists(tree)
    regions: list[tuple[int, Box, int, int]] = []
    for file in candidate.files:
        folder = tree.split_of(file)
        words = [word for word, stems in lists.items() if file.stem in stems and _agree(word, folder)]
        if not lists and folder is not None:
            words = [folder]
        number = rows.file(file)
        try:
            lines = load_text(file, MOST_BYTES).splitlines()
        except BadEntryError as error:
            rows.bad(error, file, "the file", splits=words)
            continue
        row = rows.image(file.stem, number, rows.look(_folders(file, tree), stem=True), splits=words)
        for at, line in enumerate(lines, start=1):
            try:
                if line.strip():
                    _read_line(line, row, at, number, rows, regions)
            except BadEntryError as error:
                rows.bad(error, file, f"line {at}", image=row)
    for row, box, at, number in regions:
        for name in list(rows.classes):
            rows.object(row, box, name, at, number, flag=CROWD)
    return rows


def _describe(number: int, name: str) -> str:
    return f"line {number}"


def _lists(tree: Tree) -> dict[str, set[str]]:
    """The stems of each split that a list in ``ImageSets/`` names."""
    found = {}
    folder = Path(tree.root) / "ImageSets"
    for name in sorted(tree.folder(folder).names):
        word = name[:-4]
        if name.lower().endswith(".txt") and role(word, strict=True) is not None:
            try:
                found[word] = set(load_text(folder / name, MOST_BYTES).split())
            except BadEntryError:
                continue
    return found


def _agree(word: str, folder: str | None) -> bool:
    """Whether a list may name what is in a folder: ``training/`` and ``testing/`` number alike."""
    return folder is None or (role(word) == TEST) == (role(folder) == TEST)


def _folders(file: Path, tree: Tree) -> list[Path]:
    beside = file.parent.parent
    twin = file.parent.name.lower().replace("label", "image")
    return [beside / twin, beside / "image_2", beside / "images", file.parent, Path(tree.root)]


def _read_line(
    line: str, row: int, at: int, number: int, rows: Rows, regions: list[tuple[int, Box, int, int]]
) -> None:
    name, *texts = line.split()
    if len(texts) + 1 not in _VALUES:
        raise BadEntryError(f"{len(texts) + 1} values", "15, or 16 with a score")
    try:
        values = [float(text) for text in texts]
    except ValueError:
        wrong = next(text for text in texts if not _is_number(text))
        raise BadEntryError(f"the value {wrong[:40]!r}", "a number") from None
    x1, y1, x2, y2 = values[3:7]
    if name.casefold() == _NO_CLASS.casefold():
        regions.append((row, (x1, y1, x2, y2), at, number))
        return
    rows.object(row, (x1, y1, x2, y2), name, at, number)
    rows.left_out["truncated"] += values[0] > 0
    rows.left_out["occluded"] += values[1] in (1, 2)
    rows.left_out["box in space"] += values[7] > 0
    rows.left_out["score"] += len(values) == 15


FORMAT = Format("kitti", "KITTI (label_2/*.txt and image_2/)", find, read)
