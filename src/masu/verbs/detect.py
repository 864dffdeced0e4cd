"""Detect: run a detector over image files and write what it found as JSON, CSV or COCO."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from masu import __version__
from masu.atomic import sweep, write_whole
from masu.data.pixels.images import displayable
from masu.data.pixels.pictures import find_images, passed_over
from masu.drawing import draw
from masu.errors import InputError
from masu.evaluation.predictions import AnyDetector, Prediction, predictions
from masu.json_text import to_json
from masu.ranges import BATCH_SIZE
from masu.records import Detections
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold

FORMATS = ("json", "csv", "coco")
"""Result formats that :func:`detect` writes."""

_FILE_NAMES = {"json": "detections.json", "csv": "detections.csv", "coco": "detections.coco.json"}


@dataclass(frozen=True)
class DetectReport:
    """What :func:`detect` did.

    Attributes:
        images: number of images predicted.
        detections: number of detections in them.
        seconds_per_image: mean time of a prediction, without reading and drawing.
        text: the results in the wanted format; empty where they were written to ``file``.
        file: the results file; None without an output folder.
        pictures: the drawn pictures, in the order of the images.
        faults: one line for each image that could not be read or drawn.
        passed_over: films and pictures in the folders of a kind that masu does not read, and those that an
            earlier run drew into ``out``.
    """

    images: int
    detections: int
    seconds_per_image: float
    text: str
    file: Path | None
    pictures: tuple[Path, ...]
    faults: tuple[str, ...]
    passed_over: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them; paths are strings."""
        return asdict(self) | {
            "file": None if self.file is None else str(self.file),
            "pictures": [str(picture) for picture in self.pictures],
            "faults": list(self.faults),
            "passed_over": [str(path) for path in self.passed_over],
        }


def detect(
    detector: AnyDetector,
    sources: Sequence[str | Path],
    *,
    threshold: Threshold = DEFAULT_THRESHOLD,
    format: str = "json",
    out: str | Path | None = None,
    batch_size: int = 1,
    pictures: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> DetectReport:
    """Find objects in image files; images that cannot be read are reported and passed over.

    Args:
        detector: any masu detector.
        sources: image files and folders of images.
        threshold: lowest score to report, in 0..1: one number or one per class, as ``detector.thresholds``.
        format: ``"json"`` (a list, one entry per image), ``"csv"`` (one row per detection) or ``"coco"``
            (a COCO data set that masu reads again: boxes as x y w h, category ids from 1, file names relative
            to the folder that ``info.image_folder`` names: ``.``, that of the results, where all images lie
            below it, else the deepest folder that holds them all). Boxes elsewhere are x1 y1 x2 y2; all are
            pixels of the image, rounded to 0.001.
        out: folder for ``detections.json``, ``.csv`` or ``.coco.json`` and for ``pictures/NAME.jpg``, the
            images with boxes. An input image is never overwritten: a name in use gets ``-2``, ``-3``, ….
            Default: write nothing, return the text.
        batch_size: images per prediction.
        pictures: draw pictures into ``out``.
        progress: called with (images done, images in total).

    Raises:
        InputError: for an unknown format, a threshold or batch size out of range, an output folder that
            cannot be written, no image among the sources or none that can be read.
    """
    check_format(format)
    check_threshold(threshold, detector.names)
    BATCH_SIZE.check("batch_size", batch_size)
    folder = None if out is None else Path(out)
    paths, drawn = _without_drawn(find_images(sources), sources, folder)
    if folder is not None:
        _make(folder)
    drawing = _PictureFolder(folder / "pictures", paths) if folder is not None and pictures else None
    faults: list[str] = []
    records: list[dict[str, Any]] = []
    seconds = 0.0
    stream = predictions(
        detector, paths, faults, threshold=threshold, batch_size=batch_size, progress=progress
    )
    try:
        for prediction in stream:
            seconds += prediction.seconds
            records.append(_record(prediction))
            if drawing is not None:
                try:
                    drawing.write(prediction)
                except (OSError, ValueError, MemoryError) as error:
                    why = str(error) or "no memory"
                    faults.append(f"{prediction.path}: no picture written: {why}")
    except BaseException:  # stopped by whatever it may be: what was found so far is not lost
        if folder is not None and records:
            _write(records, detector.names, format, folder)
        raise
    if not records:
        raise InputError(_none_readable(paths, faults))

    file = None if folder is None else _write(records, detector.names, format, folder)
    text = _render(records, detector.names, format, Path()) if file is None else ""
    return DetectReport(
        images=len(records),
        detections=sum(len(record["detections"]) for record in records),
        seconds_per_image=seconds / len(records),
        text=text,
        file=file,
        pictures=() if drawing is None else tuple(drawing.written),
        faults=tuple(faults),
        passed_over=(*passed_over(sources), *drawn),
    )


def _write(records: list[dict[str, Any]], names: Sequence[str], format: str, folder: Path) -> Path:
    """The results file."""
    file = folder / _FILE_NAMES[format]
    write_whole(file, [_render(records, names, format, folder).encode()])
    return file


def _without_drawn(
    paths: Sequence[Path], sources: Sequence[str | Path], folder: Path | None
) -> tuple[list[Path], list[Path]]:
    """The paths without pictures that an earlier run drew into the results' folder, and these.

    Where a source names that folder, or something in it, they are wanted.
    """
    if folder is None:
        return list(paths), []
    drawn = (folder / "pictures").resolve()
    if any(drawn in (named, *named.parents) for named in (Path(source).resolve() for source in sources)):
        return list(paths), []
    own = {path: None for path in paths if drawn in path.resolve().parents}
    return [path for path in paths if path not in own], list(own)


def check_format(format: str) -> None:
    """Refuse a format that :func:`detect` does not write.

    Raises:
        InputError: for any other.
    """
    if format not in FORMATS:
        wanted = f"{', '.join(FORMATS)} or, with 'masu detect' and masu.bulk.job.detect_bulk, parquet"
        raise InputError(f"format: found {format!r}, wanted one of {wanted}")


def _none_readable(paths: Sequence[Path], faults: Sequence[str]) -> str:
    if not paths:
        return "images: found none, wanted at least one image file"
    return f"images: none of {len(paths)} can be read; the first: {faults[0]}"


def _record(prediction: Prediction) -> dict[str, Any]:
    height, width = prediction.image.shape[-2:]
    found = prediction.detections
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), found.names, strict=True)
    return {
        "file": str(prediction.path),
        "width": width,
        "height": height,
        "detections": [
            {"box": [round(x, 3) for x in box], "score": round(score, 6), "label": label, "name": name}
            for box, score, label, name in rows
        ],
    }


