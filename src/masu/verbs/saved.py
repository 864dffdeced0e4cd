"""Saved predictions: what a model found in labelled images, as a file that can be scored without it.

JSON is COCO's list of results, each with the image's file name and the class's name beside the ids, so that
it means the same for data without ids. Parquet has a row for each image, as a bulk job writes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from masu.atomic import write_whole
from masu.bulk.table import ImageRow, require_pyarrow, to_table
from masu.data.dataset import Dataset
from masu.errors import bad_input, counted, listed
from masu.evaluation.evaluate import Scored
from masu.evaluation.federated import as_checked
from masu.evaluation.matches import LIMIT
from masu.evaluation.metrics import coco_metrics
from masu.records import Detections

SUFFIXES = (".json", ".parquet")

WANTED = "a list of COCO results, the object of `masu detect --to coco`, or Parquet files of masu"


def are_predictions(path: Path) -> bool:
    """Whether a path is of saved predictions, by its suffix; a folder by that of what lies in it."""
    if path.is_dir():
        return any(path.glob("*.parquet"))
    return path.suffix.lower() in SUFFIXES


def refuse_suffix(path: Path) -> None:
    """Refuse a file to write to that says no format.

    Raises:
        InputError: for another suffix than ``.json`` and ``.parquet``, or without the package for the latter.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise bad_input(
            "--save-predictions", f"the suffix {path.suffix!r}", " or ".join(SUFFIXES), "rename it"
        )
    if path.suffix.lower() == ".parquet":
        require_pyarrow()


def refuse_twice(data: Dataset) -> None:
    """Refuse data in which one image file stands twice: a prediction would not say which it is of.

    Splits that label the same image in different ways give an image for each of them, and so do two names of
    one file.

    Raises:
        InputError: naming the image.
    """
    seen: set[str] = set()
    for path in data.paths:
        file = os.path.realpath(path)
        if file in seen:
            found = f"the image {_relative(path, data.root)} twice"
            raise bad_input(
                data.root,
                found,
                "each image once beside saved predictions",
                "choose a split, or leave one out",
            )
        seen.add(file)


