"""What ``predict`` runs: a detector as it was at one moment, made fast, that nothing changes any more."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from masu.data.bands import read_pixels
from masu.errors import InputError
from masu.nets.conv import prepare_convs
from masu.nets.folding import copied, fold_norms
from masu.ops.images import InputPolicy, padded_size
from masu.records import Detections
from masu.thresholds import Threshold, check_threshold

if TYPE_CHECKING:
    from masu.detectors.detector import Detector

ImageSource = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
"""A file, a Pillow image, an ``(H, W, 3)`` array or a ``(3, H, W)`` tensor."""


class PredictionNetwork:
    """A detector for prediction only: normalisation folded into convolutions, Winograd weights prepared.

    It has tensors of its own, so that training goes on beside it, and is never changed: any number of threads
    may call it. It can be pickled.

    Args:
        detector: copied as it is, in ``eval()`` mode.

    Attributes:
        detector: the copy that is run; not to be trained.
        names: class names.
        kind: see :class:`masu.detectors.detector.Detector`.
        thresholds: see there.
    """

    def __init__(self, detector: Detector) -> None:
        with torch.inference_mode(False), torch.no_grad():  # normal tensors, wherever this is called from
            self._structure = _structure(detector)
            own: Detector = copied(detector, _clone).eval()
            self._tensors = _tensors(own)
            for net, inputs in own.probes():
                fold_norms(net, *inputs)
            prepare_convs(own)
        self.detector = own
        self.names, self.kind, self.thresholds = own.names, own.kind, dict(own.thresholds)

    @property
    def input(self) -> InputPolicy:
        """How images are brought to the network."""
        return self.detector.input

    def is_of(self, detector: Detector) -> bool:
        """Whether the detector is, to the bit, what this was made from."""
        tensors = _tensors(detector)
        if len(tensors) != len(self._tensors) or _structure(detector) != self._structure:
            return False
        return all(
            own.shape == given.shape and own.device == given.device and torch.equal(own, given)
            for own, given in zip(self._tensors, tensors, strict=True)
        )

    def predict(
        self, images: Sequence[ImageSource], threshold: Threshold | None = None, batch_size: int = 1
    ) -> list[Detections]:
        """See :meth:`masu.detectors.detector.Detector.predict`."""
        if isinstance(images, str | os.PathLike | Image.Image) or getattr(images, "ndim", 4) == 3:
            raise TypeError(f"predict: found a single {type(images).__name__}, wanted a list; write [image]")
        if threshold is not None:
            check_threshold(threshold, self.names)
        if batch_size < 1:
            raise InputError(f"batch_size: found {batch_size}, wanted at least 1")
        device = self._tensors[0].device
        found: list[Detections] = []
        with torch.inference_mode():
            for start in range(0, len(images), batch_size):
                batch = [
                    read_pixels(image, self.input.channels).to(device)
                    for image in images[start : start + batch_size]
                ]
                of_batch: dict[int, Detections] = {}
                for indices in _of_one_size(batch, self.input):
                    raw = self.detector([batch[i] for i in indices])
                    of_batch |= zip(indices, self.detector.detections(raw), strict=True)
                found += (of_batch[i] for i in range(len(batch)))
        return found if threshold is None else [d.above(threshold) for d in found]


def _of_one_size(images: Sequence[Tensor], policy: InputPolicy) -> list[list[int]]:
    """Positions of the images that are padded to the same size."""
    groups: dict[tuple[int, int], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault(padded_size(image.shape[1], image.shape[2], policy), []).append(i)
    return list(groups.values())


def _tensors(net: nn.Module) -> list[Tensor]:
    return [*net.parameters(), *net.buffers()]


def _clone(tensor: Tensor) -> Tensor:
    own = tensor.detach().clone(memory_format=torch.preserve_format)
    return nn.Parameter(own, requires_grad=False) if isinstance(tensor, nn.Parameter) else own


def _structure(net: nn.Module) -> list[Any]:
    """Everything but tensors that decides what a network computes: modules, their settings, their hooks."""
    found: list[Any] = []
    for name, module in net.named_modules():
        found += (name, type(module))
        for key, value in module.__dict__.items():
            if key not in _NO_SETTING:
                found += (key, _as_it_is(value))
    return found


_NO_SETTING = {
    "training",
    "_parameters",
    "_buffers",
    "_modules",
    "_non_persistent_buffers_set",
    "_prediction",
}


def _as_it_is(value: Any) -> Any:
    """A value that stays what it is now: containers and dataclasses by content, other objects by identity."""
    if isinstance(value, int | float | str | None) or is_dataclass(value):
        return value
    if isinstance(value, list | tuple | set):
        return [type(value), *map(_as_it_is, value)]
    if isinstance(value, Mapping):
        return {key: _as_it_is(item) for key, item in value.items()}
    return _Same(value)


class _Same:
    """An object that equals itself only."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]
