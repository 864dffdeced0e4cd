"""Label Studio's JSON: a list of tasks, one task a file, or JSON-MIN; also what it takes for import.

The fields are those of Label Studio's documentation, "Task format" and the pages of its tags (RectangleLabels
and so on): percentages of the upright image, turned clockwise about the first corner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree as Plain

from defusedxml import ElementTree

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.addresses import decoded, path_of
from masu.data.formats.copying import Copy
from masu.data.formats.form import (
    BY_CONTENT,
    Candidate,
    Format,
    Place,
    as_flag,
    as_pixels,
    as_size,
    load_json,
)
from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Box, Rows, entry_of, place_of
from masu.data.formats.tree import Tree, is_image
from masu.data.formats.turned import box_of_ellipse, box_of_turned
from masu.data.splits import role
from masu.errors import bad_input
from masu.json_text import to_json

MOST_BYTES = 1_000_000_000
"""Size of a file."""

_FIX = "export it again as JSON"
_DATA = re.compile(rb'"data"\s*:\s*\{')
_LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")
_WITHOUT_BOX = {"brushlabels": "brush masks", "bitmasklabels": "brush masks", "keypointlabels": "keypoints"}
_SHAPES = frozenset(("rectangle", "polygon", "ellipse", "brush", "keypoint", "bitmask"))
_FLAGS = {"crowd": CROWD, "difficult": DIFFICULT}
"""Notes on a region that are flags; Label Studio itself has none."""
_FROM, _TO = "label", "image"
_LOCAL = "/data/local-files/?d="
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")


def find(place: Place) -> Candidate | None:
    """The JSON files with tasks of Label Studio below a folder, or one of them."""
    files = place.some(place.files(".json"), _is_tasks)
    return Candidate(tuple(files), BY_CONTENT, place.path.is_file()) if files else None


def _is_tasks(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"[" and b'"annotation_id"' in head and b'"lead_time"' in head:
        return True
    if start not in (b"[", b"{") or (b'"images"' in head and b'"categories"' in head):
        return False
    return bool(_DATA.search(head)) and any(
        key in head for key in (b'"annotations"', b'"predictions"', b'"completions"', b'"result"')
    )


def read(candidate: Candidate, tree: Tree) -> Rows:
    """The tasks that somebody has annotated, with the box around each region.

    Of several annotations the one marked as ground truth counts, else the latest; cancelled ones count for
    nothing. A task without any is an image that nobody has labelled: it is left out. Polygons and ellipses
    have the box around them, brush masks and keypoints none. A region with several labels is an object of
    each. The notes ``crowd`` and ``difficult`` on a region are flags. The image is ``data.image``, else the
    only value of the data that is named like an image; addresses and uploads are looked for by their last
    part. Splits are ``data.split``, a text or a list, else the file's name or folder. Classes are in
    alphabetical order.

    Raises:
        InputError: a file that cannot be read or holds no tasks, or predictions alone.
    """
    rows = Rows(tree, _describe, lambda number, name: f"task {number} of the file")
    for file in candidate.files:
        word = file.stem if role(file.stem) is not None else tree.split_of(file)
        _Page(file, tree, rows, None if candidate.options else word).read()
    if not rows.names and rows.left_out["predictions"]:
        found = "tasks with predictions that nobody has looked at"
        fix = "accept them in Label Studio, then export its JSON"
        raise bad_input(candidate.files[0], found, "annotations", fix)
    return rows


def _describe(number: int, name: str) -> str:
    task, at = entry_of(number)
    return f"task {task} of the file, region {at} ({name})"


class _Page:
    """One file with its tasks."""

    def __init__(self, file: Path, tree: Tree, rows: Rows, word: str | None) -> None:
        self.file, self.tree, self.rows, self.word = file, tree, rows, word
        self.number = rows.file(file)
        folders = [
            base / folder
            for base in dict.fromkeys((file.parent, Path(tree.root)))
            for folder in (*([word, f"images/{word}"] if word else []), "images", "")
        ]
        self.look = rows.look(folders, foreign=True)

    def read(self) -> None:
        try:
            content = load_json(self.file, MOST_BYTES)
            if isinstance(content, dict):
                content = [content]
            if not isinstance(content, list):
                raise BadEntryError("no list of tasks", "tasks of Label Studio")
        except BadEntryError as error:
            raise bad_input(self.file, error.found, error.wanted, _FIX) from None
        for at, task in enumerate(_joined(content), start=1):
            try:
                self._task(task, at)
            except BadEntryError as error:
                splits = [] if self.word is None else [self.word]
                self.rows.bad(error, self.file, f"task {at} of the file", splits=splits)

    def _task(self, task: Any, at: int) -> None:
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            raise BadEntryError("no 'data'", "a task of Label Studio")
        self.rows.left_out["predictions"] += sum(len(_results(one)) for one in _entries(task, "predictions"))
        chosen = self._chosen([*_entries(task, "annotations"), *_entries(task, "completions")])
        if chosen is None:
            return
        results = _results(chosen)
        size = next(filter(None, map(_size, results)), None)
        said = data.get("split")
        words = [
            word.strip() for word in (said if isinstance(said, list) else [said]) if isinstance(word, str)
        ]
        row = self.rows.image(
            self._image(data),
            self.number,
            self.look,
            number=at,
            size=size,
            splits=list(filter(None, words)) or ([] if self.word is None else [self.word]),
            relative=True,
        )
        labelled = {str(result.get("id")) for result in results if _labels_of(result) is not None}
        for position, result in enumerate(results, start=1):
            if _kind(result) in _SHAPES and str(result.get("id")) in labelled:
                continue  # its labels stand in a result of their own, with the same shape
            self._region(result, row, place_of(at, position))

    def _chosen(self, annotations: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The annotation that counts; the regions of the others are counted."""
        valid = [one for one in annotations if not as_flag(one.get("was_cancelled"), "was_cancelled")]
        if not valid:
            return None
        ranks = [
            (as_flag(one.get("ground_truth"), "ground_truth"), _time(one), at) for at, one in enumerate(valid)
        ]
        best = max(ranks)[2]
        for at, one in enumerate(valid):
            if at != best:
                self.rows.left_out["a task's further annotation"] += len(_results(one))
        return valid[best]

    def _image(self, data: dict[str, Any]) -> str:
        value = data.get("image")
        if not isinstance(value, str) or not value.strip():
            texts = [text for text in data.values() if isinstance(text, str) and is_image(_path(text))]
            if len(texts) != 1:
                raise BadEntryError(f"{len(texts)} values that may be an image", "'image' with its address")
            value = texts[0]
        name = _path(value)
        uploaded = _UPLOADED.fullmatch(name.replace("\\", "/").rpartition("/")[2])
        if uploaded and self.tree.find(name, self.rows.looks[self.look]).path is None:
            return uploaded[1]
        return name

    def _region(self, result: dict[str, Any], row: int, place: int) -> None:
        rows, kind = self.rows, _kind(result)
        if kind in _WITHOUT_BOX:
            rows.left_out[_WITHOUT_BOX[kind]] += 1
            return
        names: list[str] | None = None
        try:
            if kind in _SHAPES:
                raise BadEntryError(f"a {kind} without label", "the name of a class")
            if kind not in _LABELS:
                rows.left_out["choices and texts"] += 1
                return
            names = _labels_of(result)
            if not names:
                raise BadEntryError("no label", "the name of a class")
            box = self._box(result["value"], _size(result))
        except BadEntryError as error:
            rows.bad(error, self.file, _describe(place, (names or [kind])[0]), image=row)
            return
        if box is None:
            return
        for name in names:
            rows.object(row, box, name, place, self.number, flag=_flag(result))

    def _box(self, value: dict[str, Any], size: tuple[int, int] | None) -> Box | None:
        """The box around a region in shares of the image, None for one that has none."""
        turn = as_pixels(value["rotation"], "rotation") if value.get("rotation") else 0.0
        if turn and size is None:
            raise BadEntryError("a rotation without 'original_width' and 'original_height'", "these")
        height, width = size or (1, 1)
        if "points" in value:
            self.rows.left_out["polygons"] += 1
            return box_of_points(_points(value["points"]))
        if "radiusX" in value:
            x, y, radius_x, radius_y = (_share(value, key) for key in ("x", "y", "radiusX", "radiusY"))
            self.rows.left_out["polygons"] += 1
            box = box_of_ellipse(x * width, y * height, radius_x * width, radius_y * height, turn)
        elif "height" in value:
            x, y, w, h = (_share(value, key) for key in ("x", "y", "width", "height"))
            self.rows.left_out["rotated boxes"] += bool(turn)
            if not turn:
                return x, y, x + w, y + h
            pixels = (x * width, y * height, (x + w) * width, (y + h) * height)
            box = box_of_turned(pixels, turn, pixels[:2])
        else:
            self.rows.left_out["brush masks" if "rle" in value else "keypoints"] += 1
            return None
        return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def _joined(content: list[Any]) -> Iterable[Any]:
    """Tasks with their annotations, of any of the three forms; in JSON-MIN each annotation stands alone."""
    tasks: list[Any] = []
    known: dict[str, dict[str, Any]] = {}
    for entry in content:
        if not isinstance(entry, dict) or "annotations" in entry or "completions" in entry:
            tasks.append(entry)
        elif isinstance(entry.get("task"), dict) and "result" in entry:  # an annotation that names its task
            tasks.append({**entry["task"], "annotations": [entry]})
        elif "data" in entry or "annotation_id" not in entry:
            tasks.append(entry)
        else:
            annotation = {**entry, "result": _of_min(entry)}
            key = json.dumps(entry.get("id"))
            if key in known and entry.get("id") is not None:
                known[key]["annotations"].append(annotation)
            else:
                known[key] = {"data": entry, "annotations": [annotation]}
                tasks.append(known[key])
    return tasks