def save_predictions(scored: Scored, data: Dataset, path: Path) -> None:
    """Write what was found in labelled images, whole or not at all.

    Args:
        scored: what was found, down to the model's own low score.
        data: the labelled images.
        path: ``.json`` or ``.parquet``; an older file is replaced.

    Raises:
        InputError: for another suffix, data in which an image stands twice, or where it cannot be written.
    """
    refuse_suffix(path)
    refuse_twice(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    named = _names_of(data)
    if path.suffix.lower() == ".json":
        write_whole(path, [_json(scored, data, named).encode()])
        return
    import pyarrow.parquet
    from pyarrow import BufferOutputStream

    sizes = dict(zip(data.paths, data.sizes.tolist(), strict=True))
    rows = [
        ImageRow(named[file], sizes[file][0] or None, sizes[file][1] or None, found)
        for file, found in zip(scored.paths, scored.found, strict=True)
    ]
    stream = BufferOutputStream()
    pyarrow.parquet.write_table(to_table(rows), stream)
    write_whole(path, [stream.getvalue().to_pybytes()])


def _json(scored: Scored, data: Dataset, named: Mapping[Path, str]) -> str:
    ids = dict(zip(data.paths, _image_ids(data), strict=True))
    lines = []
    for file, found in zip(scored.paths, scored.found, strict=True):
        for (x1, y1, x2, y2), score, label in zip(
            found.boxes.double().tolist(), found.scores.numpy(), found.labels.tolist(), strict=True
        ):
            entry = {
                "image_id": ids[file],
                "category_id": data.category_ids[label],
                "bbox": [_short(x1), _short(y1), x2 - x1, y2 - y1],
                "score": _short(score),
                "file_name": named[file],
                "category": data.names[label],
            }
            lines.append(json.dumps(entry))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _short(value: Any) -> float:
    """A float32 with as few digits as say it."""
    return float(str(np.float32(value)))


def _image_ids(data: Dataset) -> list[int]:
    """The ids that the data have, or their order where they have none."""
    ids: list[int] = data.image_ids.tolist()
    return ids if _has_ids(data) else list(range(1, len(data) + 1))


def _has_ids(data: Dataset) -> bool:
    return data.form == "coco" and len(np.unique(data.image_ids)) == len(data)


def _names_of(data: Dataset) -> dict[Path, str]:
    """What an image is called in a file: its path within the data's folder."""
    return {path: _relative(path, data.root) for path in data.paths}


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix() if path.is_relative_to(root) else path.as_posix()


@dataclass(frozen=True)
class _Entry:
    """One image's rows of a file.

    Attributes:
        file: its name; None where only its id is given.
        number: its id; None where only its name is given.
        boxes: xyxy.
        scores: of each.
        classes: of each, its name, or its id in the data.
    """

    file: str | None
    number: int | None
    boxes: list[Sequence[float]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    classes: list[str | int] = field(default_factory=list)


def score_saved(path: Path, data: Dataset, *, voc: bool = False, max_detections: int = LIMIT) -> Scored:
    """Score saved predictions on the images they were made of.

    Args:
        path: a file of :func:`save_predictions`, of ``masu detect --to coco`` or ``--to parquet`` (its folder
            too), or COCO results of another tool.
        data: the labelled images. One that the file says nothing of counts as one where nothing was found.
        voc: report ``voc_ap50`` and ``voc07_ap50`` also where no object is difficult.
        max_detections: of a class in an image that count.

    Raises:
        InputError: for a file that cannot be read, values that are none, ids beside data that have none, an
            image that stands twice in the data, or no image or class in common.
    """
    refuse_twice(data)
    entries = _read(path)
    places = _Places(data)
    faults: list[str] = []
    found: dict[int, Detections] = {}
    strange_images: list[str] = []
    strange_classes: dict[str, int] = {}
    by_name = {name: k for k, name in enumerate(data.names)}
    by_id = {number: k for k, number in enumerate(data.category_ids)}
    for entry in entries:
        index = places.of(entry, path)
        if index is None:
            strange_images.append(str(entry.file if entry.file is not None else entry.number))
            continue
        if index in found:
            raise bad_input(path, f"two entries for the image {data.paths[index]}", "one")
        labels = [by_name.get(c) if isinstance(c, str) else by_id.get(c) for c in entry.classes]
        for name, label in zip(entry.classes, labels, strict=True):
            if label is None:
                strange_classes[str(name)] = strange_classes.get(str(name), 0) + 1
        rows = [row for row, label in enumerate(labels) if label is not None]
        order = sorted(rows, key=lambda row: -entry.scores[row])
        found[index] = Detections(
            torch.tensor([entry.boxes[row] for row in order]).reshape(-1, 4),
            torch.tensor([entry.scores[row] for row in order]),
            torch.tensor([labels[row] for row in order], dtype=torch.int64),
            tuple(data.names[labels[row]] for row in order),  # type: ignore[index]
        )
    if strange_images and not found:
        raise bad_input(
            path,
            f"predictions of other images, such as {strange_images[0]}",
            f"those of {data.root}, such as {_relative(data.paths[0], data.root)}",
            code="no-images",
        )
    if not any(map(len, found.values())) and strange_classes:
        raise bad_input(path, f"the classes {listed(strange_classes)}", f"one of {listed(data.names)}")
    if strange_images:
        faults.append(f"{path}: {counted(len(strange_images), 'image')} not in the data left out")
    if strange_classes:
        faults.append(f"{path}: classes that the data do not have left out: {listed(strange_classes)}")
    if len(found) < len(data):
        silent = len(data) - len(found)
        faults.append(f"{path}: nothing said of {counted(silent, 'image')}, where nothing counts as found")
    none = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64), ())
    detections = [found.get(i, none) for i in range(len(data))]
    targets, detections = as_checked(data, range(len(data)), [target for _, target in data], detections)
    limits = (1, 10, max_detections)
    metrics = replace(coco_metrics(targets, detections, data.names, limits, voc), faults=tuple(faults))
    return Scored(metrics, data.names, tuple(data.paths), tuple(targets), tuple(detections))


