"""An exported file as a detector: what ``masu detect`` and ``masu evaluate`` take besides a model of masu."""

from __future__ import annotations

import copy
import logging
import os
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from masu.detectors.build import load
from masu.detectors.detector import Detector
from masu.detectors.predict import Predictor
from masu.devices import device_of
from masu.errors import bad_input
from masu.exports.write import LAST_SUFFIXES, SUFFIXES
from masu.model_path import model_file
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.runtime import (
    ENTRY,
    Description,
    Engine,
    Model,
    check_answer,
    described,
    refuse_broken,
)
from masu.tiles import Tiles


class ExportedDetector(Predictor):
    """An exported model with the ``predict`` and ``stream`` of a detector.

    Args:
        path: ``.onnx``, ``.xml``, ``.tflite``, ``.param`` or ``.pt2``.
        engine: see :class:`masu.runtime.Model`.
        threads: of the runtime; default: its own choice.
        trust_code: open a ``.pt2``, too. PyTorch runs what such a file says while it opens it, so that a
            stranger's can do anything on this computer.

    Raises:
        InputError: a file that cannot be opened, or a ``.pt2`` without ``trust_code``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        engine: Engine | None = None,
        threads: int | None = None,
        *,
        trust_code: bool = False,
    ) -> None:
        path = Path(path)
        if path.suffix == SUFFIXES["torch"]:
            if not trust_code:
                raise bad_input(
                    path,
                    "a program of torch.export, which can run any code on this computer when it is opened",
                    "a file that cannot: .safetensors, .onnx, .xml or .tflite",
                    "or add --trust-code (in Python trust_code=True) where you know who made it",
                )
            self._run, self.description = _program(path)
        else:
            model = Model(path, engine, threads)
            self._run, self.description = model.run, model.description
        described = self.description
        self.names, self.kind = described.names, described.kind
        self.thresholds, self.margins = described.thresholds, described.margins
        self.measured = described.way_measured
        self.trained_on = described.trained_on

    @property
    def input(self) -> InputPolicy:
        """How images are brought to the network."""
        count = self.description.channels or 3
        plain = (0.0,) * count, (1.0,) * count
        said = self.description
        return InputPolicy(said.min_size, said.max_size, *plain, channels=said.channels, tiles=said.tiling)

    @property
    def suppression(self) -> float:
        """See :attr:`masu.detectors.predict.Predictor.suppression`."""
        return self.description.nms_thresh

    @property
    def limit(self) -> int | None:
        """See :attr:`masu.detectors.predict.Predictor.limit`."""
        return self.description.max_detections

    @property
    def device(self) -> torch.device:
        """See :attr:`masu.detectors.predict.Predictor.device`; its runtime's is the processor."""
        return torch.device("cpu")

    def with_tiles(self, tiles: Tiles | None) -> Self:
        """See :meth:`masu.detectors.predict.Predictor.with_tiles`; both run the same graph."""
        own = copy.copy(self)
        own.description = self.description.with_tiles(tiles)
        return own

    def of_pixels(self, images: Sequence[Tensor]) -> list[Detections]:
        """See :meth:`masu.detectors.predict.Predictor.of_pixels`; images of one size run together."""
        found: dict[int, Detections] = {}
        for shape in dict.fromkeys(image.shape for image in images):
            same = [i for i, image in enumerate(images) if image.shape == shape]
            rows = self._run(self._batch([images[i] for i in same]))
            for i, *row in zip(same, *rows, strict=True):
                found[i] = self._detections(*row)
        return [found[i] for i in range(len(images))]

    def _batch(self, images: Sequence[Tensor]) -> np.ndarray[Any, Any]:
        batch = torch.stack(list(images))
        if self.description.channels is None:
            pixels = batch if batch.dtype == torch.uint8 else (batch * 255).round().to(torch.uint8)
            return pixels.permute(0, 2, 3, 1).contiguous().numpy()
        return as_floats(batch).numpy()

    def _detections(self, boxes: Any, scores: Any, labels: Any, count: Any) -> Detections:
        kept = labels[: int(count)]
        names = tuple(self.names[label] for label in kept.tolist())
        return Detections(
            torch.from_numpy(boxes[: int(count)].copy()), scores[: int(count)].copy(), kept.copy(), names
        )


def as_floats(images: Tensor) -> Tensor:
    """Images of other channels as the graph takes them: uint8 becomes 0..1."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def open_detector(
    path: str | os.PathLike[str],
    threads: int | None = None,
    *,
    trust_code: bool = False,
    device: str | torch.device = "cpu",
) -> Detector | ExportedDetector:
    """A detector from a model of masu or from an exported file, by its suffix.

    Args:
        path: the file, or a run whose best model is meant.
        threads: of the runtime; PyTorch's are set for the whole process.
        trust_code: see :class:`ExportedDetector`.
        device: of a model of masu, see :func:`masu.devices.device_of`. Exported files run on the processor.

    Returns:
        What has ``predict``, ``stream``, ``names`` and ``thresholds``.

    Raises:
        InputError: as of :func:`masu.load` and :class:`ExportedDetector`, and for an exported file on another
            device.
    """
    path = model_file(path)
    if path.suffix not in LAST_SUFFIXES:
        return load(path, device)
    if device != "auto" and device_of(device).type != "cpu":
        found = f"{device} for {path.name}, which runs on the processor"
        raise bad_input("device", found, "cpu or auto", "or take the .safetensors file it was exported from")
    return ExportedDetector(path, threads=threads, trust_code=trust_code)


def _program(path: Path) -> tuple[Any, Description]:
    import masu.ops.operators  # noqa: F401 the program calls them

    if not path.is_file():
        raise bad_input(
            path, "no such file", "a file that masu export wrote", "check the path", code="missing-file"
        )
    if not zipfile.is_zipfile(path):
        raise bad_input(
            path,
            "a file that is no program of torch.export",
            "a file that masu export wrote",
            "make one with it",
        )
    refuse_broken(path)
    extra = {f"{ENTRY}.json": ""}
    try:
        with _silent():
            program = torch.export.load(path, extra_files=extra)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 whatever the file's pickles raise
        raise bad_input(
            path,
            f"a program that cannot be read ({type(error).__name__}: {error})",
            "a file that masu export wrote",
            "make one with it",
        ) from None
    description = described(path, extra[f"{ENTRY}.json"])
    module = program.module(check_guards=False)  # they concern the layout of memory, not what is computed

    def run(images: np.ndarray[Any, Any]) -> tuple[Any, ...]:
        with torch.inference_mode():
            answer = tuple(output.numpy() for output in module(torch.from_numpy(images)))
        check_answer(path, answer, len(images), len(description.names))
        return answer

    return run, description


@contextmanager
def _silent() -> Iterator[None]:
    """PyTorch logs a traceback before it raises; what other threads do meanwhile goes on being told."""
    own = threading.get_ident()

    def told(record: logging.LogRecord) -> bool:
        return record.thread != own

    logger = logging.getLogger("torch.export")
    logger.addFilter(told)
    try:
        yield
    finally:
        logger.removeFilter(told)
