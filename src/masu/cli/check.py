"""``masu check``."""

from __future__ import annotations

from pathlib import Path

import click

from masu.cli.notes import note
from masu.cli.values import positive
from masu.errors import counted
from masu.json_text import to_json


@click.command(short_help="Find the faults of labelled images before training.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", help="coco, voc, yolo … (a wrong one lists all). Default: found by looking."
)
@click.option("--images", type=click.Path(path_type=Path), help="Another folder that holds the images.")
@click.option("--image-size", type=int, help="Shorter side that the network will see. Default: the model's.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page with pictures.")
@click.option("--fix", "fixed", type=click.Path(path_type=Path), help="Folder for a copy without faults.")
@click.option("--json", "as_json", is_flag=True, help="Print all findings as one JSON object.")
def check(
    data: Path,
    form: str | None,
    images: Path | None,
    image_size: int | None,
    page: Path | None,
    fixed: Path | None,
    as_json: bool,
) -> int:
    """Find the faults of DATA before training: damaged files, bad boxes, doubles, leaks between splits.

    Exit code 1 when there are errors, of which masu would leave something out or which deceive.
    """
    from masu.detectors.zoo import ARCHITECTURES, DEFAULT
    from masu.terminal import counter, print_findings
    from masu.verbs.check import DataCheck, write_page

    policy = ARCHITECTURES[DEFAULT]().pyramid.input
    if image_size is not None:
        policy = policy.of_size(positive(image_size, "--image-size"))
    with counter("looking at images") as progress:
        found = DataCheck(data, form, policy, progress, images)
    if as_json:
        click.echo(to_json(found.report.as_dict()))
    else:
        print_findings(found.report)
    if page is not None:
        write_page(found.report, page)
        note(f"open {page}")
    if fixed is not None:
        changes = found.write_mended(fixed)
        for change in changes[:20]:
            note(change)
        more = ", 20 shown" if len(changes) > 20 else ""
        note(f"{counted(len(changes), 'change')}{more}; the mended copy and changes.json are in {fixed}")
    return 1 if found.report.errors else 0
