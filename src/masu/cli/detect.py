"""``masu detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from masu.cli.notes import note, print_error, print_result
from masu.cli.options import IMAGES_AT_ONCE
from masu.cli.values import Number, scores
from masu.errors import bad_input, counted, listed
from masu.ranges import SHARE, WORKERS


@click.command(short_help="Find objects in photographs.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True)
@click.option("--threshold", type=Number(SHARE), help="Smallest score. Default: the model's own, or 0.5.")
@click.option("--format", "form", help="json, csv, coco or parquet. Default: json; parquet with ray.")
@click.option("--out", help="Folder for results and drawn pictures; for parquet also s3://bucket/folder.")
@IMAGES_AT_ONCE
@click.option(
    "--engine", default="local", show_default=True, help="local: one process. ray: many, over Ray Data."
)
@click.option("--workers", type=Number(WORKERS), help="Processes of --engine ray. Default: one per core.")
@click.option("--trust-code", is_flag=True, help="Open a .pt2 too, which can run any code on this computer.")
def detect(
    model: Path,
    sources: tuple[str, ...],
    threshold: float | None,
    form: str | None,
    out: str | None,
    batch_size: int,
    engine: Any,
    workers: int | None,
    trust_code: bool,
) -> int:
    """Find objects in SOURCES: image files, folders, globs. Without --out the result goes to stdout.

    A model has thresholds of its own, per class, after `masu evaluate --store-thresholds`.
    --format parquet is for very many images: it goes on where it was stopped, and SOURCES may also be URLs
    such as s3://bucket/folder and lists of paths (.txt).
    """
    if form == "parquet" or engine != "local":
        return _detect_bulk(model, sources, threshold, form, out, batch_size, engine, workers, trust_code)
    if workers is not None:
        raise bad_input("--workers", "with --engine local", "--engine ray", "leave it out")
    from masu.exports.exported import open_detector
    from masu.terminal import counter
    from masu.verbs.detect import check_format
    from masu.verbs.detect import detect as run

    form = form or "json"
    check_format(form)
    detector = open_detector(model, trust_code=trust_code)
    if threshold is None and detector.thresholds:
        note(f"the model's thresholds: {scores(detector.thresholds)}")
    with counter("detecting") as progress:
        report = run(
            detector,
            sources,
            threshold=threshold,
            format=form,
            out=out,
            batch_size=batch_size,
            progress=progress,
        )
    if out is None:
        print_result(report.text, nl=False)
    else:
        note(
            f"{counted(report.detections, 'object')} in {counted(report.images, 'image')}; "
            f"results in {report.file}, "
            f"pictures in {Path(out) / 'pictures'}"
        )
    if others := report.passed_over:
        were = "was" if len(others) == 1 else "were"
        names = listed((path.name for path in others), 3)
        note(f"{counted(len(others), 'file')} {were} passed over: {names}")
    for fault in report.faults:
        print_error(f"masu: error: {fault}")
    return 2 if report.faults else 0


def _detect_bulk(
    model: Path,
    sources: tuple[str, ...],
    threshold: float | None,
    form: str | None,
    out: str | None,
    batch_size: int,
    engine: Any,
    workers: int | None,
    trust_code: bool,
) -> int:
    from masu.bulk.job import detect_bulk
    from masu.terminal import counter

    if form not in (None, "parquet"):
        raise bad_input("--format", f"{form} with --engine {engine}", "parquet", "leave it out")
    if out is None:
        raise bad_input("--out", "none", "a folder for the Parquet files, or s3://bucket/folder")
    with counter("detecting") as progress:
        report = detect_bulk(
            model,
            sources,
            out,
            threshold=threshold,
            engine=engine,
            trust_code=trust_code,
            workers=workers,
            batch_size=batch_size,
            progress=progress,
        )
    resumed = f", {report.done_before} of them before" if report.done_before else ""
    note(
        f"{counted(report.images, 'image')} in {counted(report.parts, 'part')} in {report.out}{resumed}; now "
        f"{counted(report.detections, 'object')} found, "
        f"{counted(report.errors, 'image')} with an error in their row"
    )
    return 0
