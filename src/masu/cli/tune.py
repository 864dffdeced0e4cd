"""``masu tune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, print_faults, working
from masu.cli.options import DATA, DEVICE, IMAGES, MODEL, form_of, json_of
from masu.cli.schema import print_json
from masu.cli.values import Page, Time

if TYPE_CHECKING:
    from masu.explanation.tuning import Preference


@verb(short_help="Settings that gain AP without training, beyond chance.")
@MODEL
@DATA
@option(
    "--out",
    type=click.Path(path_type=Path),
    help="New file for the model with what is kept. Written only where something is.",
)
@option("--split", help="Split of the data. Default: val, where it has splits.")
@option(
    "--time-budget",
    type=Time(),
    default="60s",
    show_default=True,
    help="Time such as 90s, 10m, 1h, after which no further setting is tried.",
)
@option(
    "--prefer",
    type=click.Choice(["ap", "speed"]),
    default="ap",
    show_default=True,
    help="speed also keeps what is faster and loses less than 0.002 AP.",
)
@option("--store-thresholds", is_flag=True, help="Also each class's best threshold on DATA.")
@DEVICE
@form_of("DATA")
@IMAGES
@option("--report", "page", type=Page(), help="Write a page about the tries.")
@json_of("the tries")
def tune(
    model: Path,
    data: Path,
    out: Path | None,
    split: str | None,
    time_budget: float,
    prefer: Preference,
    store_thresholds: bool,
    device: str,
    form: str | None,
    images: Path | None,
    page: Path | None,
    as_json: bool,
) -> int:
    """Try other settings of MODEL on DATA, and keep those whose gain in AP is beyond chance.

    Tried are the settings at which objects are lost (suppressions, numbers of proposals and detections, score
    thresholds) and the size of the images. MODEL is a model file or a run, and stays as it is. Tune on
    validation images, not on those that are to judge the model.
    """
    from dataclasses import replace

    from masu.detectors.build import load
    from masu.terminal import print_tuned
    from masu.verbs.reading import to_calibrate_on
    from masu.verbs.tune import model_of, refuse_out
    from masu.verbs.tune import tune as run

    file = model_of(model)
    if out is not None:
        refuse_out(out, file)
    detector = load(file, device)
    channels = detector.input.channels
    dataset = to_calibrate_on(data, split, form=form, images=images, channels=channels, counter=working)
    print_faults(dataset)
    done = run(
        detector,
        dataset,
        out=out,
        time_budget=time_budget,
        prefer=prefer,
        store_thresholds=store_thresholds,
        counter=working,
    )
    done = replace(done, model=file, data=data)
    if as_json:
        print_json("tune", done.as_dict())
    else:
        print_tuned(done)
    if page is not None:
        done.write_page(page)
        note(f"open {page}")
    if done.tuning.left_out:
        left_out = ", ".join(done.tuning.left_out)
        note(f"not tried, the time did not suffice: {left_out}; give a longer --time-budget")
    if done.store_again is not None:
        dropped = ", ".join(done.tuning.dropped)
        again = f"store anew, with the options of before: {done.store_again}"
        note(f"dropped, as measured with other settings: {dropped}; {again}")
    return DONE
