"""Exported files in ONNX Runtime and OpenVINO beside torchvision; and the table of docs/export.md.

python -m benchmarks --only onnx_resnet50 …    # rows of the benchmark
python -m benchmarks.exports                   # every architecture × runtime × (batch, size)
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import masu
from benchmarks.measure import Case, Pair
from benchmarks.networks import pretrained_like, small_default
from benchmarks.torchvision_oracle import CLASSES, photographs, reference
from masu.detectors.build import configuration
from masu.detectors.cascade_rcnn import CascadeRCNNConfig
from masu.detectors.detector import Detector
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.fcos import FCOS
from masu.detectors.retinanet import RetinaNet
from masu.detectors.torchvision_models import from_torchvision
from masu.detectors.zoo import ARCHITECTURES, make
from masu.exports.agreement import agreement_of
from masu.exports.write import SUFFIXES, describe, trace, write
from masu.runtime import Engine, Model
from masu.verbs.export import export

_FOLDER = tempfile.TemporaryDirectory()

MOBILENET = "fasterrcnn_mobilenet_v3_large_320_fpn"
RESNET = "fasterrcnn_resnet50_fpn"


def bytes_of(photos: list[Tensor]) -> list[np.ndarray[Any, Any]]:
    return [(p * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy() for p in photos]


@functools.cache
def exported(name: str) -> tuple[nn.Module, Detector, Path]:
    """torchvision's model, masu's with the same weights, and masu's ONNX file."""
    model, detector = small_default() if name == "small" else pretrained_like(name)
    file = Path(_FOLDER.name) / f"{name}.onnx"
    write(trace(detector.prediction_network().detector), describe(detector), "onnx", file)
    return model, detector, file