def _of_min(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of an entry of JSON-MIN: lists of values, each with its size."""
    results = []
    for values in entry.values():
        for value in values if isinstance(values, list) else ():
            kind = next(
                (key for key in (*_LABELS, *_WITHOUT_BOX) if isinstance(value, dict) and key in value), None
            )
            if kind is not None:
                results.append({**value, "type": kind, "value": value})
    return results


def _entries(task: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = task.get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _results(annotation: dict[str, Any]) -> list[dict[str, Any]]:
    return _entries(annotation, "result")


def _time(annotation: dict[str, Any]) -> str:
    times = (annotation.get(key) for key in ("updated_at", "created_at"))
    return next((time for time in times if isinstance(time, str)), "")


def _kind(result: dict[str, Any]) -> str:
    kind = result.get("type")
    return kind if isinstance(kind, str) else ""


def _labels_of(result: dict[str, Any]) -> list[str] | None:
    """The labels of a result, None where it is of a kind without."""
    kind, value = _kind(result), result.get("value")
    if not isinstance(value, dict) or kind not in _LABELS:
        return None
    names = value.get(kind)
    texts = [name.strip() for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return list(dict.fromkeys(filter(None, texts)))


def _flag(result: dict[str, Any]) -> int:
    meta = result.get("meta")
    notes = meta.get("text") if isinstance(meta, dict) else None
    known = notes if isinstance(notes, list) else [notes]
    return sum(flag for note, flag in _FLAGS.items() if note in known)


def _size(result: dict[str, Any]) -> tuple[int, int] | None:
    return as_size(result.get("original_height"), result.get("original_width"))


def _share(value: dict[str, Any], key: str) -> float:
    number = value.get(key)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise BadEntryError(f"{key} {json.dumps(number)[:40]}", "a number of percent")
    return as_pixels(number, key) / 100


def _points(points: Any) -> list[tuple[float, float]]:
    if not isinstance(points, list) or not points:
        raise BadEntryError(f"points {json.dumps(points)[:40]}", "pairs of percentages")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise BadEntryError("a point that is no pair", "x and y")
    return [(as_pixels(x, "x") / 100, as_pixels(y, "y") / 100) for x, y in points]


def _path(value: str) -> str:
    """The path of an image's address, whichever kind of storage it is in."""
    value = value.strip()
    if "/data/local-files/" in value and "?d=" in value:
        return unquote(value.partition("?d=")[2].partition("&")[0])
    return decoded(value) if value.startswith("/data/") else path_of(value)


def result(
    key: str,
    box: Box,
    name: str,
    size: tuple[int, int],
    *,
    flag: int = 0,
    score: float | None = None,
    tags: tuple[str, str] = (_FROM, _TO),
) -> dict[str, Any]:
    """A region as Label Studio takes it for import, in an annotation or a prediction.

    Args:
        key: its own within the task.
        box: xyxy in pixels.
        name: its class.
        size: height and width of the image.
        flag: see :attr:`masu.data.dataset.Dataset.flags`.
        score: of a prediction, 0 to 1.
        tags: names of the tags of the labels and of the image in the labelling configuration.
    """
    (x1, y1, x2, y2), (height, width) = box, size
    made: dict[str, Any] = {
        "id": key,
        "from_name": tags[0],
        "to_name": tags[1],
        "type": "rectanglelabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {
            "x": 100 * x1 / width,
            "y": 100 * y1 / height,
            "width": 100 * (x2 - x1) / width,
            "height": 100 * (y2 - y1) / height,
            "rotation": 0,
            "rectanglelabels": [name],
        },
    }
    if notes := [note for note, bit in _FLAGS.items() if flag & bit]:
        made["meta"] = {"text": notes}
    if score is not None:
        made["score"] = score
    return made


