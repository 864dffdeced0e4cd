"""An ncnn network (``.ncnn.param`` beside ``.ncnn.bin``) of ``masu export``: one part, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from masu.errors import bad_input
from masu.partition import Partition

Array = np.ndarray[Any, Any]

DESCRIPTION_LINE, PARTITION_LINE = "masu ", "masu-cut "
"""How the lines behind the layers begin."""


class NcnnPart:
    """The one part of a network; any number of threads may run them.

    Args:
        path: the ``.param``.
        threads: of ncnn; default: its own choice.

    Raises:
        InputError: a file that ``masu export`` did not write, or no package that runs it.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            import ncnn
        except ImportError:
            raise bad_input(
                "ncnn", "no such package", "the package ncnn", "pip install ncnn", code="missing-package"
            ) from None
        self.description, self.partition = _said(path)
        self._matrix, self._net = ncnn.Mat, ncnn.Net()
        options = self._net.opt
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = False
        if threads is not None:
            options.num_threads = threads
        failed = self._net.load_param(str(path)) or self._net.load_model(str(path.with_suffix(".bin")))
        if failed:
            raise bad_input(path, "a file that ncnn cannot open", "a network of ncnn", "export it again")

    def run(self, part: int, inputs: Sequence[Array]) -> list[Array]:
        """Ranking and boxes of the network.

        Args:
            part: not looked at; there is one.
            inputs: the pixels ``(1, h, w, C)``.

        Returns:
            ``(1, R, K)`` and ``(1, R, 1, 4)``.
        """
        extractor = self._net.create_extractor()
        pixels = np.ascontiguousarray(inputs[0][0])  # a matrix of ncnn only points at it
        extractor.input("in0", self._matrix(pixels))
        answer = []
        for name in ("out0", "out1"):
            failed, matrix = extractor.extract(name)
            if failed:
                raise RuntimeError(f"ncnn: no output {name}")
            answer.append(np.array(matrix.numpy())[None])
        return answer


def _said(path: Path) -> tuple[str, Partition]:
    try:
        lines = path.read_text().splitlines()
        found = [
            next(line.removeprefix(start) for line in lines if line.startswith(start))
            for start in (DESCRIPTION_LINE, PARTITION_LINE)
        ]
        return found[0], Partition.from_json(found[1])
    except (StopIteration, ValueError, RecursionError) as error:
        raise bad_input(
            path,
            f"a network of ncnn without masu's description ({error})",
            "a file that masu export wrote",
            "make one with it",
        ) from None
