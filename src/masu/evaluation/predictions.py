"""Predictions: what is found in image files, a few of them in memory at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from masu.data.loading.ahead import ahead
from masu.data.pixels.images import read_seen
from masu.data.pixels.pictures import UnreadableImageError
from masu.data.pixels.windows import Picture
from masu.detectors.detector import Detector
from masu.detectors.prediction import out_of_memory, too_large
from masu.errors import InputError
from masu.ops.images import InputPolicy
from masu.ranges import BATCH_SIZE
from masu.records import Detections
from masu.thresholds import Threshold


class AnyDetector(Protocol):
    """What the verbs need of a detector."""

    @property
    def input(self) -> InputPolicy:
        """How images are brought to the network."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names; labels index them."""

    @property
    def kind(self) -> str:
        """``"detector"`` or ``"proposals"``."""

    def predict(
        self, images: Sequence[Tensor | Picture], threshold: Threshold | None = None, batch_size: int = 1
    ) -> list[Detections]:
        """Detections of each image, best score first; threshold None is the model's own low one."""


def _found(
    detector: AnyDetector, images: Sequence[Tensor | Picture], threshold: Threshold | None, batch_size: int
) -> list[Detections | InputError | None]:
    """What is found in each image; None where the memory does not suffice for one alone, or why not."""
    if not images:
        return []
    try:
        return list(detector.predict(images, threshold=threshold, batch_size=batch_size))
    except UnreadableImageError as error:  # of a picture whose parts are read while the network runs
        if len(images) == 1:
            return [error]
    except Exception as error:
        if not out_of_memory(error):
            raise
        if len(images) == 1 and batch_size == 1:
            return [None]
    return [row for image in images for row in _found(detector, [image], threshold, 1)]


@dataclass(frozen=True)
class Prediction:
    """One image and what was found in it.

    Attributes:
        index: position of the image among the paths given.
        path: the file.
        image: ``(3, H, W)`` uint8; of a model with other channels ``(C, H, W)``, also float32. Where it
            is cut into tiles, the picture of which parts are read, with the same ``shape``.
        detections: boxes in pixels of ``image``, on the CPU.
        seconds: time of the prediction, shared equally within a batch.
    """

    index: int
    path: Path
    image: Tensor | Picture
    detections: Detections
    seconds: float


def predictions(
    detector: AnyDetector,
    paths: Sequence[Path],
    faults: list[str],
    *,
    threshold: Threshold | None,
    batch_size: int,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Prediction]:
    """Read and predict image files; while the network runs, the images of the next batch are read.

    Args:
        detector: any masu detector.
        paths: image files.
        faults: receives one line for each file that cannot be read; the others go on.
        threshold: lowest score; None for the model's own low one.
        batch_size: images per prediction.
        progress: called with (files done, files in total) when a batch is finished.

    Raises:
        InputError: for a batch size out of range.
    """
    BATCH_SIZE.check("batch_size", batch_size)
    if isinstance(detector, Detector):  # its weights are looked at once, not for every image
        detector = detector.prediction_network()
    batch: list[tuple[int, Tensor | Picture]] = []
    policy = detector.input
    for index, image in enumerate(ahead((_read(path, policy) for path in paths), batch_size)):
        if isinstance(image, InputError):
            faults.append(str(image))
        else:
            batch.append((index, image))
        last = index + 1 == len(paths)
        if len(batch) < batch_size and not last:
            continue
        images = [pixels for _, pixels in batch]
        start = time.perf_counter()
        found = _found(detector, images, threshold, batch_size)
        seconds = (time.perf_counter() - start) / max(len(images), 1)
        for (position, pixels), detections in zip(batch, found, strict=True):
            if detections is None:
                faults.append(str(too_large(paths[position], pixels)))
            elif isinstance(detections, InputError):
                faults.append(str(detections))
            else:
                yield Prediction(position, paths[position], pixels, detections.to("cpu"), seconds)
        batch.clear()
        if progress is not None:
            progress(index + 1, len(paths))


def _read(path: Path, policy: InputPolicy) -> Tensor | Picture | InputError:
    """An image, or why there is none."""
    try:
        return read_seen(path, policy.channels, policy.tiles)
    except InputError as error:
        return error
