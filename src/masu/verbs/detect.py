"""Detect: run a detector over image files and write what it found as JSON, CSV or COCO."""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from masu import __version__
from masu.atomic import sweep, write_whole
from masu.data.pixels.georeference import Georeference, georeference
from masu.data.pixels.images import displayable
from masu.data.pixels.pictures import find_images, passed_over
from masu.data.pixels.unread import animated
from masu.data.pixels.windows import Picture
from masu.detectors.margins import Margins, check_can_enlarge, enlarged
from masu.drawing import draw
from masu.errors import InputError, bad_input
from masu.evaluation.predictions import AnyDetector, predictions
from masu.geojson import feature_collection
from masu.ranges import BATCH_SIZE
from masu.records import Detections
from masu.results import Record, csv_text, json_text, record
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold
from masu.verbs.evaluate import refuse_path
from masu.verbs.gallery import PAGE, Gallery, is_gallery, lowest

FORMATS = ("json", "csv", "coco", "geojson")
"""Result formats that :func:`detect` writes."""

_FILE_NAMES = {
    "json": "detections.json",
    "csv": "detections.csv",
    "coco": "detections.coco.json",
    "geojson": "detections.geojson",
}


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
        page: the gallery of them, ``index.html``; None where no pictures were drawn.
        faults: one line for each image that could not be read or drawn.
        passed_over: films and pictures in the folders of a kind that masu does not read, and those that an
            earlier run drew into ``out``.
        animated: animated pictures, of which the first frame was taken.
    """

    images: int
    detections: int
    seconds_per_image: float
    text: str
    file: Path | None
    pictures: tuple[Path, ...]
    page: Path | None
    faults: tuple[str, ...]
    passed_over: tuple[Path, ...]
    animated: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them; paths are strings."""
        return asdict(self) | {
            "file": None if self.file is None else str(self.file),
            "pictures": [str(picture) for picture in self.pictures],
            "page": None if self.page is None else str(self.page),
            "faults": list(self.faults),
            "passed_over": [str(path) for path in self.passed_over],
            "animated": [str(path) for path in self.animated],
        }


