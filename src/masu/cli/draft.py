"""``masu draft``."""

from __future__ import annotations

from pathlib import Path

import click

from masu.cli.exit_codes import DONE, LEFT_OUT
from masu.cli.grammar import option, verb
from masu.cli.notes import note, print_left_out, working
from masu.cli.options import (
    DEVICE,
    IMAGES_AT_ONCE,
    MODEL,
    NETWORK_SIZE,
    TRUST_CODE,
    TTA,
    json_of,
    tiles,
)
from masu.cli.schema import print_json
from masu.cli.values import Number, Word, said_of_thresholds
from masu.errors import counted
from masu.ranges import SHARE
from masu.words import DRAFT_TOOLS


@verb(short_help="Boxes of a model as drafts for Label Studio, CVAT, LabelMe, …")
@MODEL
@click.argument("photographs", metavar="PHOTOS...", nargs=-1, required=True)
@option("--to", type=Word(DRAFT_TOOLS), required=True, help="Tool or format.")
@option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder, also for the photographs. Default (labelme, xanylabeling): files beside them.",
)
@option("--threshold", type=Number(SHARE), help="Smallest score. Default: the model's own, or 0.5.")
@tiles
@NETWORK_SIZE
@TTA
@option("--labelled-too", is_flag=True, help="Also draft photographs that have labels.")
@option("--link", is_flag=True, help="Links to the photographs instead of copies.")
@IMAGES_AT_ONCE
@DEVICE
@json_of("what was drafted")
@TRUST_CODE
def draft(
    model: Path,
    photographs: tuple[str, ...],
    to: str,
    out: Path | None,
    threshold: float | None,
    tiles: int | None,
    overlap: float | None,
    image_size: int | None,
    tta: bool,
    labelled_too: bool,
    link: bool,
    batch_size: int,
    device: str,
    as_json: bool,
    trust_code: bool,
) -> int:
    """Draft the labels of PHOTOS (files, folders, globs) with MODEL, to be corrected in another tool.

    MODEL is a file such as runs/train-1/best.safetensors, its run, or one that `masu export` wrote. Labels
    that exist are never overwritten, and photographs that have some are left out. See docs/draft.md.
    """
    from masu.data.pixels.unread import said_of_unread
    from masu.detectors.sizing import with_image_size
    from masu.detectors.tiling import as_told
    from masu.detectors.tta import with_tta
    from masu.drafts.model import version_of
    from masu.exports.exported import open_detector
    from masu.verbs.draft import check_place
    from masu.verbs.draft import draft as run

    check_place(to, out, labelled_too=labelled_too, link=link)
    with working("opening the model"):
        detector = as_told(open_detector(model, trust_code=trust_code, device=device), tiles, overlap)
        version = version_of(model)
    if image_size is not None:
        detector = with_image_size(detector, image_size)
    looking = with_tta(detector) if tta else detector
    if threshold is None and detector.thresholds:
        note(said_of_thresholds(detector.thresholds, looking.otherwise))
    with working("drafting") as progress:
        done = run(
            looking,
            photographs,
            to,
            out,
            threshold=threshold,
            version=version,
            labelled_too=labelled_too,
            link=link,
            batch_size=batch_size,
            progress=progress,
        )
    for sentence in done.lost:
        note(sentence)
    for said in said_of_unread(done.passed_over):
        note(said)
    if as_json:
        print_json("draft", done.as_dict())
    have = "has" if done.labelled == 1 else "have"
    left = f"; {done.labelled} left out that {have} labels" if done.labelled else ""
    where = "beside the photographs" if done.out is None else f"in {done.out}"
    note(
        f"{counted(done.boxes, 'box', 'boxes')} in {counted(done.images, 'photograph')}, "
        f"{done.empty} without any{left}; drafts {where}"
    )
    print_left_out(done.faults)
    return LEFT_OUT if done.faults else DONE
