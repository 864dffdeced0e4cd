"""``masu anchors``."""

from __future__ import annotations

from pathlib import Path

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, print_faults, working
from masu.cli.options import ARCHITECTURE, DATA, IMAGES, NETWORK_SIZE, REPORT, form_of, json_of
from masu.cli.schema import print_json


@verb(short_help="How well anchors cover the objects, and better ones.")
@DATA
@ARCHITECTURE
@option("--split", help="Split to look at. Default: train, else trainval, where DATA has them.")
@NETWORK_SIZE
@form_of("DATA")
@IMAGES
@REPORT
@json_of("all figures")
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
    from masu.detectors.build import configuration
    from masu.detectors.zoo import DEFAULT
    from masu.evaluation.anchors import check_has_anchors, write_page
    from masu.terminal import print_anchors
    from masu.verbs.anchors import anchors as run
    from masu.verbs.reading import to_train_on

    architecture = architecture or DEFAULT
    check_has_anchors(configuration(architecture), architecture)
    dataset = to_train_on(data, split, form=form, images=images, counter=working)
    print_faults(dataset)
    with working("measuring anchors, fitting others"):
        report = run(dataset, architecture, image_size=image_size)
    if as_json:
        print_json("anchors", report.as_dict())
    else:
        print_anchors(report)
    if page is not None:
        write_page(report, page)
        note(f"open {page}")
    return DONE