class _Places:
    """Which image of the data an entry means: by its name or, where the data have ids, by its number."""

    def __init__(self, data: Dataset) -> None:
        self._root, self._form = data.root, data.form
        self._whole = {os.path.realpath(path): i for i, path in enumerate(data.paths)}
        self._named: dict[str, list[int]] = {}
        for i, path in enumerate(data.paths):
            self._named.setdefault(path.name, []).append(i)
        self._ids = (
            {number: i for i, number in enumerate(data.image_ids.tolist())} if _has_ids(data) else None
        )

    def of(self, entry: _Entry, path: Path) -> int | None:
        if entry.file is None:
            if self._ids is None:
                raise bad_input(
                    path,
                    "image ids without file names",
                    f"file names, since data of the format {self._form} have no ids",
                    'add "file_name" to each result',
                )
            return self._ids.get(entry.number or 0)
        for base in (self._root, path.parent):
            whole = self._whole.get(os.path.realpath(base / entry.file))
            if whole is not None:
                return whole
        if PurePosixPath(entry.file).name != entry.file:  # its folder is not one of these images
            return None
        meant = self._named.get(entry.file, [])
        if len(meant) > 1:
            raise bad_input(
                path, f"the image {entry.file!r}, of which there are {len(meant)}", "its whole path"
            )
        return meant[0] if meant else None


def _read(path: Path) -> list[_Entry]:
    if path.is_dir() or path.suffix.lower() == ".parquet":
        return list(_parquet(path))
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise bad_input(path, error.strerror or "an error", WANTED, code="missing-file") from None
    except (ValueError, RecursionError):
        raise bad_input(path, "a text that is no JSON", WANTED) from None
    files, results = _of_dataset(content, path) if isinstance(content, dict) else ([], content)
    if not isinstance(results, list):
        raise bad_input(path, f"a JSON {type(content).__name__}", WANTED)
    entries: dict[tuple[str | None, int | None], _Entry] = {
        (file, None): _Entry(file, None) for file in files
    }
    for number, one in enumerate(results, 1):
        try:
            file, image = one.get("file_name"), one.get("image_id")
            key = (None if file is None else str(file), int(image) if file is None else None)
            x, y, width, height = map(float, one["bbox"])
            score = float(one["score"])
            named = one.get("category")
            of: str | int = int(one["category_id"]) if named is None else str(named)
        except (AttributeError, KeyError, TypeError, ValueError):
            wanted = "image_id or file_name, category_id or category, bbox of four numbers, score"
            raise bad_input(path, f"result {number}: {one}", wanted) from None
        if not (np.isfinite([x, y, width, height]).all() and 0 <= score <= 1):
            wanted = "finite numbers and a score from 0 to 1"
            raise bad_input(path, f"result {number}: bbox {one['bbox']}, score {one['score']}", wanted)
        entry = entries.setdefault(key, _Entry(*key))
        entry.boxes.append((x, y, x + width, y + height))
        entry.scores.append(score)
        entry.classes.append(of)
    return list(entries.values())


def _of_dataset(content: Mapping[str, Any], path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The images of an object with images, categories and annotations, and its results with names."""
    try:
        folder = (content.get("info") or {}).get("image_folder", ".")
        files = {one["id"]: str(PurePosixPath(folder) / one["file_name"]) for one in content["images"]}
        names = {one["id"]: str(one["name"]) for one in content["categories"]}
        return list(files.values()), [
            {"file_name": files[one["image_id"]], "category": names[one["category_id"]]}
            | {key: one[key] for key in ("bbox", "score")}
            for one in content["annotations"]
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise bad_input(path, f"an object without {error}", WANTED) from None


def _parquet(path: Path) -> Iterator[_Entry]:
    pa = require_pyarrow()
    try:
        table = pa.parquet.read_table(path, columns=["path", "boxes", "scores", "names", "error"])
    except (pa.ArrowException, OSError, KeyError) as error:
        raise bad_input(path, str(error).split("\n")[0], WANTED) from None
    for number, row in enumerate(table.to_pylist(), 1):
        if row["error"] is None:
            yield _entry_of(row, number, path)


def _entry_of(row: Mapping[str, Any], number: int, path: Path) -> _Entry:
    file, boxes, scores, names = (row[name] for name in ("path", "boxes", "scores", "names"))
    try:
        corners = np.array(boxes, np.float64) if boxes else np.zeros((0, 4))
        worth = np.array(scores, np.float64)
        fits = corners.shape == (len(names), 4) and worth.shape == (len(names),)
        fits &= all(isinstance(name, str) for name in [file, *names])
    except (TypeError, ValueError):
        fits = False
    if not fits:
        wanted = "path, and as many boxes of four numbers as scores and names"
        raise bad_input(path, f"row {number} ({file}): other values", wanted)
    if not (np.isfinite(corners).all() and ((worth >= 0) & (worth <= 1)).all()):
        wanted = "finite numbers and scores from 0 to 1"
        raise bad_input(path, f"row {number} ({file}): others", wanted)
    return _Entry(file, None, boxes, scores, names)
