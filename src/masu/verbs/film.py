"""Detect in films: a detector over the frames of a film or a camera; rows and a drawn film as they come."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from masu.atomic import growing
from masu.errors import InputError, bad_input
from masu.evaluation.predictions import AnyDetector
from masu.films.drawn import DrawnFilm, drawn_in
from masu.films.frame import Source
from masu.films.rows import SUFFIXES, TEXTS, Rows, rows_in, rows_on
from masu.films.source import source_of
from masu.films.watching import watch_source
from masu.thresholds import Threshold
from masu.verbs.evaluate import refuse_path
from masu.words import FILM_FORMATS

_ENDS: dict[bool, tuple[type[BaseException], ...]] = {True: (KeyboardInterrupt,), False: ()}
"""What ends a live source and is no error."""


@dataclass(frozen=True)
class FilmReport:
    """What :func:`detect_film` did.

    Attributes:
        frames: number of frames that were looked at.
        seconds: when the last of them is shown; None where the source knows no time.
        detections: number of boxes in them.
        tracks: number of objects that were followed; None where none were.
        seconds_per_frame: mean time of the network.
        file: the rows; None without an output folder.
        drawn: the drawn film; None where none was wanted.
        faults: one line for what could not be read.
    """

    frames: int
    seconds: float | None
    detections: int
    tracks: int | None
    seconds_per_frame: float
    file: Path | None
    drawn: Path | None
    faults: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them; paths are strings."""
        return asdict(self) | {
            "file": None if self.file is None else str(self.file),
            "drawn": None if self.drawn is None else str(self.drawn),
            "faults": list(self.faults),
        }


