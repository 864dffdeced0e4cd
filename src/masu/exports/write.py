"""A detector's graph traced once and written as ONNX, OpenVINO IR or a program of ``torch.export``."""

from __future__ import annotations

import contextlib
import errno
import io
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

import masu
from masu.atomic import new_file, not_written
from masu.detectors.detector import Detector
from masu.detectors.model_file import NAMED
from masu.errors import bad_input
from masu.exports.graph import OUTPUTS, Graph
from masu.runtime import ENTRY, Description
from masu.seal import BLANK, CHECKSUM, seal
from masu.words import ExportTarget

SUFFIXES: dict[str, str] = {
    "onnx": ".onnx",
    "openvino": ".xml",
    "torch": ".pt2",
    "tflite": ".tflite",
    "ncnn": ".ncnn.param",
}
"""Of the file that is written; weights of OpenVINO and ncnn lie beside it as ``.bin``."""

LAST_SUFFIXES = {Path(f"model{suffix}").suffix for suffix in SUFFIXES.values()}
"""By which such a file is known."""

OPSET = 18


def describe(detector: Detector) -> Description:
    """What the file will say about itself."""
    policy = detector.input
    last = detector.stages[-1]
    assert last.limit is not None
    carries = any(getattr(detector, name) for name in NAMED)
    measured = detector.measured if carries else None
    return Description(
        names=detector.names,
        kind=detector.kind,
        architecture=type(detector).__name__,
        version=masu.__version__,
        min_size=policy.min_size,
        max_size=policy.max_size,
        channels=policy.channels,
        min_score=_least(detector, last.score_thresh),
        max_detections=last.limit,
        thresholds=dict(detector.thresholds),
        margins=dict(detector.margins),
        trained_on=dict(detector.trained_on),
        tiles=None if policy.tiles is None else asdict(policy.tiles),
        nms_thresh=detector.suppression,
        measured=None if measured in (None, detector.way) else asdict(measured),
    )


def _least(detector: Detector, score: float) -> float:
    """The smallest score that is returned where the network's own are above ``score``."""
    if detector.calibration is None:
        return score
    labels = torch.arange(len(detector.names))
    raw = torch.full((len(labels),), score, dtype=torch.float64)
    return float(detector.calibration.scores(raw, labels, detector.names).min())


def trace(detector: Detector) -> ExportedProgram:
    """The detector as a program of ``torch.export`` in which batch, height and width are free.

    Args:
        detector: one for prediction, see :class:`masu.detectors.prediction.PredictionNetwork`.

    Raises:
        InputError: a backbone whose own code takes other ways for other sizes.
    """
    graph = Graph(detector).eval()
    channels = detector.input.channels
    example = (
        torch.zeros((2, 240, 360, 3), dtype=torch.uint8)
        if channels is None
        else torch.zeros((2, channels, 240, 360))
    )
    first = 1 if channels is None else 2  # the axis of the height
    dynamic = {0: Dim("N", min=1), first: Dim.DYNAMIC, first + 1: Dim.DYNAMIC}
    try:
        with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):  # it prints half a graph
            return torch.export.export(graph, (example,), dynamic_shapes=(dynamic,), strict=False)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 its own exceptions have no common class
        said = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise bad_input(
            "export",
            f"a network that torch.export cannot follow ({said})",
            "one whose code is the same for images of every size",
            "train one with another --backbone",
        ) from None


def write(program: ExportedProgram, description: Description, to: ExportTarget, file: Path) -> None:
    """Write a traced detector to ``file``, whose suffix is that of ``SUFFIXES[to]``.

    ONNX and OpenVINO use the program up: trace another one for a second file.

    Raises:
        InputError: the packages that write this format are not installed.
        WriteError: no space or no right to write.
    """
    try:
        _write(program, description, to, file)
    except OSError as error:
        raise not_written(file, error) from None


def _write(program: ExportedProgram, description: Description, to: ExportTarget, file: Path) -> None:
    text = description.to_json()
    if to == "torch":
        for name, tensor in program.state_dict.items():
            # a view or another layout would be saved with a warning
            own: Tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
            if isinstance(tensor, nn.Parameter):  # buffers stay buffers: those of whole numbers cannot be one
                own = nn.Parameter(own, tensor.requires_grad)
            program.state_dict[name] = own
        content = io.BytesIO()  # where a disk is full, PyTorch's own writer ends the process
        torch.export.save(program, content, extra_files={f"{ENTRY}.json": text})
        new_file(file, content.getvalue())
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = BLANK.encode()
        seal(file)
        return
    onnx_file = file.with_suffix(".onnx")
    _write_onnx(program, text, onnx_file)
    if to == "onnx":
        seal(file)
        return
    _convert_to_openvino(onnx_file, text, file)
    onnx_file.unlink()
    seal(file, [file.with_suffix(".bin")])


def _write_onnx(program: ExportedProgram, text: str, file: Path) -> None:
    try:
        from masu.exports.onnx_operators import TRANSLATIONS
    except ImportError as error:
        raise bad_input(
            "export", f"no package {error.name}", "onnx and onnxscript", 'pip install "masu[export]"'
        ) from None
    _clamp_for_hardtanh(program)
    translated: Any = torch.onnx.export(
        program,
        dynamo=True,
        custom_translation_table=TRANSLATIONS,
        input_names=["images"],
        output_names=list(OUTPUTS),
        opset_version=OPSET,
        optimize=True,
        verbose=False,
    )
    translated.model.metadata_props[ENTRY] = text
    translated.model.metadata_props[CHECKSUM] = BLANK
    translated.model.producer_name, translated.model.producer_version = "masu", masu.__version__
    translated.save(file)


def _clamp_for_hardtanh(program: ExportedProgram) -> None:
    """Write ReLU6 as the clamp that it is: decomposing it takes a quarter of an export's time."""
    for node in program.graph.nodes:
        if node.target in (torch.ops.aten.hardtanh.default, torch.ops.aten.hardtanh_.default):
            node.target = torch.ops.aten.clamp.default


def _convert_to_openvino(onnx_file: Path, text: str, file: Path) -> None:
    try:
        import openvino
    except ImportError:
        raise bad_input("export", "no package openvino", "openvino", 'pip install "masu[openvino]"') from None
    model = openvino.convert_model(onnx_file)
    model.set_rt_info(text, [ENTRY])
    model.set_rt_info(BLANK, [CHECKSUM])
    try:
        openvino.save_model(model, file, compress_to_fp16=False)
    except RuntimeError as error:
        raise OSError(errno.EIO, f"OpenVINO could not write it: {error}") from None