@functools.cache
def legacy(name: str) -> Any:
    """torchvision's model through its own ONNX export, for one image of any size."""
    import onnxruntime

    model, _, _ = exported(name)
    file = Path(_FOLDER.name) / f"{name}-legacy.onnx"
    axes = {"image": {1: "H", 2: "W"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            ([photographs()[0]],),
            file,
            dynamo=False,
            opset_version=18,
            input_names=["image"],
            dynamic_axes=axes,
        )
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def against_eager(name: str, engine: Engine) -> Pair:
    model, detector, file = exported(name)
    photo = photographs()[0]
    pixels, opened = bytes_of([photo]), Model(file, engine)

    def theirs() -> Any:
        with torch.inference_mode():
            return model([photo])

    def check(ours: Any, _: Any) -> None:
        _same(detector, detector.predict([torch.from_numpy(p).permute(2, 0, 1) for p in pixels]), ours)

    return Pair(lambda: opened.predict(pixels), theirs, check)


def against_legacy(name: str, engine: Engine) -> Pair:
    _, _, file = exported(name)
    photo = photographs()[0]
    pixels, opened, session = bytes_of([photo]), Model(file, engine), legacy(name)
    return Pair(lambda: opened.predict(pixels), lambda: session.run(None, {"image": photo.numpy()}), None)


def batch_of_eight(name: str, engine: Engine) -> Pair:
    _, _, file = exported(name)
    pixels, opened = bytes_of([photographs()[0].roll(37 * i, 2) for i in range(8)]), Model(file, engine)
    return Pair(lambda: opened.predict(pixels, batch_size=8), lambda: opened.predict(pixels), None)


def _same(detector: Detector, wanted: Any, found: Any) -> None:
    rows = [masu.Detections(f.boxes, f.scores, f.labels, f.names) for f in found]
    agreed = agreement_of(detector, wanted, rows)
    assert agreed.equal, agreed
    assert agreed.near_ties <= max(2, agreed.detections // 10), agreed


def _cases() -> list[Case]:
    eager, own = "one photograph; torchvision eager", "one photograph; torchvision's own ONNX in ONNX Runtime"
    cases = []
    for short, name, eager_target, legacy_target in (
        ("resnet50", RESNET, 2.0, 1.25),
        ("mobilenet_320", MOBILENET, 2.0, 1.4),
        ("small", "small", None, None),
    ):
        for engine, title in (("onnxruntime", "onnx"), ("openvino", "openvino")):
            cases.append(
                Case(f"{title}_{short}", eager, functools.partial(against_eager, name, engine), eager_target)
            )
            if legacy_target:
                cases.append(
                    Case(
                        f"{title}_{short}_legacy",
                        own,
                        functools.partial(against_legacy, name, engine),
                        legacy_target,
                    )
                )
    for engine, title in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        cases.append(
            Case(
                f"{title}_batch8",
                "eight photographs, small default; one at a time",
                functools.partial(batch_of_eight, "small", engine),
                1.0,
            )
        )
    return cases


CASES = _cases()


def trained_looking(name: str, size: int | None = None) -> Detector:
    """Any architecture with outputs as spread as a trained one's; ``size`` is the shorter side it sees."""
    sizes = {} if size is None else {"min_size": size, "max_size": 2 * size}
    if name == "rpn_resnet50_fpn":
        return from_torchvision(reference(RESNET, frozen=True, **sizes)).rpn.eval()
    if name.startswith("cascade"):
        return _cascaded(trained_looking(name.replace("cascade", "faster"), size))
    if "lite" not in name:
        frozen = not name.endswith("v2")
        model = reference(name.replace("faster_rcnn", "fasterrcnn"), frozen=frozen, **sizes)
        detector = from_torchvision(model).eval()
    else:
        torch.manual_seed(0)
        config = configuration(name)
        if size is not None:
            config = config.with_pyramid(replace(config.pyramid, input=config.pyramid.input.of_size(size)))
        detector = masu.build(config, [f"class {i}" for i in range(CLASSES)], "imagenet").eval()
    with torch.no_grad():
        if isinstance(detector, RetinaNet | FCOS):
            logits = detector([photographs()[0]]).logits
            detector.head.classes.output.weight.mul_(6 / (logits - logits.mean()).abs().max())
            detector.head.classes.output.bias.fill_(-3.0)
        elif "lite" in name:
            for layer in (detector.rpn.head.objectness, detector.predictor.scores):
                layer.weight.mul_(20)
    return detector


def _cascaded(faster: FasterRCNN) -> Detector:
    """The Cascade R-CNN whose every head scores as that of a Faster R-CNN does."""
    detector = make(CascadeRCNNConfig(faster.config.rpn, faster.config.rois), faster.names)
    detector.rpn.load_state_dict(faster.rpn.state_dict())
    for head in detector.heads:
        head.box_head.load_state_dict(faster.box_head.state_dict())
        head.predictor.scores.load_state_dict(faster.predictor.scores.state_dict())
    return detector.eval()


def main() -> None:
    """Export every architecture to every format; print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("docs/export.json"))
    parser.add_argument("--only", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    parser.add_argument(
        "--to", nargs="+", choices=("onnx", "openvino", "torch"), default=["onnx", "openvino", "torch"]
    )
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(arguments.json.read_text()) if arguments.json.exists() else []
    for name in arguments.only:
        detector = trained_looking(name)
        for to in arguments.to:
            if any(row["architecture"] == name and row["to"] == to for row in rows):
                continue
            with tempfile.TemporaryDirectory() as folder:
                report = export(detector, Path(folder) / f"model{SUFFIXES[to]}", to=to)
            rows.append({"architecture": name, "to": to} | report.as_dict() | {"file": None})
            arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
            print(f"{name} {to} {report.agreement} {report.seconds:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| architecture | runtime | images | size | detections | box, px | score | near-ties | PyTorch, ms "
        "| file, ms |",
        "|" + " --- |" * 10,
    ]
    runtimes = {"onnx": "ONNX Runtime", "openvino": "OpenVINO", "torch": "torch.export"}
    for row in rows:
        for check in row["checks"]:
            count, height, width = check["shape"]
            a = check["agreement"]
            cells = (
                f"`{row['architecture']}`",
                runtimes[row["to"]],
                count,
                f"{height}×{width}",
                a["detections"],
                f"{a['pixels']:.2g}",
                f"{a['score']:.1g}",
                a["near_ties"],
                f"{1000 * check['ours']:.0f}",
                f"{1000 * check['theirs']:.0f}",
            )
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
