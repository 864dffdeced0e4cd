"""Convolutions and matrix products of an ONNX file in 8 bits, calibrated on photographs."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from masu.atomic import workshop
from masu.errors import bad_input
from masu.seal import BLANK, CHECKSUM, seal

OPERATORS = ("Conv", "Gemm", "MatMul")

SPARED = (0, 8, 16)
"""First convolutions that stay in single precision, fewest first: a network's first layers suffer most from
8 bits (of EfficientNet-Lite0 the stem and two stages lose nine tenths of what is lost) and hold few weights.
"""

MOST_IMAGES = 64
"""Photographs that the ranges of activations are measured on."""

Array = np.ndarray[Any, Any]


def quantize(file: Path, images: Sequence[Array], out: Path, spared: int) -> None:
    """Write ``file`` with weights and activations of convolutions and matrix products in 8 bits.

    Static: the ranges of activations are measured on the images; weights have a range per output channel.
    Everything else, boxes and suppression too, stays in single precision (Jacob et al. 2018).

    Args:
        file: ONNX file of masu.
        images: inputs of the graph, each ``(1, H, W, 3)`` uint8 (or ``(1, C, H, W)`` float32).
        out: where to write.
        spared: first convolutions that stay as they are.

    Raises:
        InputError: ONNX Runtime is not installed.
    """
    try:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError:
        raise bad_input("--int8", "no package onnxruntime", "it", 'pip install "masu[export]"') from None

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Hands out the images one by one."""

        def __init__(self) -> None:
            self._images: Iterator[Array] = iter(images)

        def get_next(self) -> dict[str, Array] | None:
            image = next(self._images, None)
            return None if image is None else {"images": image}

    with _quiet(), workshop(out) as folder:
        prepared = folder / "prepared.onnx"
        quant_pre_process(file, prepared, skip_symbolic_shape=True)
        convolutions = [node.name for node in onnx.load(prepared).graph.node if node.op_type == "Conv"]
        quantization.quantize_static(
            prepared,
            out,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            nodes_to_exclude=convolutions[:spared],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        model = onnx.load(out)
        for entry in model.metadata_props:
            if entry.key == CHECKSUM:
                entry.value = BLANK
        onnx.save(model, out)
    seal(out)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what ONNX Runtime prints and logs from the caller's output; the root logger is left as it was.

    Its quantisation logs with ``logging.info``, which gives the root logger a handler where it has none.
    """
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    root.setLevel(max(level, logging.WARNING))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
        for handler in set(root.handlers).difference(handlers):
            root.removeHandler(handler)