def task(
    image: str,
    results: list[dict[str, Any]],
    *,
    splits: Sequence[str] = (),
    model_version: str | None = None,
    score: float | None = None,
) -> dict[str, Any]:
    """A task as Label Studio takes it for import.

    Args:
        image: path of the image below the folder that Label Studio serves as local files.
        results: of :func:`result`.
        splits: kept in the task's data, as ``split``.
        model_version: makes a prediction of the results instead of an annotation.
        score: of the prediction, 0 to 1.
    """
    data: dict[str, Any] = {"image": f"{_LOCAL}{quote(image)}"}
    if splits:
        data["split"] = splits[0] if len(splits) == 1 else list(splits)
    if model_version is None:
        return {"data": data, "annotations": [{"result": results}]}
    prediction: dict[str, Any] = {"model_version": model_version, "result": results}
    if score is not None:
        prediction["score"] = score
    return {"data": data, "predictions": [prediction]}


def config(names: Iterable[str]) -> str:
    """Label Studio's labelling configuration for rectangles of these classes."""
    view = Plain.Element("View")
    Plain.SubElement(view, "Image", name=_TO, value="$image")
    labels = Plain.SubElement(view, "RectangleLabels", name=_FROM, toName=_TO)
    for name in names:
        Plain.SubElement(labels, "Label", value=name)
    Plain.indent(view)
    return Plain.tostring(view, encoding="unicode") + "\n"


