"""A one-stage detector as a network of ncnn: layers in ``.ncnn.param``, a text, weights in ``.ncnn.bin``.

What :mod:`masu.ncnn_part` has to know besides are the lines behind the last layer, where ncnn reads no more.
"""

from __future__ import annotations

import copy
import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from masu.atomic import new_file, workshop
from masu.detectors.detector import Detector
from masu.errors import bad_input
from masu.exports.parts import traced
from masu.ncnn_part import DESCRIPTION_LINE, PARTITION_LINE
from masu.nets.fpn import FPN
from masu.partition import Partition
from masu.runtime import Description
from masu.seal import BLANK, seal


def refuse_stages(detector: Detector) -> None:
    """Refuse a detector of several stages, whose later ones pnnx cannot convert.

    Args:
        detector: any.

    Raises:
        InputError: naming what can be converted, and the formats that take it.
    """
    if len(detector.stages) > 1:
        raise bad_input(
            "--to",
            f"ncnn for a {type(detector).__name__}, which looks twice",
            "a detector of one stage: RetinaNet or FCOS",
            "or take --to onnx, openvino or tflite",
        )


def write_ncnn(
    description: Description,
    partition: Partition,
    parts: Sequence[tuple[nn.Module, tuple[Tensor, ...]]],
    file: Path,
) -> None:
    """Write the one part of :func:`masu.exports.parts.partitioned` to ``file`` and the ``.bin`` beside it.

    Args:
        description: what the file says about itself.
        partition: what comes after the part.
        parts: one network with an example of its inputs.
        file: to write, ``.ncnn.param``.

    Raises:
        InputError: the package that writes this format is not installed, or ncnn lacks an operator.
        OSError: no space or no right to write.
    """
    try:
        from pnnx import EXEC_PATH
    except ImportError as error:
        raise bad_input("export", f"no package {error.name}", "pnnx", 'pip install "masu[ncnn]"') from None
    ((part, example),) = parts
    part = copy.deepcopy(part)
    for module in list(part.modules()):
        if isinstance(module, FPN):
            module.subsample = nn.MaxPool2d(1, 2)  # the same cells: pnnx has no slices of every second one
    with workshop(file) as folder:
        place = folder / "part.pt"
        with warnings.catch_warnings(action="ignore"):  # PyTorch's own wish to see this way of tracing gone
            script: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
                traced(part, example).module(), example, check_trace=False
            )
            script.save(place)
        shape = ",".join(map(str, example[0].shape))
        command = [EXEC_PATH, place.name, f"inputshape=[{shape}]", "fp16=0"]
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        text, weights = place.with_suffix(".ncnn.param"), place.with_suffix(".ncnn.bin")
        if not (text.is_file() and weights.is_file()):
            raise bad_input(
                "export", "a network that pnnx cannot convert", "one that it can", "try --to onnx"
            )
        layers, content = text.read_text().rstrip("\n"), weights.read_bytes()
    for layer in layers.splitlines()[2:]:
        if "." in (kind := layer.split()[0]):
            raise bad_input("export", f"the operator {kind}, which ncnn lacks", "another --to, such as onnx")
    said = DESCRIPTION_LINE + description.to_json(), PARTITION_LINE + partition.to_json(), BLANK
    beside = file.with_suffix(".bin")
    new_file(file, "\n".join([layers, *said, ""]).encode())
    new_file(beside, content)
    seal(file, [beside])
