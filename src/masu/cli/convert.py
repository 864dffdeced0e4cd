"""``masu convert``."""

from __future__ import annotations

from pathlib import Path

import click

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, working
from masu.cli.options import form_of, images_of, json_of
from masu.cli.schema import print_json
from masu.cli.values import DataFormat, Number, refuse_idle
from masu.errors import counted
from masu.ranges import SEED


@verb(short_help="Write labelled images in another format.")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@option("--to", "target", type=DataFormat(written=True), required=True, help="Format to write.")
@form_of("IN")
@option("--split-by", help="Share all pictures out anew: 80/20 or 80/10/10 (train/val/test).")
@option("--seed", type=Number(SEED), default=0, show_default=True, help="Of --split-by.")
@images_of("IN")
@option("--link", is_flag=True, help="Links to the images instead of copies.")
@json_of("what was written")
def convert(
    source: Path,
    out: Path,
    target: str,
    form: str | None,
    split_by: str | None,
    seed: int,
    images: Path | None,
    link: bool,
    as_json: bool,
) -> int:
    """Write the data set IN anew in the folder OUT, in another format or with other splits."""
    from masu.verbs.convert import convert as run

    if split_by is None:
        refuse_idle("--seed", "without --split-by, to which it belongs", "both or neither")
    with working("looking at pictures") as progress:
        done = run(
            source,
            out,
            target,
            form=form,
            split_by=split_by,
            seed=seed,
            images=images,
            link=link,
            progress=progress,
        )
    for sentence in (*done.faults[:20], *done.lost):
        note(sentence)
    if len(done.faults) > 20:
        note(f"{len(done.faults)} faults in the source, 20 shown; see all with 'masu check {source}'")
    if as_json:
        print_json("convert", done.as_dict())
    parts = ", ".join(
        f"{split} {counted(images, 'image')} with {counted(done.objects[split], 'object')}"
        for split, images in done.images.items()
    )
    note(f"{done.source_format} to {done.format}: {parts}; in {out}")
    return DONE
