"""A LiteRT file (``.tflite``) of ``masu export``: its parts in the interpreter, and what it says."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from masu.errors import bad_input
from masu.partition import Partition

Array = np.ndarray[Any, Any]

DESCRIPTION_FILE, PARTITION_FILE, LABELS_FILE = "masu.json", "masu-cut.json", "labels.txt"
"""What the archive behind the model holds."""

LONGEST_TEXT = 1 << 26
"""Bytes of such a file."""


def signature_of(part: int) -> str:
    """The signature of a part.

    Args:
        part: its number, from 0.

    Returns:
        Its name.
    """
    return f"part_{part}"


class Litert:
    """The parts of a file, one call after the other: an interpreter has one set of tensors.

    Args:
        path: the file.
        threads: of the interpreter; default: its own choice.

    Raises:
        InputError: a file that ``masu export`` did not write, or no package that runs it.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise bad_input(
                "litert",
                "no such package",
                "the package ai-edge-litert",
                "pip install ai-edge-litert",
                code="missing-package",
            ) from None
        self.description, self.partition = _said(path)
        try:
            interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
            given = interpreter.get_signature_list()
            names = [signature_of(part) for part in range(len(self.partition.steps))]
            self._runners = [interpreter.get_signature_runner(name) for name in names]
        except (ValueError, RuntimeError) as error:
            raise bad_input(
                path, f"a file that LiteRT cannot open ({error})", "a LiteRT model", "export it again"
            ) from None
        self._inputs = [sorted(given[name]["inputs"]) for name in names]
        self._turn = threading.Lock()

    def run(self, part: int, inputs: Sequence[Array]) -> list[Array]:
        """Outputs of a part, in the order of the network's.

        Args:
            part: its number.
            inputs: in order.

        Returns:
            As many arrays as the part has outputs.
        """
        with self._turn:
            answer = self._runners[part](**dict(zip(self._inputs[part], inputs, strict=True)))
        return [np.array(answer[name]) for name in sorted(answer)]


def _said(path: Path) -> tuple[str, Partition]:
    try:
        with zipfile.ZipFile(path) as archive:
            texts = []
            for name in (DESCRIPTION_FILE, PARTITION_FILE):
                if archive.getinfo(name).file_size > LONGEST_TEXT:
                    raise ValueError(f"{name} of {archive.getinfo(name).file_size} bytes")
                texts.append(archive.read(name).decode())
        return texts[0], Partition.from_json(texts[1])
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        raise bad_input(
            path,
            f"a LiteRT model without masu's description ({error})",
            "a file that masu export wrote",
            "make one with it",
        ) from None
