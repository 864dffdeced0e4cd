"""``masu explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, print_faults, working
from masu.cli.options import EVALUATED_SPLIT, IMAGES, MODEL, form_of, json_of, tiles
from masu.cli.schema import print_json
from masu.cli.values import Number, Page, refuse_idle
from masu.errors import counted
from masu.ranges import PHOTOGRAPHS


def _is_no_folder(value: str) -> bool:
    return value.isdecimal() and not Path(value).is_dir()


@verb(short_help="A page that follows boxes through every stage.")
@MODEL
@click.argument("source", metavar="IMAGE|DATA", type=click.Path(path_type=Path))
@option("--out", type=Page(), help="The page. Default: report.html, in the folder of a run explain.html.")
@EVALUATED_SPLIT
@option(
    "--worst",
    old="--images",
    old_of=_is_no_folder,
    type=Number(PHOTOGRAPHS),
    default=4,
    show_default=True,
    help="Images on the page: those of DATA that lost most objects.",
)
@tiles
@option("--saliency", is_flag=True, help="Show which pixels the best 20 boxes of an image rest on.")
@form_of("DATA")
@IMAGES
@json_of("what was written")
def explain(
    model: Path,
    source: Path,
    out: Path | None,
    split: str | None,
    worst: int,
    tiles: int | None,
    overlap: float | None,
    saliency: bool,
    form: str | None,
    images: Path | None,
    as_json: bool,
) -> int:
    """Write a page that follows boxes through every stage of MODEL, and lost objects to where they were lost.

    MODEL is a file such as runs/train-1/best.safetensors.
    For a photograph, or for the images of labelled DATA that lost most objects.
    """
    from masu.detectors.build import load
    from masu.detectors.tiling import as_told
    from masu.verbs.explain import explain as run
    from masu.verbs.explain import shows_one
    from masu.verbs.reading import to_measure_on

    for name in ("--split", "--worst", "--format", "--images") if shows_one(source) else ():
        refuse_idle(name, "with a single image", "labelled data for it")
    detector = as_told(load(model), tiles, overlap)
    given: Any = source
    if not shows_one(source):
        given = to_measure_on(
            source, split, form=form, images=images, channels=detector.input.channels, counter=working
        )
        print_faults(given)
    with working("explaining") as progress:
        done = run(detector, given, out, worst=worst, saliency=saliency, progress=progress)
    for fault in done.faults:
        note(fault)
    if as_json:
        print_json("explain", done.as_dict())
    lost = "" if done.lost is None else f", {done.lost} of {done.objects} objects lost"
    seen, boxes = counted(len(done.images), "image"), counted(done.detections, "box", "boxes")
    note(f"{seen}, {boxes}{lost}; open {done.page}")
    return DONE
