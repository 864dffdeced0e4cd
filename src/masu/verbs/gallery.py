"""``found/index.html``: what ``masu detect`` found, photograph by photograph, with a threshold to move."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from torch import Tensor

from masu.atomic import write_whole
from masu.data.pixels.images import displayable
from masu.drawing import as_picture, class_colour
from masu.json_text import to_json
from masu.pages.page import put_page, render
from masu.records import Detections
from masu.regular import open_regular
from masu.results import record
from masu.thresholds import DEFAULT_THRESHOLD, Threshold

LOWEST = 0.1
"""Score from which detections are on the page, so that its threshold can be lowered without the model."""

PAGE = "index.html"
"""Of a folder of results."""

SMALL_SIDE = 400
"""Pixels of the longer side of a small picture."""

LARGE_SIDE = 1600
"""The same where no browser shows the photograph itself, and the small picture is enlarged."""

_MARK = b'<meta name="generator" content="masu detect">'

_OF_BROWSERS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif"})


def is_gallery(page: Path) -> bool:
    """Whether a page is a gallery of an earlier run, so that what lies beside it is that run's, too.

    Args:
        page: an ``index.html``, which need not exist.

    Returns:
        False for any other page.
    """
    try:
        with open_regular(page) as file:
            return _MARK in file.read(4096)
    except OSError:
        return False


@dataclass
class Gallery:
    """The page of a folder of results, and the small pictures that it shows.

    Photographs stay where they are: the page names them relative to its folder. What it needs besides is in
    it, so that it opens from the disk, without a server.

    Args:
        folder: of the results.
        names: the detector's class names.
        threshold: what counts as found at first.
    """

    folder: Path
    names: Sequence[str]
    threshold: Threshold
    _photos: list[dict[str, Any]] = field(default_factory=list)

    @property
    def _least(self) -> list[float]:
        """The threshold of each class."""
        own = self.threshold
        if isinstance(own, Mapping):
            return [float(own.get(name, DEFAULT_THRESHOLD)) for name in self.names]
        return [float(own)] * len(self.names)

    def add(self, path: Path, image: Tensor, size: tuple[int, int], found: Detections, small: str) -> None:
        """Take a photograph in, and write its small picture.

        Args:
            path: of the photograph.
            image: ``(C, h, w)`` pixels of it, perhaps reduced.
            size: its height and width in full.
            found: detections down to :data:`LOWEST`, boxes in pixels of the photograph in full.
            small: name of the small picture in ``small/`` of the folder, which exists.

        Raises:
            WriteError: where the small picture cannot be written.
        """
        suited = path.suffix.lower() in _OF_BROWSERS
        picture = as_picture(displayable(image))
        side = SMALL_SIDE if suited else LARGE_SIDE
        picture.thumbnail((side, side))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=80)
        write_whole(self.folder / "small" / small, [buffer.getvalue()], swept=True)
        height, width = size
        one = record(found, str(path), size)
        of_class = self._least
        least = found.scores.new_tensor([of_class[label] for label in found.labels.tolist()])
        wanted = (found.scores >= least).tolist()  # scores on the page are rounded
        self._photos.append(
            {
                "name": path.name,
                "file": os.path.abspath(path),
                "source": _relative(path, self.folder) if suited else None,
                "small": f"small/{_address(small)}",
                "width": width,
                "height": height,
                "boxes": [
                    [
                        *(round(side, 1) for side in box["box"]),
                        round(box["score"], 3),
                        box["label"],
                        int(is_wanted),
                    ]
                    for box, is_wanted in zip(one["detections"], wanted, strict=True)
                ],
            }
        )

    def write(self) -> Path:
        """Write the page, whole or not at all.

        Returns:
            Its file.

        Raises:
            WriteError: where it cannot be written.
        """
        file = self.folder / PAGE
        root, files = _together([photo["file"] for photo in self._photos])
        photos = [photo | {"file": name} for photo, name in zip(self._photos, files, strict=True)]
        data = {
            "names": list(self.names),
            "colours": [f"rgb{class_colour(label)}" for label in range(len(self.names))],
            "thresholds": self._least,
            "lowest": lowest(self.threshold),
            "root": root,
            "photos": photos,
        }
        data["key"] = hashlib.sha256(to_json(data).encode("utf-8", "backslashreplace")).hexdigest()[:16]
        put_page(file, render("gallery.html.j2", data=data, root=root, many=len(photos)))
        return file


def lowest(threshold: Threshold) -> float:
    """The score from which the page has detections: :data:`LOWEST`, or the threshold where that is lower."""
    scores = threshold.values() if isinstance(threshold, Mapping) else [threshold]
    return min([LOWEST, *(float(score) for score in scores)])


def _relative(path: Path, folder: Path) -> str:
    """The address of a file as seen from a page in the folder."""
    try:
        return _address(Path(os.path.relpath(path, folder)).as_posix())
    except ValueError:  # on another drive of Windows
        return path.absolute().as_uri()


def _address(name: str) -> str:
    """A name in an address; of a file name that is no UTF-8 the bytes."""
    return quote(name.encode("utf-8", "surrogateescape"))


def _together(files: Sequence[str]) -> tuple[str, list[str]]:
    """The deepest folder that holds all files, and their names there."""
    try:
        root = os.path.commonpath([os.path.dirname(file) for file in files])
    except ValueError:  # on several drives
        return "", list(files)
    return root, [Path(os.path.relpath(file, root)).as_posix() for file in files]
