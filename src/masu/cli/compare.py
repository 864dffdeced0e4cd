"""``masu compare``."""

from __future__ import annotations

from pathlib import Path

import click

from masu.cli.exit_codes import DONE, FINDINGS
from masu.cli.grammar import option, verb
from masu.cli.notes import note, print_faults, working
from masu.cli.options import (
    DATA,
    DEVICE,
    EVALUATED_SPLIT,
    IMAGES,
    IMAGES_AT_ONCE,
    NETWORK_SIZE,
    TRUST_CODE,
    TTA,
    form_of,
    json_of,
)
from masu.cli.schema import print_json
from masu.cli.values import Page, said_of_thresholds


@verb(short_help="Is one model better than another? Differences with intervals.")
@click.argument("a")
@click.argument("b")
@DATA
@EVALUATED_SPLIT
@option(
    "--gate",
    "gates",
    multiple=True,
    metavar="'ap>=-0.005'",
    help="Exit with 1 unless the difference B − A fulfils this; ap.low and ap.high are the interval's ends.",
)
@NETWORK_SIZE
@TTA
@IMAGES_AT_ONCE
@DEVICE
@form_of("DATA")
@IMAGES
@option("--report", "page", type=Page(), help="Write a page with pictures.")
@json_of("all figures")
@TRUST_CODE
def compare(
    a: str,
    b: str,
    data: Path,
    split: str | None,
    gates: tuple[str, ...],
    image_size: int | None,
    tta: bool,
    batch_size: int,
    device: str,
    form: str | None,
    images: Path | None,
    page: Path | None,
    as_json: bool,
    trust_code: bool,
) -> int:
    """Whether B is better than A on DATA, with 95 % intervals.

    A and B are models, exported files, saved predictions (`masu evaluate --save-predictions`), runs, folders
    of runs, or a pattern in quotes such as 'runs/wide-*/best.safetensors'. With several runs of each, how
    much training depends on its seed is in the intervals.
    """
    from masu.evaluation.compare_page import write_page
    from masu.evaluation.gates import Gate
    from masu.terminal import print_comparison
    from masu.verbs.compare import channels_of, looks_asked, opened_side, refuse_idle_looks
    from masu.verbs.compare import compare as run
    from masu.verbs.reading import to_measure_on

    wanted = [Gate.read(text) for text in gates]
    with working("opening the models"):
        ours, theirs = (opened_side(side, device, trust_code, image_size, tta) for side in (a, b))
    asked = looks_asked(image_size, tta)
    refuse_idle_looks([*ours, *theirs], asked)
    for one in (*ours, *theirs):
        otherwise = getattr(one.detector, "otherwise", "")
        if asked and one.detector is None:
            note(f"{one.file} holds what was found before: only models look with {' and '.join(asked)}")
        elif otherwise and (thresholds := getattr(one.detector, "thresholds", {})):
            note(f"{one.file}: {said_of_thresholds(thresholds, otherwise)}")
    channels = channels_of([*ours, *theirs])
    dataset = to_measure_on(data, split, form=form, images=images, channels=channels, counter=working)
    print_faults(dataset)
    for gate in wanted:
        gate.check_names(dataset.names)
    comparison = run(ours, theirs, dataset, batch_size=batch_size, counter=working)
    for fault in comparison.faults:
        note(fault)
    where = f"{data.resolve().name}, split {dataset.split}" if dataset.split else data.resolve().name
    held = {gate: gate.holds(comparison) for gate in wanted}
    if as_json:
        said = {gate.text: holds for gate, holds in held.items()}
        print_json(
            "compare",
            {"data": str(data), "split": dataset.split} | comparison.as_dict() | {"gates": said},
        )
    else:
        print_comparison(comparison, where)
    if page is not None:
        write_page(comparison, page, where)
        note(f"open {page}")
    for gate, holds in held.items():
        value = gate.of_comparison(comparison)
        note(f"gate {gate.text}: {value:+.4f}, which {'passes' if holds else 'fails'}")
    return DONE if all(held.values()) else FINDINGS
