"""``masu export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, working
from masu.cli.options import MODEL, NETWORK_SIZE, form_of, images_of, json_of, tiles
from masu.cli.schema import print_json
from masu.cli.values import Number, Size, Word, refuse_idle
from masu.ranges import AP_LOSS, CANVAS
from masu.words import EXPORT_TARGETS


@verb(short_help="Write a model for ONNX Runtime, OpenVINO, LiteRT, ncnn.")
@MODEL
@option(
    "--to",
    type=Word(EXPORT_TARGETS),
    default="onnx",
    show_default=True,
    help="Files: openvino .xml and .bin, ncnn .ncnn.param and .ncnn.bin, torch .pt2.",
)
@option("--out", type=click.Path(path_type=Path), help="File to write. Default: MODEL's name, new suffix.")
@option("--data", type=click.Path(path_type=Path), help="Labelled images to compare on, AP too.")
@option("--split", help="Split of --data. Default: test, else val, where it has splits.")
@form_of("--data")
@images_of("--data")
@option("--int8", is_flag=True, help="Compute in 8 bits (onnx), calibrated on the train split of --data.")
@option(
    "--max-ap-loss",
    type=Number(AP_LOSS),
    default=0.01,
    show_default=True,
    help="Largest loss of AP on --data.",
)
@tiles
@NETWORK_SIZE
@option(
    "--canvas",
    type=Size(CANVAS),
    help="Size of the network's input (tflite, ncnn). Default: that of the images of --data.",
)
@json_of("what was measured")
def export(
    model: Path,
    to: Any,
    out: Path | None,
    data: Path | None,
    split: str | None,
    form: str | None,
    images: Path | None,
    int8: bool,
    max_ap_loss: float,
    tiles: int | None,
    overlap: float | None,
    image_size: int | None,
    canvas: tuple[int, int] | None,
    as_json: bool,
) -> int:
    """Write MODEL for ONNX Runtime, OpenVINO, LiteRT, ncnn or torch.export, and compare its answers.

    MODEL is a file such as runs/train-1/best.safetensors.
    Without --data the two are compared on made pictures. A file whose detections differ from the model's is
    refused and not kept; choices between candidates that are equal but for rounding (near-ties) are counted
    and said. With --int8 answers do differ: there AP on --data decides alone.
    """
    from masu.detectors.build import load
    from masu.detectors.sizing import with_image_size
    from masu.detectors.tiling import as_told
    from masu.exports.write import SUFFIXES
    from masu.terminal import print_export
    from masu.verbs.export import export as run
    from masu.verbs.export import refuse_target

    for name in ("--split", "--format", "--images", "--max-ap-loss") if data is None else ():
        refuse_idle(name, "without --data, to which it belongs", "both or neither")
    beside = model if model.exists() else Path(model.name)  # torchvision/NAME is no place
    file = out or (beside.with_suffix(SUFFIXES[to]) if beside.name else Path(f"model{SUFFIXES[to]}"))
    refuse_target(file, to, int8=int8, data=data is not None, canvas=canvas)
    with working("opening the model"):
        detector = as_told(load(model), tiles, overlap)
    if image_size is not None:
        detector = with_image_size(detector, image_size)
    done = run(
        detector,
        file,
        to=to,
        data=data,
        split=split,
        form=form,
        images=images,
        int8=int8,
        max_ap_loss=max_ap_loss,
        canvas=canvas,
        counter=working,
        report=note,
    )
    if as_json:
        print_json("export", done.as_dict())
    else:
        print_export(done)
    return DONE
