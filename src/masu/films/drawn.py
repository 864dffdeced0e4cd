"""A film with boxes drawn on it: MP4 in H.264 where FFmpeg has it, else MPEG-4, at the frames' times."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from masu.drawing import Mark, class_colour, draw_marks
from masu.films.frame import Array
from masu.films.moving import require_av
from masu.films.watching import Seen

TICK = Fraction(1, 60_000)
"""Seconds: 24, 25, 30, 50, 60 and 30000/1001 frames a second are whole numbers of it, and MPEG-4 holds it."""

_RATE = 25
"""Frames a second where the film knows no time."""

_CODECS = {"libx264": {"crf": "23", "preset": "veryfast"}, "mpeg4": {"qscale": "4"}}


class DrawnFilm:
    """Takes one frame after the other."""

    def __init__(self, file: BinaryIO, made: ExitStack) -> None:
        self._file, self._made = file, made
        self._container: Any = None
        self._stream: Any = None
        self._last = -1

    def add(self, seen: Seen) -> None:
        """Draw a frame and write it."""
        picture = drawn(seen)
        if self._container is None:
            self._begin(picture)
        size = (self._stream.width, self._stream.height)
        if even(picture).shape[1::-1] != size:  # the film changes its size: its first one is kept
            picture = np.asarray(Image.fromarray(picture).resize(size))
        av = require_av()
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even(picture)), format="rgb24")
        seconds = seen.frame.number / _RATE if seen.frame.seconds is None else seen.frame.seconds
        frame.pts = self._last = max(round(seconds / TICK), self._last + 1)
        frame.time_base = TICK
        self._container.mux(self._stream.encode(frame))

    def _begin(self, picture: Array) -> None:
        av = require_av()
        codec = next(name for name in _CODECS if name in av.codecs_available)
        self._container = av.open(self._file, "w", format="mp4")
        self._stream = self._container.add_stream(codec, rate=_RATE, options=_CODECS[codec])
        self._stream.height, self._stream.width = even(picture).shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self._stream.time_base = TICK
        self._made.callback(self._end)

    def _end(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


@contextmanager
def drawn_in(file: BinaryIO) -> Generator[DrawnFilm]:
    """A film in an open file, complete when this ends, however it ends."""
    with ExitStack() as made:
        yield DrawnFilm(file, made)


def drawn(seen: Seen) -> Array:
    """The frame with its boxes, ``(H, W, 3)`` uint8: class, number and score; an object keeps its colour."""
    rows = zip(seen.found, seen.tracks, strict=True)
    marks = [
        Mark(
            one.box,
            class_colour(one.label if track is None else track),
            one.name if track is None else f"{one.name} {track}",
            f"{one.score:.2f}",
        )
        for one, track in rows
    ]
    return np.asarray(draw_marks(seen.frame.image, marks))


def even(picture: Array) -> Array:
    """The picture with its last row and column once more where their number is odd: colours come in 2×2."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
