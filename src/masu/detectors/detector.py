"""What every detector is: ``forward → raw``, ``losses(raw, targets)``, ``detections(raw)``, ``predict``."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from masu.data.bands import read_pixels
from masu.detectors.proposals import Raw
from masu.errors import InputError
from masu.nets.folding import share_weights
from masu.ops.images import InputPolicy, padded_size
from masu.records import Detections, Target
from masu.thresholds import Threshold, check_threshold

ImageSource = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
"""A file, a Pillow image, an ``(H, W, 3)`` array or a ``(3, H, W)`` tensor."""


class Detector(nn.Module):
    """Base of the detectors.

    Under ``torch.autocast`` the networks compute in its type; boxes, scores and losses stay float32.

    Attributes:
        names: class names; class id ``i`` is ``names[i]``.
        kind: ``"detector"``, or ``"proposals"`` for boxes without classes.
        thresholds: smallest score to show of each class, by name, as ``masu evaluate --store-thresholds`` or
            :func:`masu.detectors.build.store_thresholds` put it into the model file; empty where none did.
            ``predict(images, threshold=detector.thresholds)`` applies them.
    """

    names: tuple[str, ...]
    thresholds: Mapping[str, float] = MappingProxyType({})
    config: Any
    _last_folded: tuple[object, Detector] | None = None
    kind: ClassVar[Literal["detector", "proposals"]]

    @property
    @abstractmethod
    def input(self) -> InputPolicy:
        """How images are brought to the network."""

    @abstractmethod
    def forward(self, images: Sequence[Tensor], policy: InputPolicy | None = None) -> Raw:
        """Run the network.

        Args:
            images: each ``(3, H, W)``, uint8 or float 0..1, of any size; with ``input.channels`` as many.
            policy: how the images are brought to it; default: ``input``. Training may see other sizes.
        """

    @abstractmethod
    def losses(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Loss terms of a batch, each a scalar; their sum is what training minimises.

        Args:
            raw: result of ``forward``.
            targets: the labelled objects of each image, in pixels of the image as it was given.
            generator: randomness of the sampling, on the detector's device; default: torch's global one.
        """

    @abstractmethod
    def detections(self, raw: Raw) -> list[Detections]:
        """Final boxes of each image, in pixels of the image as it was given."""

    @abstractmethod
    def fold_norms(self) -> None:
        """Fold normalisation into convolutions, for prediction only: the detector cannot be trained after."""

    def predict(
        self, images: Sequence[ImageSource], threshold: Threshold | None = None, batch_size: int = 1
    ) -> list[Detections]:
        """Find objects in images; the detector itself is left as it was.

        Only images that are padded to the same size run together, so that what is found in one does not
        depend on its neighbours.

        Args:
            images: files, Pillow images, arrays or tensors, mixed as you like.
            threshold: smallest score returned, one number or one per class by its name (a class without one
                has 0.5), as in ``self.thresholds``; default: the model's own, low, as evaluation wants it.
            batch_size: images that run through the network together.

        Raises:
            InputError: for a file that is no readable image, a threshold outside 0..1 or of an unknown class,
                or a batch size below 1.
        """
        if isinstance(images, str | os.PathLike | Image.Image) or getattr(images, "ndim", 4) == 3:
            raise TypeError(f"predict: found a single {type(images).__name__}, wanted a list; write [image]")
        if threshold is not None:
            check_threshold(threshold, self.names)
        if batch_size < 1:
            raise InputError(f"batch_size: found {batch_size}, wanted at least 1")
        device = next(self.parameters()).device
        folded = self.folded()
        found: list[Detections] = []
        with torch.inference_mode():
            for start in range(0, len(images), batch_size):
                batch = [
                    read_pixels(image, self.input.channels).to(device)
                    for image in images[start : start + batch_size]
                ]
                of_batch: list[Detections | None] = [None] * len(batch)
                for indices in _of_one_size(batch, self.input):
                    together = folded.detections(folded([batch[i] for i in indices]))
                    for i, detections in zip(indices, together, strict=True):
                        of_batch[i] = detections
                found += (detections for detections in of_batch if detections is not None)
        return found if threshold is None else [d.above(threshold) for d in found]

    def folded(self) -> Detector:
        """The same for prediction only, normalisation folded in; made anew when something has changed."""
        # a tensor made in inference mode does not count its changes: then nothing is kept
        tensors = (*self.parameters(), *self.buffers())
        weights = [(t.data_ptr(), object() if t.is_inference() else t._version) for t in tensors]
        settings = [(m.config, m.names) for m in self.modules() if isinstance(m, Detector)]
        state = (weights, settings)
        if self._last_folded is None or self._last_folded[0] != state:
            self._last_folded = None
            folded = share_weights(self).eval()
            folded.fold_norms()
            self._last_folded = (state, folded)
        return self._last_folded[1]


def _of_one_size(images: Sequence[Tensor], policy: InputPolicy) -> list[list[int]]:
    """Positions of the images that are padded to the same size."""
    groups: dict[tuple[int, int], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault(padded_size(image.shape[1], image.shape[2], policy), []).append(i)
    return list(groups.values())