def write(copy: Copy) -> None:
    """``tasks.json`` to import, ``config.xml`` with the classes, and ``images/``; a split is ``data.split``.

    The folder is the one that Label Studio is to serve (``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT``). Drafts
    are predictions, whose score is that of their most doubtful region.

    Raises:
        InputError: an image of unknown size, or a class name that XML cannot hold.
    """
    copy.say_unordered()
    copy.say_not_coco()
    data = copy.data
    for split, mine in zip(data.splits, data.members, strict=True):
        if not mine.any():
            copy.say(f"Label Studio has no place for a split without images: {split} is left out")
    copy.text("config.xml", _checked(config(data.names)))
    with copy.stream("tasks.json") as stream:
        before = "[\n"
        for index in range(len(data)):
            image = f"images/{copy.image(index, 'images')}"
            made = _task_of(copy, image, index)
            stream.write(before + to_json(made))
            before = ",\n"
        stream.write("\n]\n")
    copy.put_strays("images")


def _task_of(copy: Copy, image: str, index: int) -> dict[str, Any]:
    results, splits = _results_of(copy, index), copy.data.splits_of(index)
    if copy.drafts is None:
        return task(image, results, splits=splits)
    version, score = copy.drafts.version, least_score(results)
    return task(image, results, splits=splits, model_version=version, score=score)


def least_score(results: Iterable[dict[str, Any]]) -> float | None:
    """The score of a prediction: that of its most doubtful region, None without any."""
    return min((region["score"] for region in results), default=None)


def _results_of(copy: Copy, index: int) -> list[dict[str, Any]]:
    data, size, results = copy.data, copy.size(index), []
    for row in copy.objects(index):
        if not all(size):
            raise bad_input(
                data.paths[index], "an image of unknown size", "its size", "see that it can be read"
            )
        copy.count_crowd(row, "Label Studio has no crowd regions: {} have the note crowd")
        copy.count_difficult(row, "Label Studio has no difficult objects: {} have the note difficult")
        x1, y1, x2, y2 = data.boxes[row].tolist()
        results.append(
            result(
                f"o{row}",
                (x1, y1, x2, y2),
                copy.name_of(row),
                size,
                flag=int(data.flags[row]),
                score=copy.score(row),
            )
        )
    return results


def _checked(text: str) -> str:
    try:
        ElementTree.fromstring(text)
    except Plain.ParseError:
        fix = "rename it"
        raise bad_input(
            "a class", "a control character in its name", "a name that XML can hold", fix
        ) from None
    return text


FORMAT = Format(
    "labelstudio",
    "Label Studio (its JSON export, and images)",
    find,
    read,
    write,
    drafts_are_labels=False,
)
