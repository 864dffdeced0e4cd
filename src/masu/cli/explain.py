"""``masu explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from masu.cli.data import evaluation_part
from masu.cli.notes import note, print_faults
from masu.cli.values import positive
from masu.json_text import to_json


@click.command(short_help="A page that follows boxes through every stage.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source", metavar="IMAGE|DATA", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="The page."
)
@click.option("--split", help="Split of DATA. Default: test, else val, where it has splits.")
@click.option("--images", type=int, default=4, show_default=True, help="Images of DATA on the page.")
@click.option("--saliency", is_flag=True, help="Show which pixels the best 20 boxes of an image rest on.")
@click.option("--format", "form", help="Format of DATA. Default: found by looking.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def explain(
    model: Path,
    source: Path,
    out: Path,
    split: str | None,
    images: int,
    saliency: bool,
    form: str | None,
    as_json: bool,
) -> int:
    """Write a page that follows boxes through every stage of MODEL, and lost objects to where they were lost.

    For a photograph, or for the images of labelled DATA that lost most objects.
    """
    from masu.data.formats import read_annotations
    from masu.data.pixels.pictures import IMAGE_SUFFIXES
    from masu.detectors.build import load
    from masu.explanation.explain import explain as run
    from masu.terminal import counter

    detector = load(model)
    given: Any = source
    if source.suffix.lower() not in IMAGE_SUFFIXES:
        given = evaluation_part(read_annotations(source, form), split, source, detector.input.channels)
        print_faults(given)
    with counter("explaining") as progress:
        most = positive(images, "--images")
        done = run(detector, given, out, most=most, saliency=saliency, progress=progress)
    for fault in done.faults:
        note(fault)
    if as_json:
        click.echo(to_json(done.as_dict()))
    lost = "" if done.lost is None else f", {done.lost} of {done.objects} objects lost"
    note(f"{len(done.images)} images, {done.detections} boxes{lost}; open {done.page}")
    return 0
