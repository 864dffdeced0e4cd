"""LabelMe folders: one JSON file per picture with its shapes."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path, PureWindowsPath
from typing import Any

from masu.data.dataset import Fault
from masu.data.formats.reading import (
    USUAL_SPLITS,
    BadEntryError,
    Box,
    Contents,
    Marked,
    Picture,
    Reader,
    Source,
    as_pixels,
    as_text,
    joined,
    leaves,
    load_json,
    split_order,
)
from masu.data.pixels.pictures import IMAGE_SUFFIXES
from masu.errors import bad_input

MOST_BYTES = 64_000_000
"""Size of a file; LabelMe may write the picture into it."""

_FEWEST_POINTS = {"rectangle": 2, "circle": 2, "polygon": 3, "mask": 2, "rotation": 4}


def find(path: Path) -> Source | None:
    """The LabelMe files of a folder, of its ``train``, ``val`` and ``test``, or of any folder in it."""
    if not path.is_dir():
        return None
    splits = {name: path / name for name in USUAL_SPLITS if (path / name).is_dir() and _files(path / name)}
    if splits:
        every = tuple(file for folder in splits.values() for file in _files(folder))
        return Source(path, {name: splits[name] for name in split_order(splits)}, every)
    files = _files(path) or tuple(
        file for folder in sorted(path.iterdir()) if folder.is_dir() for file in _files(folder)
    )
    return Source(path, {}, files) if files else None


def read(source: Source, split: str | None) -> Contents:
    """The pictures of a folder with the box around each shape; a broken file is left out.

    Raises:
        InputError: an ``imagePath`` outside of the data set.
    """
    if not source.parsed:
        source.parsed.update({str(file): _Page(file) for file in source.files})
    pages: list[_Page] = list(source.parsed.values())
    names = tuple(sorted({item.name for page in pages for item in page.objects}))
    faults: list[Fault] = []
    pictures = []
    left_out: Counter[str] = Counter()
    for page in pages:
        if split is not None and page.file.parent != source.splits[split]:
            continue
        faults += page.faults
        if page.content is None:
            continue
        image = page.image(source.root)
        if image is None:
            found = f"no such file {page.content.get('imagePath')}, looked beside {page.file.name}"
            faults.append(Fault("missing-image", page.file, "imagePath", found, "skipped"))
            continue
        left_out += page.left_out
        pictures.append(Picture(image, page.file, page.size, page.objects))
    return Contents(joined(pictures, faults), names, tuple(range(1, len(names) + 1)), faults, +left_out)


READER = Reader("labelme", "LabelMe (a folder with a JSON file for each picture)", find, read)


class _Page:
    """One JSON file, its shapes understood or told as faults."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.content: dict[str, Any] | None = None
        self.faults: list[Fault] = []
        self.objects: list[Marked] = []
        self.left_out: Counter[str] = Counter()
        self.size: tuple[int, int] | None = None
        try:
            content = load_json(file, MOST_BYTES)
            if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
                raise BadEntryError("no list 'shapes'", "a file of LabelMe")
        except BadEntryError as error:
            self.faults.append(error.fault(file, "the file"))
            return
        self.content = content
        sides = (content.get("imageHeight"), content.get("imageWidth"))
        if all(isinstance(side, int) and side > 0 for side in sides):
            self.size = sides  # type: ignore[assignment]
        for number, shape in enumerate(content["shapes"], start=1):
            self._add(number, shape)

    def _add(self, number: int, shape: Any) -> None:
        where = f"shape {number}"
        try:
            name = shape.get("label") if isinstance(shape, dict) else None
            if not isinstance(name, str) or not name.strip():
                raise BadEntryError("no label", "the name of a class")
            name = as_text(name)
            where = f"shape {number} ({name})"
            kind = shape.get("shape_type", "polygon")
            box = _box(shape, kind)
        except BadEntryError as error:
            self.faults.append(error.fault(self.file, where))
            return
        self.left_out["polygons"] += kind not in ("rectangle", "circle")
        self.objects.append(Marked(where, box, name, False))

    def image(self, root: Path) -> Path | None:
        """The picture: ``imagePath``, its last part beside the file, else one with the file's stem.

        Raises:
            InputError: an ``imagePath`` outside of the data set, such as one of another machine, without a
                picture of its name beside the file.
        """
        assert self.content is not None
        path = self.content.get("imagePath")
        if isinstance(path, str) and path:
            last = PureWindowsPath(path).name
            outside = leaves(path, self.file, root)
            for name in (last,) if outside else (path.replace("\\", "/"), last):
                if (self.file.parent / name).is_file():
                    return self.file.parent / name
            if outside:
                fix = f"put {last} beside {self.file.name}, or point at the folder that holds both"
                found = f"the file name {path!r}, which leaves {root}"
                raise bad_input(f"{self.file}, imagePath", found, "a path inside the data set", fix)
        images = sorted(self.file.parent.glob(f"{_escaped(self.file.stem)}.*"))
        return next((image for image in images if image.suffix.lower() in IMAGE_SUFFIXES), None)


def _box(shape: dict[str, Any], kind: object) -> Box:
    if not isinstance(kind, str) or kind not in _FEWEST_POINTS:
        raise BadEntryError(f"a shape of type {kind!r}"[:80], f"one of {', '.join(_FEWEST_POINTS)}")
    points = shape.get("points")
    if not isinstance(points, list) or len(points) < _FEWEST_POINTS[str(kind)]:
        count = len(points) if isinstance(points, list) else 0
        raise BadEntryError(f"{count} points", f"at least {_FEWEST_POINTS[str(kind)]}")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise BadEntryError("a point that is no pair", "x and y")
    x = [as_pixels(point[0], "x") for point in points]
    y = [as_pixels(point[1], "y") for point in points]
    if kind == "circle":
        radius = math.hypot(x[1] - x[0], y[1] - y[0])
        return x[0] - radius, y[0] - radius, x[0] + radius, y[0] + radius
    return min(x), min(y), max(x), max(y)


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(file for file in sorted(folder.glob("*.json")) if _is_labelme(file))


def _is_labelme(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            head = stream.read(4096)
            stream.seek(max(file.stat().st_size - 4096, 0))
            return b'"shapes"' in head or b'"imagePath"' in head + stream.read()
    except OSError:
        return False


def _escaped(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
