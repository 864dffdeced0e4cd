"""``masu anchors``."""

from __future__ import annotations

from pathlib import Path

import click

from masu.cli.data import training_part
from masu.cli.notes import note, print_faults
from masu.cli.values import positive
from masu.json_text import to_json


@click.command(short_help="How well anchors cover the objects, and better ones.")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--model", "architecture", help="Architecture, see `masu models`. Default: the small one.")
@click.option("--split", help="Split to look at. Default: train, else trainval, where DATA has them.")
@click.option("--image-size", type=int, help="Shorter side that the network sees. Default: the model's.")
@click.option("--format", "form", help="Format of DATA. Default: found by looking.")
@click.option("--images", type=click.Path(path_type=Path), help="Another folder that holds the images.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page with pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON object.")
def anchors(
    data: Path,
    architecture: str | None,
    split: str | None,
    image_size: int | None,
    form: str | None,
    images: Path | None,
    page: Path | None,
    as_json: bool,
) -> int:
    """How well a model's anchors cover the objects of DATA, and which anchors would cover them better.

    At the scale and on the grid that the network sees. `masu train --anchors auto` uses the fitted ones.
    """
    from masu.data.formats import read_annotations
    from masu.detectors.zoo import DEFAULT
    from masu.evaluation.anchors import anchor_report, write_page
    from masu.terminal import print_anchors

    dataset = training_part(read_annotations(data, form, images), split, data)
    print_faults(dataset)
    size = None if image_size is None else positive(image_size, "--image-size")
    report = anchor_report(dataset, architecture or DEFAULT, size)
    if as_json:
        click.echo(to_json(report.as_dict()))
    else:
        print_anchors(report)
    if page is not None:
        write_page(report, page)
        note(f"open {page}")
    return 0
