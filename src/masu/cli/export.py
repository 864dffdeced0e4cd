"""``masu export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from masu.cli.data import evaluation_part, training_part
from masu.cli.notes import note
from masu.errors import InputError
from masu.json_text import to_json


@click.command(short_help="Write a model for ONNX Runtime, OpenVINO, torch.export.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", default="onnx", show_default=True, help="onnx, openvino (.xml, .bin) or torch (.pt2).")
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write. Default: MODEL's name, new suffix."
)
@click.option("--data", type=click.Path(path_type=Path), help="Labelled images to compare on, AP too.")
@click.option("--split", help="Split of --data. Default: test, else val, where it has splits.")
@click.option("--format", "form", help="Format of --data. Default: found by looking.")
@click.option(
    "--int8", is_flag=True, help="Compute in 8 bits (onnx), calibrated on the train split of --data."
)
@click.option(
    "--max-ap-loss", type=float, default=0.01, show_default=True, help="Largest loss of AP on --data."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as one JSON object.")
def export(
    model: Path,
    to: Any,
    out: Path | None,
    data: Path | None,
    split: str | None,
    form: str | None,
    int8: bool,
    max_ap_loss: float,
    as_json: bool,
) -> int:
    """Write MODEL as one file for ONNX Runtime, OpenVINO or torch.export, and compare its answers.

    Without --data the two are compared on made pictures. A file whose detections differ from the model's is
    refused and not kept; choices between candidates that are equal but for rounding (near-ties) are counted
    and said. With --int8 answers do differ: there AP on --data decides alone.
    """
    from masu.data.formats import read_annotations
    from masu.detectors.build import load
    from masu.export.write import SUFFIXES
    from masu.terminal import print_export
    from masu.verbs.export import export as run

    for option, value in (("--split", split), ("--format", form)):
        if value is not None and data is None:
            raise InputError(f"{option}: found no --data, wanted the labelled images that it is about")
    detector = load(model)
    dataset = calibration = None
    if int8 and data is None:
        raise InputError(
            "--int8: found no --data, wanted labelled images to calibrate on and to measure AP with"
        )
    if data is not None:
        source = read_annotations(data, form)
        dataset = evaluation_part(source, split, data, detector.input.channels)
        if int8:
            calibration = training_part(source, None, data, detector.input.channels)
    beside = model if model.exists() else Path(model.name)  # torchvision/NAME is no place
    file = out or beside.with_suffix(SUFFIXES.get(to, ""))
    done = run(detector, file, to=to, data=dataset, int8=calibration, max_ap_loss=max_ap_loss, report=note)
    if as_json:
        click.echo(to_json(done.as_dict()))
    else:
        print_export(done)
    return 0
