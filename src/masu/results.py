"""What was found in an image as a picture, as text and as a table: the forms in which results leave masu."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from masu.atomic import write_whole
from masu.data.pixels.images import image_size, read_image
from masu.drawing import draw
from masu.errors import InputError, bad_input
from masu.json_text import to_json
from masu.records import Detections

Record = dict[str, Any]
"""One image: ``file``, ``width``, ``height`` and ``detections``, each a box, a score, a label and a name."""


def record(found: Detections, file: str | None, size: tuple[int, int] | None) -> Record:
    """What was found in one image, as plain values.

    Args:
        found: boxes in pixels of the image, rounded to 0.001; scores to 0.000001.
        file: the image's name; None where it came from pixels.
        size: its height and width; None where they are not known.
    """
    height, width = size or (None, None)
    return {
        "file": file,
        "width": width,
        "height": height,
        "detections": [
            {
                "box": [round(x, 3) for x in one.box],
                "score": round(one.score, 6),
                "label": one.label,
                "name": one.name,
            }
            for one in found
        ],
    }


def json_text(values: Any) -> str:
    """Records, or what was made of them, as JSON."""
    return _encodable(to_json(values, ensure_ascii=False, indent=1) + "\n")


def csv_text(records: Iterable[Record]) -> str:
    """A row for each object: ``file x1 y1 x2 y2 score label name``."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    quoting = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)  # readers end a row at \r, too
    writer.writerow(["file", "x1", "y1", "x2", "y2", "score", "label", "name"])
    for one in records:
        for found in one["detections"]:
            row = [one["file"], *found["box"], found["score"], found["label"], found["name"]]
            (quoting if "\r" in f"{one['file']}{found['name']}" else writer).writerow(row)
    return _encodable(buffer.getvalue())


def _encodable(text: str) -> str:
    r"""A file name that is not UTF-8 holds lone surrogates; ``\udcXX`` is what JSON writes for them."""
    return text.encode(errors="backslashreplace").decode()


def plot(found: Detections, image: Any = None) -> Image.Image:
    """See :meth:`masu.records.Detections.plot`."""
    return draw(_shown(found, image), found)


def save(found: Detections, path: Path, image: Any = None) -> Path:
    """See :meth:`masu.records.Detections.save`."""
    suffix = path.suffix.lower()
    if suffix in (".json", ".csv"):
        one = record(found, None if found.path is None else str(found.path), _size(found, image))
        content = (json_text([one]) if suffix == ".json" else csv_text([one])).encode()
    else:
        content = _encoded(path, suffix, found, image)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, [content])
    return path


def _encoded(path: Path, suffix: str, found: Detections, image: Any) -> bytes:
    form = Image.registered_extensions().get(suffix)
    if form not in Image.SAVE:
        wanted = ".jpg, .png or another picture that Pillow writes, .json or .csv"
        raise bad_input(path, f"the suffix {path.suffix!r}", wanted, "rename it")
    buffer = io.BytesIO()
    plot(found, image).save(buffer, form, **({"quality": 90} if form == "JPEG" else {}))
    return buffer.getvalue()


def _shown(found: Detections, image: Any) -> Any:
    """The picture to draw on: what is given, else the file that the detections came from."""
    if image is not None:
        return image
    if found.path is None:
        raise bad_input("plot", "no image", "the one that predict was given", "write plot(image)")
    return found.path


def _size(found: Detections, image: Any) -> tuple[int, int] | None:
    if image is not None:
        pixels = read_image(image)
        return pixels.shape[1], pixels.shape[2]
    if found.path is None:
        return None
    try:
        return image_size(found.path)
    except InputError:  # it has gone, or is no photograph: the boxes are still worth writing
        return None


def to_supervision(found: Detections) -> Any:
    """See :meth:`masu.records.Detections.to_supervision`."""
    try:
        import supervision
    except ImportError:
        raise _missing("supervision") from None
    return supervision.Detections(
        xyxy=found.boxes.cpu().numpy(),
        confidence=found.scores.cpu().numpy(),
        class_id=found.labels.cpu().numpy(),
        data={"class_name": np.array(found.names, dtype=str)},
    )


def to_dataframe(found: Detections) -> Any:
    """See :meth:`masu.records.Detections.to_dataframe`."""
    boxes = found.boxes.cpu().numpy()
    table: dict[str, Any] = {name: boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))}
    table |= {"score": found.scores.cpu().numpy(), "label": found.labels.cpu().numpy()}
    table["name"] = list(found.names)
    try:
        import pandas
    except ImportError:
        try:
            import polars
        except ImportError:
            raise _missing("pandas") from None
        return polars.DataFrame(table, schema_overrides={"name": polars.String})
    return pandas.DataFrame(table)


def _missing(package: str) -> InputError:
    return bad_input(
        package, "no such package", f"the package {package}", f"pip install {package}", code="missing-package"
    )