def detect(
    detector: AnyDetector,
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    threshold: Threshold | None = None,
    to: str = "json",
    out: str | Path | None = None,
    batch_size: int = 1,
    pictures: bool = True,
    margins: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> DetectReport:
    """Find objects in image files; images that cannot be read are reported and passed over.

    Args:
        detector: any masu detector.
        sources: image files, folders of images and patterns such as ``shots/*.jpg``; one or a list.
        threshold: lowest score to report, in 0..1, one number or one per class; default: the detector's own
            ``thresholds``, 0.5 for a class without one.
        to: ``"json"`` (a list, one entry per image), ``"csv"`` (one row per detection) or ``"coco"``
            (a COCO data set that masu reads again: boxes as x y w h, category ids from 1, file names relative
            to the folder that ``info.image_folder`` names: ``.``, that of the results, where all images lie
            below it, else the deepest folder that holds them all). Boxes elsewhere are x1 y1 x2 y2; all are
            pixels of the image, rounded to 0.001. Of GeoTIFFs also ``"geojson"``: polygons of longitude and
            latitude (RFC 7946), with the boxes beside them.
        out: folder for ``detections.json``, ``.csv``, ``.coco.json`` or ``.geojson``, for
            ``pictures/NAME.jpg``, the images with boxes, and for ``index.html``, a gallery whose threshold
            can be moved, with small pictures in ``small``. The results so far are there while it runs, too:
            they are written anew every ten seconds, or more rarely where that takes longer. An input image is
            never overwritten: a name in use gets ``-2``, ``-3``, …. Default: write nothing, return the text.
        batch_size: images per prediction.
        pictures: draw pictures into ``out``, with their gallery.
        margins: enlarge each box by the margin of its class, see
            :meth:`masu.detectors.predict.Predictor.predict`.
        progress: called with (images done, images in total).

    Returns:
        The text of the results or the files written, and what could not be read.

    Raises:
        InputError: for an unknown format, a threshold or batch size out of range, an output folder that
            cannot be written, margins that the model does not have, no image among the sources or none that
            can be read, and with ``"geojson"`` for an image that does not say where on the Earth it lies.
    """
    refuse_path(detector, "detect")
    check_format(to)
    if threshold is None:
        threshold = getattr(detector, "thresholds", None) or DEFAULT_THRESHOLD
    check_threshold(threshold, detector.names)
    BATCH_SIZE.check("batch_size", batch_size)
    own_margins: Margins = getattr(detector, "margins", {}) if margins else {}
    if margins:
        check_can_enlarge(own_margins, getattr(detector, "otherwise", ""))
    sources = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    folder = None if out is None else Path(out)
    paths, drawn = _without_drawn(find_images(sources), sources, folder)
    places = {str(path): georeference(path) for path in paths} if to == "geojson" else {}
    if folder is not None:
        _make(folder)
        if pictures:
            _refuse_page(folder / PAGE)
    drawing = _PictureFolder(folder, paths) if folder is not None and pictures else None
    gallery = None
    least = threshold
    if drawing is not None:
        gallery = Gallery(drawing.folder, detector.names, threshold)
        gallery.write()  # at once: it says whose the pictures beside it are
        if getattr(detector, "most", None) is None:  # else weak boxes might take the places of wanted ones
            least = lowest(threshold)
    render = partial(_render, names=detector.names, to=to, places=places)
    results = None if folder is None else _ResultsFile(folder, to, render)
    faults: list[str] = []
    records: list[Record] = []
    seconds = 0.0
    stream = predictions(detector, paths, faults, threshold=least, batch_size=batch_size, progress=progress)
    try:
        for prediction in stream:
            seconds += prediction.seconds
            height, width = prediction.image.shape[-2:]
            if margins:
                grown = enlarged(prediction.detections, own_margins, height, width)
                prediction = replace(prediction, detections=grown)
            every = prediction.detections
            prediction = replace(prediction, detections=every.above(threshold))
            records.append(record(prediction.detections, str(prediction.path), (height, width)))
            if drawing is not None and gallery is not None:
                try:
                    shown, found = _drawable(prediction.image, prediction.detections)
                    name = drawing.write(prediction.path, shown, found)
                    gallery.add(prediction.path, shown, (height, width), every, name)
                except (OSError, ValueError, MemoryError) as error:
                    why = str(error) or "no memory"
                    faults.append(f"{prediction.path}: no picture written: {why}")
            if results is not None:
                results.keep(records)
    except BaseException:  # stopped by whatever it may be: what was found so far is not lost
        if results is not None and records:
            results.write(records)
            if gallery is not None:
                gallery.write()
        raise
    if not records:
        raise _none_readable(paths, faults)

    if results is not None:
        results.write(records)
    return DetectReport(
        images=len(records),
        detections=sum(len(one["detections"]) for one in records),
        seconds_per_image=seconds / len(records),
        text="" if results is not None else render(records, folder=Path()),
        file=None if results is None else results.file,
        pictures=() if drawing is None else tuple(drawing.written),
        page=None if gallery is None else gallery.write(),
        faults=tuple(faults),
        passed_over=(*passed_over(sources), *drawn),
        animated=tuple(animated(paths)),
    )


OFTEN = 10.0
"""Least seconds between two writings of the results so far."""
SHARE_OF_TIME = 0.02
"""Most of the time that they take."""


class _ResultsFile:
    """The results so far, written whole again and again, so that a kill loses little."""

    def __init__(self, folder: Path, to: str, render: Callable[..., str]) -> None:
        self.file = folder / _FILE_NAMES[to]
        self._render = partial(render, folder=folder)
        self._due = time.monotonic() + OFTEN

    def write(self, records: list[Record]) -> None:
        write_whole(self.file, [self._render(records).encode()])

    def keep(self, records: list[Record]) -> None:
        """:meth:`write`, where the last time is long enough ago."""
        start = time.monotonic()
        if start < self._due:
            return
        self.write(records)
        end = time.monotonic()
        self._due = end + max(OFTEN, (end - start) / SHARE_OF_TIME)


def _without_drawn(
    paths: Sequence[Path], sources: Sequence[str | os.PathLike[str]], folder: Path | None
) -> tuple[list[Path], list[Path]]:
    """The paths without pictures that an earlier run put into the results' folder, and these.

    Where a source names that folder, or something in it, they are wanted.
    """
    if folder is None or not is_gallery(folder / PAGE):
        return list(paths), []
    named = [Path(source).resolve() for source in sources]
    drawn = {(folder / name).resolve() for name in ("pictures", "small")}
    drawn = {place for place in drawn if not any(place in (one, *one.parents) for one in named)}
    own = {path: None for path in paths if drawn & set(path.resolve().parents)}
    return [path for path in paths if path not in own], list(own)


def _refuse_page(page: Path) -> None:
    if os.path.lexists(page) and not is_gallery(page):
        raise bad_input(
            page, "a page of somebody else", "none, or one of masu detect", "choose another --out"
        )


def check_format(to: str) -> None:
    """Refuse a format that :func:`detect` does not write.

    Raises:
        InputError: for any other.
    """
    if to not in FORMATS:
        wanted = f"{', '.join(FORMATS)} or, with 'masu detect' and masu.detect_bulk, parquet"
        raise bad_input("--to", f"{to!r}", f"one of {wanted}", code="unknown-name")


def _none_readable(paths: Sequence[Path], faults: Sequence[str]) -> InputError:
    if not paths:
        return bad_input("images", "none", "at least one image file", code="no-images")
    found = f"none of {len(paths)} can be read; the first: {faults[0]}"
    return InputError(f"images: {found}", thing="images", found=found, code="unreadable-image")


def _render(
    records: list[Record], names: Sequence[str], to: str, places: Mapping[str, Georeference], folder: Path
) -> str:
    if to == "csv":
        return csv_text(records)
    if to == "geojson":
        return json_text(feature_collection(records, [places[one["file"]] for one in records]))
    return json_text(_coco(records, names, folder) if to == "coco" else records)


def _coco(records: list[Record], names: Sequence[str], folder: Path) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image_id, one in enumerate(records, 1):
        for found in one["detections"]:
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
    image_folder, files = _relative([one["file"] for one in records], folder)
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
MOST_DRAWN_OF_TILES = 4_000_000
"""Pixels of a drawn picture that was cut into tiles, each the mean of those that it stands for."""


def _drawable(image: Tensor | Picture, found: Detections) -> tuple[Tensor, Detections]:
    """The image and its detections at a size that can be drawn without gigabytes."""
    area = image.shape[1] * image.shape[2]
    if isinstance(image, Picture):
        small = image.reduced(math.ceil(math.sqrt(area / MOST_DRAWN_OF_TILES)))
        scale = found.boxes.new_tensor([small.across, small.down]).repeat(2)
        pixels = np.ascontiguousarray(small.pixels.transpose(2, 0, 1))
        return torch.from_numpy(pixels), replace(found, boxes=found.boxes / scale)
    step = math.ceil(math.sqrt(area / MOST_DRAWN))
    if step <= 1:
        return image, found
    return image[:, ::step, ::step], replace(found, boxes=found.boxes / step)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found, fix = f"cannot be made ({error.strerror})", "choose another output folder"
        raise InputError(
            f"{folder}: {found}; {fix}", thing=str(folder), found=found, fix=fix, code="not-written"
        ) from error


class _PictureFolder:
    """Writes drawn pictures under names that are free: neither taken in this run nor an input image."""

    def __init__(self, folder: Path, inputs: Sequence[Path]) -> None:
        self.folder = folder
        self.written: list[Path] = []
        # folded: file systems of macOS and Windows do not tell a.jpg from A.JPG
        self._taken = {str(path.resolve()).casefold() for path in inputs}
        self._resolved = []
        own = is_gallery(folder / PAGE)
        for part in (folder / "pictures", folder / "small"):
            _make(part)
            if not own:
                self._taken |= {str(file.resolve()).casefold() for file in part.iterdir()}
            sweep(part)
            self._resolved.append(part.resolve())

    def write(self, path: Path, image: Tensor, found: Detections) -> str:
        """The picture's name, which is free in ``small``, too."""
        buffer = io.BytesIO()
        draw(displayable(image), found).save(buffer, format="JPEG", quality=90)
        name = self._free_name(path.stem)
        file = self.folder / "pictures" / name
        write_whole(file, [buffer.getvalue()], swept=True)
        self.written.append(file)
        return name

    def _free_name(self, stem: str) -> str:
        name, count = f"{stem}.jpg", 1
        while self._taken & (keys := {str(part / name).casefold() for part in self._resolved}):
            count += 1
            name = f"{stem}-{count}.jpg"
        self._taken |= keys
        return name
