"""``masu detect`` of films."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from masu.cli.exit_codes import BAD_INPUT, DONE, LEFT_OUT
from masu.cli.notes import detail, note, print_error, working
from masu.cli.values import refuse_idle, refuse_margins, said_of_thresholds
from masu.errors import InputError, bad_input, counted, listed

if TYPE_CHECKING:
    from masu.verbs.film import FilmReport


@dataclass(frozen=True)
class Wanted:
    """What was said of the detections.

    Attributes:
        threshold: smallest score; None for the model's own.
        classes: only these; empty for all.
        iou: of the suppression; None for the model's.
        max_detections: of a frame; None for the model's.
        image_size: of the network's input; None for the model's.
        tta: look at each frame mirrored, too.
        margins: enlarge boxes.
        track: follow objects.
        every: n of every n-th frame.
        batch_size: frames at once.
        pictures: draw a film.
    """

    threshold: float | None
    classes: tuple[str, ...]
    iou: float | None
    max_detections: int | None
    image_size: int | None
    tta: bool
    margins: bool
    track: bool
    every: int
    batch_size: int
    pictures: bool


def all_films(sources: Sequence[str]) -> bool:
    """Whether there is nothing but films, cameras and streams."""
    from masu.films.source import is_film

    return all(is_film(source) for source in sources)


def detect_films(
    model: Path,
    words: Sequence[str],
    wanted: Wanted,
    to: str | None,
    out: str | None,
    *,
    trust_code: bool,
    device: str,
) -> int:
    """Find objects in each film; one that cannot be read is told, and the others go on.

    Raises:
        InputError: for options that do not fit, or where no film can be read.
    """
    from masu.verbs.film import check_film_format

    to = to or "jsonl"
    check_film_format(to, alone=out is None)
    if wanted.margins:
        for name in ("--threshold", "--iou", "--max-detections"):
            refuse_idle(name, "with --margins, which were measured with the model's own", "one of them")
    if out is None:
        refuse_idle("--no-pictures", "without --out, where the drawn film would be", "both or neither")
    elif "://" in out:
        raise bad_input("--out", out, "a folder on this computer", "copy the results afterwards")
    from masu.detectors.sizing import with_image_size
    from masu.detectors.tta import with_tta
    from masu.evaluation.choice import OnlyClasses, classes_of, set_suppression
    from masu.evaluation.predictions import AnyDetector
    from masu.exports.exported import open_detector
    from masu.films.source import sources_of
    from masu.verbs.film import run_film

    with working("opening the model"):
        opened = open_detector(model, trust_code=trust_code, device=device)
    if wanted.image_size is not None:
        opened = with_image_size(opened, wanted.image_size)
    chosen = classes_of(wanted.classes, opened.names)
    set_suppression(opened, wanted.iou, None if chosen else wanted.max_detections)
    detail(f"{model}: {counted(len(opened.names), 'class', 'classes')} ({listed(opened.names, 8)})")
    looking = with_tta(opened) if wanted.tta else opened
    if wanted.threshold is None and opened.thresholds:
        note(said_of_thresholds(opened.thresholds, looking.otherwise))
    if wanted.margins and opened.margins:
        refuse_margins(looking.otherwise)
    detector: AnyDetector = OnlyClasses(looking, chosen, wanted.max_detections) if chosen else looking
    target: str | TextIO = sys.stdout if out is None else out
    faults: list[str] = []
    taken: set[str] = set()
    read = 0
    sources = sources_of(words)
    for source in sources:
        try:
            with working(f"detecting in {source.name}") as progress:
                report = run_film(
                    detector,
                    source,
                    target,
                    to=to,
                    every=wanted.every,
                    threshold=opened.thresholds or None if wanted.threshold is None else wanted.threshold,
                    track=wanted.track,
                    pictures=wanted.pictures,
                    margins=wanted.margins,
                    batch_size=wanted.batch_size,
                    progress=progress,
                    taken=taken,
                )
        except InputError as error:
            if len(sources) == 1:
                raise
            faults.append(str(error))
            continue
        read += 1
        faults += report.faults
        _tell(source.name, report)
    for fault in faults:
        print_error(f"masu: error: {fault}")
    return BAD_INPUT if not read else LEFT_OUT if faults else DONE


def _tell(name: str, report: FilmReport) -> None:
    until = "" if report.seconds is None else f" of {report.seconds:.1f} s"
    followed = "" if report.tracks is None else f" of {counted(report.tracks, 'object')}"
    boxes = counted(report.detections, "box", "boxes")
    where = "" if report.file is None else f"; rows in {report.file}"
    drawn = "" if report.drawn is None else f", drawn in {report.drawn}"
    note(f"{name}: {boxes}{followed} in {counted(report.frames, 'frame')}{until}{where}{drawn}")