def detect_film(
    detector: AnyDetector,
    source: str | os.PathLike[str],
    out: str | Path | TextIO,
    *,
    to: str = "jsonl",
    every: int = 1,
    threshold: Threshold | None = None,
    track: bool = False,
    pictures: bool = True,
    margins: bool = False,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> FilmReport:
    """Find objects in a film, a camera or an image sequence; rows and a drawn film are written as they come.

    Memory does not grow with the film. A damaged film gives what of it can be read. Where it is stopped,
    by Ctrl-C or whatever it may be, rows and film up to there are kept, and both are whole files. A camera
    or a stream has no end of its own: Ctrl-C ends it, and is no error.

    Args:
        detector: any masu detector of RGB images.
        source: as of :func:`masu.watch`.
        out: folder for the rows, ``NAME.jsonl``, ``.csv``, ``.parquet`` or ``.mot.txt``, and the drawn film,
            ``NAME.mp4``, after the film's name; ``NAME-2`` where that would be the film itself. Or an open
            text stream, such as ``sys.stdout``, that gets the rows of each frame at once; nothing is drawn.
        to: ``"jsonl"`` (a line for each frame), ``"csv"`` or ``"parquet"`` (a row for each box) or ``"mot"``
            (MOT Challenge). Boxes are x1 y1 x2 y2 in pixels of the upright frame; of ``"mot"`` x y w h.
        every: look at every n-th frame alone.
        threshold: as of :func:`masu.watch`.
        track: as of :func:`masu.watch`.
        pictures: write the drawn film, too: H.264 where FFmpeg has it, else MPEG-4; without sound.
        margins: as of :func:`masu.watch`.
        batch_size: as of :func:`masu.watch`.
        progress: called with (frames read, frames in total) where the film knows their number.

    Returns:
        What was written, and one line for what could not be read.

    Raises:
        InputError: as of :func:`masu.watch`; for an unknown format, Parquet on a stream, or a folder that
            cannot be written.
    """
    return run_film(
        detector,
        source_of(source),
        out,
        to=to,
        every=every,
        threshold=threshold,
        track=track,
        pictures=pictures,
        margins=margins,
        batch_size=batch_size,
        progress=progress,
        taken=set(),
    )


def run_film(
    detector: AnyDetector,
    source: Source,
    out: str | Path | TextIO,
    *,
    to: str,
    every: int,
    threshold: Threshold | None,
    track: bool,
    pictures: bool,
    margins: bool,
    batch_size: int,
    progress: Callable[[int, int], None] | None,
    taken: set[str],
) -> FilmReport:
    """:func:`detect_film` of one of several films.

    Args:
        detector: as there, and all but the following.
        source: the film.
        out: as there.
        to: as there.
        every: as there.
        threshold: as there.
        track: as there.
        pictures: as there.
        margins: as there.
        batch_size: as there.
        progress: as there.
        taken: names of the films before it in that folder or on that stream; receives its own.
    """
    refuse_path(detector, "detect_film")
    check_film_format(to, alone=not isinstance(out, str | Path))
    faults: list[str] = []
    seen_all = watch_source(
        detector,
        source,
        every=every,
        threshold=threshold,
        track=track,
        margins=margins,
        batch_size=batch_size,
        faults=faults,
    )
    total = source.about().frames
    file = film = None
    rows: Rows
    picture: DrawnFilm | None = None
    frames = detections = 0
    network, last = 0.0, None
    tracks = 0
    with suppress(*_ENDS[source.live]), ExitStack() as made:
        made.enter_context(closing(seen_all))  # type: ignore[type-var]
        if isinstance(out, str | Path):
            folder = Path(out)
            _make(folder)
            stem = _free(source, folder, to, taken)
            file = folder / f"{stem}{SUFFIXES[to]}"
            rows = made.enter_context(
                rows_in(made.enter_context(growing(file)), to, source.name, followed=track)
            )
            if pictures:
                film = folder / f"{stem}.mp4"
                picture = made.enter_context(drawn_in(made.enter_context(growing(film))))
        else:
            rows = rows_on(out, to, source.name, followed=track, first=not taken)
            taken.add(source.stem)
        for seen in seen_all:
            rows.add(seen)
            if picture is not None:
                picture.add(seen)
            frames += 1
            detections += len(seen.found)
            network += seen.seconds
            last = seen.frame.seconds
            tracks = max(tracks, *(number or 0 for number in seen.tracks), 0)  # numbered from 1
            if progress is not None and total is not None:
                progress(min(seen.frame.number + 1, total), total)
    return FilmReport(
        frames=frames,
        seconds=last,
        detections=detections,
        tracks=tracks if track else None,
        seconds_per_frame=network / max(frames, 1),
        file=file,
        drawn=film,
        faults=tuple(faults),
    )


def check_film_format(to: str, *, alone: bool) -> None:
    """Refuse a format that :func:`detect_film` does not write, or cannot without a folder.

    Raises:
        InputError: for either.
    """
    if to not in FILM_FORMATS:
        near = {"json": "jsonl: a line for each frame", "coco": "images on the disk have that format"}.get(
            to, ""
        )
        wanted = f"one of {', '.join(FILM_FORMATS)} for a film"
        raise bad_input("--to", f"{to!r}", wanted, near, code="unknown-name")
    if alone and to not in TEXTS:
        raise bad_input("--to", f"{to} without a folder", f"--out, or one of {', '.join(TEXTS)}")


def _free(source: Source, folder: Path, to: str, taken: set[str]) -> str:
    """A name for the results of a film that neither is the film itself nor that of an earlier one."""
    own = os.path.realpath(source.name).casefold()
    count, stem = 1, source.stem
    while stem.casefold() in taken or own in {
        os.path.realpath(folder / f"{stem}{suffix}").casefold() for suffix in (SUFFIXES[to], ".mp4")
    }:
        count += 1
        stem = f"{source.stem}-{count}"
    taken.add(stem.casefold())
    return stem


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = f"cannot be made ({error.strerror})"
        raise InputError(
            f"{folder}: {found}; choose another output folder",
            thing=str(folder),
            found=found,
            fix="choose another output folder",
            code="not-written",
        ) from error
