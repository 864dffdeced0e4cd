"""``masu detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from masu.cli.detect_films import Wanted, all_films, detect_films
from masu.cli.exit_codes import DONE, LEFT_OUT
from masu.cli.grammar import option, verb
from masu.cli.notes import detail, note, print_left_out, print_result, working
from masu.cli.options import (
    CLASSES,
    DEVICE,
    IMAGES_AT_ONCE,
    IOU,
    MAX_DETECTIONS,
    MODEL,
    NETWORK_SIZE,
    TRUST_CODE,
    TTA,
    tiles,
)
from masu.cli.values import Number, Word, Workers, refuse_idle, refuse_margins, said_of_thresholds, scores
from masu.errors import bad_input, counted, listed
from masu.ranges import EVERY, SHARE
from masu.words import BULK_ENGINES, DETECTION_FORMATS, FILM_FORMATS, PRECISIONS

_FORMATS = tuple(dict.fromkeys((*DETECTION_FORMATS, *FILM_FORMATS)))
_TILES = ("--tiles", "--overlap")
_OF_FILMS = tuple(name for name in FILM_FORMATS if name not in DETECTION_FORMATS)


@verb(short_help="Find objects in photographs and films.")
@MODEL
@click.argument("sources", nargs=-1, required=True)
@option("--threshold", type=Number(SHARE), help="Smallest score. Default: the model's own, or 0.5.")
@CLASSES
@IOU
@MAX_DETECTIONS
@tiles
@NETWORK_SIZE
@TTA
@option(
    "--to",
    old="--format",
    type=Word(_FORMATS),
    help="Format of the results. Default: json; jsonl of films; parquet with ray.",
)
@option("--out", help="Folder for results and drawn pictures; for parquet also s3://bucket/folder.")
@option(
    "--margins",
    is_flag=True,
    help="Enlarge boxes by the model's margins, so that they hold objects whole.",
)
@option("--no-pictures", is_flag=True, help="Draw no pictures into --out, and write no page of them.")
@option(
    "--every",
    type=Number(EVERY),
    default=1,
    show_default=True,
    help="Of a film, only every so many-th frame.",
)
@option("--track", is_flag=True, help="Number objects through a film.")
@IMAGES_AT_ONCE
@option(
    "--engine",
    type=Word(BULK_ENGINES),
    default="local",
    show_default=True,
    help="local: one process. ray: many, over Ray.",
)
@option(
    "--workers",
    type=Workers(),
    help="Processes of --engine ray; 2..8: at least 2 to begin, at most 8. Default: one per core or GPU.",
)
@option(
    "--precision",
    type=Word(PRECISIONS),
    default="fp32",
    show_default=True,
    help="Of the networks; auto: bf16 where the device has it.",
)
@DEVICE
@TRUST_CODE
def detect(
    model: Path,
    sources: tuple[str, ...],
    threshold: float | None,
    classes: tuple[str, ...],
    iou: float | None,
    max_detections: int | None,
    tiles: int | None,
    overlap: float | None,
    image_size: int | None,
    tta: bool,
    to: str | None,
    out: str | None,
    margins: bool,
    no_pictures: bool,
    every: int,
    track: bool,
    batch_size: int,
    engine: Any,
    workers: int | tuple[int, int] | None,
    precision: Any,
    device: str,
    trust_code: bool,
) -> int:
    """Find objects in SOURCES: image files, folders, globs; films, camera:0, rtsp://HOST/….

    Without --out the result goes to stdout.

    MODEL is a file such as runs/train-1/best.safetensors, or one that `masu export` wrote.
    A model has thresholds of its own, per class, after `masu evaluate --store-thresholds`.
    --to parquet is for very many images: it goes on where it was stopped, and SOURCES may also be URLs
    such as s3://bucket/folder and lists of paths (.txt).

    Films named without photographs beside them are read frame by frame; with --track, --every, --to jsonl or
    --to mot a folder of images is a film, too. Rows go to --out as they come, with a drawn film.
    """
    if workers is not None and engine == "local":
        raise bad_input("--workers", "with --engine local", "--engine ray", "leave it out")
    if track or every != 1 or to in _OF_FILMS or all_films(sources):
        for name in ("--engine", "--workers"):
            refuse_idle(name, "with a film, whose frames follow each other", "photographs")
        for name in _TILES:
            refuse_idle(name, "with a film", "a model that has tiles (masu export --tiles)")
        refuse_idle("--precision", "with a film", "photographs")
        return detect_films(
            model,
            sources,
            Wanted(
                threshold,
                classes,
                iou,
                max_detections,
                image_size,
                tta,
                margins,
                track,
                every,
                batch_size,
                not no_pictures,
            ),
            to,
            out,
            trust_code=trust_code,
            device=device,
        )
    if to == "parquet" or engine != "local":
        for name in (
            "--classes",
            "--iou",
            "--max-detections",
            *_TILES,
            "--margins",
            "--no-pictures",
            "--precision",
        ):
            refuse_idle(name, "in a job for Parquet files, which does not know it", "--to json, csv or coco")
        return _detect_bulk(
            model,
            sources,
            threshold,
            image_size,
            tta,
            to,
            out,
            batch_size,
            engine,
            workers,
            trust_code,
            device,
        )
    if margins:
        for name in ("--threshold", "--iou", "--max-detections", *_TILES):
            refuse_idle(name, "with --margins, which were measured with the model's own", "one of them")
    if out is None:
        refuse_idle("--no-pictures", "without --out, where pictures would be", "both or neither")
    from masu.data.pixels.unread import said_of_animated, said_of_unread
    from masu.detectors.sizing import with_image_size
    from masu.detectors.tiling import as_told
    from masu.detectors.tta import with_tta
    from masu.evaluation.choice import OnlyClasses, classes_of, in_precision, set_suppression
    from masu.evaluation.predictions import AnyDetector
    from masu.exports.exported import open_detector
    from masu.verbs.detect import detect as run

    with working("opening the model"):
        opened = as_told(open_detector(model, trust_code=trust_code, device=device), tiles, overlap)
    if image_size is not None:
        opened = with_image_size(opened, image_size)
    chosen = classes_of(classes, opened.names)
    set_suppression(opened, iou, None if chosen else max_detections)
    detail(f"{model}: {counted(len(opened.names), 'class', 'classes')} ({listed(opened.names, 8)})")
    computing = in_precision(opened, precision)
    looking = with_tta(computing) if tta else computing
    if threshold is None and opened.thresholds:
        note(said_of_thresholds(opened.thresholds, looking.otherwise))
    if margins and opened.margins:
        refuse_margins(looking.otherwise)
        note(f"the model's margins, as shares of a box's size: {scores(opened.margins)}")
    detector: AnyDetector = OnlyClasses(looking, chosen, max_detections) if chosen else looking
    with working("detecting") as progress:
        report = run(
            detector,
            sources,
            threshold=opened.thresholds if threshold is None else threshold,
            to=to or "json",
            out=out,
            batch_size=batch_size,
            pictures=not no_pictures,
            margins=margins,
            progress=progress,
        )
    if out is None:
        print_result(report.text, nl=False)
    else:
        drawn = "" if report.page is None else f"; open {report.page}"
        note(
            f"{counted(report.detections, 'object')} in {counted(report.images, 'image')}; "
            f"results in {report.file}{drawn}"
        )
    for said in (*said_of_unread(report.passed_over), *said_of_animated(report.animated)):
        note(said)
    print_left_out(report.faults)
    return LEFT_OUT if report.faults else DONE


def _detect_bulk(
    model: Path,
    sources: tuple[str, ...],
    threshold: float | None,
    image_size: int | None,
    tta: bool,
    to: str | None,
    out: str | None,
    batch_size: int,
    engine: Any,
    workers: int | tuple[int, int] | None,
    trust_code: bool,
    device: str,
) -> int:
    from masu.bulk.job import detect_bulk

    if to not in (None, "parquet"):
        raise bad_input("--to", f"{to} with --engine {engine}", "parquet", "leave it out")
    if out is None:
        raise bad_input("--out", "none", "a folder for the Parquet files, or s3://bucket/folder")
    with working("detecting") as progress:
        report = detect_bulk(
            model,
            sources,
            out,
            threshold=threshold,
            image_size=image_size,
            tta=tta,
            engine=engine,
            trust_code=trust_code,
            device=device,
            workers=workers,
            batch_size=batch_size,
            progress=progress,
            told=lambda thresholds, otherwise: note(said_of_thresholds(thresholds, otherwise)),
        )
    resumed = f", {report.done_before} of them before" if report.done_before else ""
    note(
        f"{counted(report.images, 'image')} in {counted(report.parts, 'part')} in {report.out}{resumed}; now "
        f"{counted(report.detections, 'object')} found, "
        f"{counted(report.errors, 'image')} with an error in their row"
    )
    if report.killers:
        note(
            f"{counted(len(report.killers), 'image')} ended the process twice, as their rows say: "
            f"{listed(report.killers)}"
        )
    return DONE
