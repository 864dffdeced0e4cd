"""What ``predict`` runs: a detector as it was at one moment, made fast, that nothing changes any more."""

from __future__ import annotations

import copy
import errno
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

import masu.forked  # noqa: F401 a forked process must not wait for threads that it lacks
from masu.data.pixels.windows import Picture
from masu.detectors.config import DetectorConfig
from masu.detectors.predict import Predictor
from masu.devices import moved
from masu.errors import InputError, bad_input
from masu.nets.conv import prepare_convs
from masu.nets.folding import copied, fold_norms
from masu.nets.hooks import global_hooks
from masu.ops.images import InputPolicy, padded_size
from masu.precision import check_precision, chosen_precision, networks_in
from masu.records import Detections
from masu.tiles import Tiles
from masu.words import Precision

if TYPE_CHECKING:
    from masu.detectors.detector import Detector


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ended, as Python, PyTorch and the system each say it."""
    if isinstance(error, OSError):  # no memory to start a process
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def too_large(path: object, image: Tensor | Picture) -> InputError:
    """The fault of an image ``(C, H, W)`` that the memory does not suffice for."""
    found = f"{image.shape[2]}×{image.shape[1]} pixels, for which the memory does not suffice"
    return bad_input(path, found, "a smaller image", "cut it into tiles", code="unreadable-image")


class PredictionNetwork(Predictor):
    """A detector for prediction only: normalisation folded into convolutions, Winograd weights prepared.

    It has tensors of its own, so that training goes on beside it, and is never changed: any number of threads
    may call it. It can be pickled.

    Args:
        detector: copied as it is, in ``eval()`` mode.
        precision: what the networks compute in: ``"fp32"``, ``"bf16"``, ``"fp16"`` on a CUDA GPU, or
            ``"auto"``: bf16 where the device has instructions for it. Boxes and scores are float32.

    Attributes:
        detector: the copy that is run; to be read, not to be changed.
        precision: see above; ``"auto"`` as what it stands for.
        names: class names.
        kind: see :class:`masu.detectors.detector.Detector`.
        thresholds: see there.
        margins: see there.
        measured: see there.
    """

    def __init__(self, detector: Detector, precision: Precision = "fp32") -> None:
        self.precision = chosen_precision(precision, detector.device)
        check_precision(self.precision, detector.device)
        with torch.inference_mode(False), torch.no_grad():  # normal tensors, wherever this is called from
            self._structure: Structure | None = _structure(detector)
            own: Detector = copied(detector, _clone).eval()
            self._tensors = _tensors(own)
            for net, inputs in own.probes():
                fold_norms(net, *inputs)
            prepare_convs(own)
        self.detector = own
        self.names, self.kind = own.names, own.kind
        self.thresholds, self.margins = dict(own.thresholds), dict(own.margins)
        self.measured = own.measured

    @property
    def input(self) -> InputPolicy:
        """How images are brought to the network."""
        return self.detector.input

    @property
    def suppression(self) -> float:
        """See :attr:`masu.detectors.predict.Predictor.suppression`."""
        return self.detector.suppression

    @property
    def limit(self) -> int | None:
        """See :attr:`masu.detectors.predict.Predictor.limit`."""
        return self.detector.limit

    @property
    def device(self) -> torch.device:
        """See :attr:`masu.detectors.predict.Predictor.device`."""
        return self.detector.device

    def with_tiles(self, tiles: Tiles | None) -> Self:
        """See :meth:`masu.detectors.predict.Predictor.with_tiles`; both have the same tensors."""
        return self._configured(self.detector.config.with_tiles(tiles))

    def with_image_size(self, size: int) -> Self:
        """See :meth:`masu.detectors.predict.Predictor.with_image_size`; both have the same tensors."""
        own = self._configured(self.detector.config.with_image_size(size))
        own.measured = self.measured or self.way
        return own

    def _configured(self, config: DetectorConfig) -> Self:
        own = copy.copy(self)
        own.detector, own._structure = copy.copy(self.detector), None
        own.detector.config = config
        return own

    def is_of(self, detector: Detector) -> bool:
        """Whether the detector is, to the bit, what this was made from."""
        if self._structure is None:  # it came out of a pickle
            return False
        tensors = _tensors(detector)
        if len(tensors) != len(self._tensors) or not _is_structure_of(self._structure, detector):
            return False
        return all(
            own.shape == given.shape and own.device == given.device and torch.equal(own, given)
            for own, given in zip(self._tensors, tensors, strict=True)
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_structure": None, "_tensors": []}  # both are the detector's own

    def of_pixels(self, images: Sequence[Tensor]) -> list[Detections]:
        """See :meth:`masu.detectors.predict.Predictor.of_pixels`."""
        found: dict[int, Detections] = {}
        # fp32 is no wish of its own: a user's autocast around the call goes on
        lowered = nullcontext() if self.precision == "fp32" else networks_in(self.precision, self.device)
        with torch.inference_mode(), lowered:
            batch = [moved(image, self.device) for image in images]
            for indices in _of_one_size(batch, self.input):
                raw = self.detector([batch[i] for i in indices])
                found |= zip(indices, self.detector.detections(raw), strict=True)
        return [found[i] for i in range(len(images))]


def _of_one_size(images: Sequence[Tensor], policy: InputPolicy) -> list[list[int]]:
    """Positions of the images that are padded to the same size."""
    groups: dict[tuple[int, int], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault(padded_size(image.shape[1], image.shape[2], policy), []).append(i)
    return list(groups.values())


def _tensors(net: nn.Module) -> list[Tensor]:
    """Parameters, buffers, and tensors that modules keep besides, alone or in lists."""
    found: list[Tensor] = []
    for module in net.modules():
        for group in (module._parameters, module._buffers):
            found += (tensor for tensor in group.values() if tensor is not None)
        for value in vars(module).values():
            if isinstance(value, Tensor):
                found.append(value)
            elif type(value) is list:
                found += (tensor for tensor in value if isinstance(tensor, Tensor))
    return found


def _clone(tensor: Tensor) -> Tensor:
    own = tensor.detach().clone(memory_format=torch.preserve_format)
    return nn.Parameter(own, requires_grad=False) if isinstance(tensor, nn.Parameter) else own


Structure = list[tuple[type[nn.Module], dict[str, Any]]]
"""Kind and attributes of every module, in order; before them the hooks for all modules."""

_LEFT_OUT = dict.fromkeys(
    ("training", "_parameters", "_buffers", "_non_persistent_buffers_set", "_prediction")
)
"""Attributes that are no settings, or are looked at as tensors."""


def _structure(net: nn.Module) -> Structure:
    """Everything but tensors that decides what a network computes: modules, their settings, their hooks."""
    return [
        (nn.Module, global_hooks()),
        *(
            (type(module), {name: _as_it_is(value) for name, value in vars(module).items()} | _LEFT_OUT)
            for module in net.modules()
        ),
    ]


def _as_it_is(value: Any) -> Any:
    """The value, of a container a copy, so that what is added to it later is seen."""
    if isinstance(value, dict):
        return dict(value)
    return type(value)(value) if type(value) in (list, set) else value


def _is_structure_of(structure: Structure, net: nn.Module) -> bool:
    modules = list(net.modules())
    (_, hooks), *kept = structure
    if len(modules) != len(kept) or hooks != global_hooks():
        return False
    try:
        return all(
            type(module) is kind and vars(module) | _LEFT_OUT == attributes
            for module, (kind, attributes) in zip(modules, kept, strict=True)
        )
    except (ValueError, RuntimeError):  # another array or tensor, which is neither equal nor unequal
        return False