def _render(records: list[dict[str, Any]], names: Sequence[str], format: str, folder: Path) -> str:
    if format == "csv":
        text = _csv(records)
    else:
        text = to_json(
            _coco(records, names, folder) if format == "coco" else records, ensure_ascii=False, indent=1
        )
        text += "\n"
    # a file name that is not UTF-8 holds lone surrogates; \udcXX is what JSON writes for them
    return text.encode(errors="backslashreplace").decode()


def _csv(records: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    quoting = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)  # readers end a row at \r, too
    writer.writerow(["file", "x1", "y1", "x2", "y2", "score", "label", "name"])
    for record in records:
        for found in record["detections"]:
            row = [record["file"], *found["box"], found["score"], found["label"], found["name"]]
            (quoting if "\r" in f"{record['file']}{found['name']}" else writer).writerow(row)
    return buffer.getvalue()


def _coco(records: list[dict[str, Any]], names: Sequence[str], folder: Path) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image_id, record in enumerate(records, 1):
        for found in record["detections"]:
            x1, y1, x2, y2 = found["box"]
            width, height = round(x2 - x1, 3), round(y2 - y1, 3)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": found["label"] + 1,
                    "bbox": [x1, y1, width, height],
                    "area": round(width * height, 3),
                    "iscrowd": 0,
                    "score": found["score"],
                }
            )
    image_folder, files = _relative([record["file"] for record in records], folder)
    return {
        "info": {
            "masu": __version__,
            "schema": "masu.detect-coco/1",
            "image_folder": image_folder,
        },
        "images": [
            {"id": i, "file_name": file, "width": r["width"], "height": r["height"]}
            for i, (file, r) in enumerate(zip(files, records, strict=True), 1)
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names, 1)],
        "annotations": annotations,
    }


def _relative(files: Sequence[str], folder: Path) -> tuple[str, list[str]]:
    """Where the images lie, as seen from ``folder``, and their names there.

    Only the text of a path counts: folders may be links, and a reader goes through them too.
    """
    here, whole = os.path.abspath(folder), [os.path.abspath(file) for file in files]
    if all(Path(here) in Path(file).parents for file in whole):
        base, shown = here, "."
    else:
        try:
            base = shown = os.path.commonpath([os.path.dirname(file) for file in whole])
        except ValueError:  # on several drives of Windows, which nothing holds together
            return "", whole
    return shown, [Path(os.path.relpath(file, base)).as_posix() for file in whole]


MOST_DRAWN = 40_000_000
"""Pixels of a drawn picture; of a larger image every other row and column is left out, or more."""


def _drawable(image: Tensor, found: Detections) -> tuple[Tensor, Detections]:
    """The image and its detections at a size that can be drawn without gigabytes."""
    step = math.ceil(math.sqrt(image.shape[1] * image.shape[2] / MOST_DRAWN))
    if step <= 1:
        return image, found
    return image[:, ::step, ::step], replace(found, boxes=found.boxes / step)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror}); choose another output folder"
        ) from error


class _PictureFolder:
    """Writes drawn pictures under names that are free: neither taken in this run nor an input image."""

    def __init__(self, folder: Path, inputs: Sequence[Path]) -> None:
        self.folder = folder
        self.written: list[Path] = []
        _make(folder)
        sweep(folder)
        # folded: file systems of macOS and Windows do not tell a.jpg from A.JPG
        self._taken = {str(path.resolve()).casefold() for path in inputs}
        self._resolved = folder.resolve()

    def write(self, prediction: Prediction) -> None:
        buffer = io.BytesIO()
        image, found = _drawable(prediction.image, prediction.detections)
        draw(displayable(image), found).save(buffer, format="JPEG", quality=90)
        file = self.folder / self._free_name(prediction.path.stem)
        write_whole(file, [buffer.getvalue()], swept=True)
        self.written.append(file)

    def _free_name(self, stem: str) -> str:
        name, count = f"{stem}.jpg", 1
        while (key := str(self._resolved / name).casefold()) in self._taken:
            count += 1
            name = f"{stem}-{count}.jpg"
        self._taken.add(key)
        return name
