"""``predict`` and ``stream``: from whatever holds images to detections, one way for all that find objects."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from masu.data.pixels.images import read_seen
from masu.data.pixels.sources import given_images, in_batches
from masu.data.pixels.windows import Picture
from masu.detectors.margins import Margins, check_can_enlarge, enlarged
from masu.ops.images import InputPolicy
from masu.ranges import BATCH_SIZE
from masu.records import Detections
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold
from masu.tiles import Tiles
from masu.views import Rows, find, found_in_each
from masu.way import Way, refuse_other_size

ImageSource = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
"""A file, a Pillow image, an ``(H, W, 3)`` array or a ``(3, H, W)`` tensor."""


class Predictor:
    """What finds objects in images.

    Attributes:
        measured: the way of looking of which ``thresholds``, ``margins`` and the calibration are; None: one
            look at ``input.min_size``.
    """

    names: tuple[str, ...]
    kind: str
    thresholds: Mapping[str, float]
    margins: Margins
    measured: Way | None = None

    @property
    @abstractmethod
    def input(self) -> InputPolicy:
        """How images are brought to the network."""

    @property
    @abstractmethod
    def suppression(self) -> float:
        """IoU above which two boxes of a class are taken for one object."""

    @property
    @abstractmethod
    def limit(self) -> int | None:
        """The most boxes of an image, or of a tile and of the reduced whole each; None: any number."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the network runs, and detections lie."""

    @property
    def way(self) -> Way:
        """How it looks at pictures."""
        return Way(self.input.min_size)

    @property
    def otherwise(self) -> str:
        """How thresholds, margins and calibration were measured where that is not :attr:`way`; else empty."""
        return "" if self.measured is None else self.measured.unlike(self.way)

    @abstractmethod
    def with_tiles(self, tiles: Tiles | None) -> Self:
        """The same that cuts large pictures otherwise; this one stays as it is.

        Args:
            tiles: how they are cut; None: never.
        """

    def with_image_size(self, size: int) -> Self:
        """The same that brings images to another size; this one stays as it is.

        Args:
            size: shorter side of the network's input in pixels; the longer one is limited in proportion.

        Raises:
            InputError: for an exported file, whose graph has its size built in.
        """
        refuse_other_size(self.input.min_size, size)
        return self

    @abstractmethod
    def of_pixels(self, images: Sequence[Tensor]) -> list[Detections]:
        """What is found in images ``(C, H, W)`` that are in memory together, each as the network sees it."""

    @overload
    def predict(
        self,
        images: Image.Image,
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> Detections: ...

    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        images: str | os.PathLike[str] | np.ndarray[Any, Any] | Tensor,
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> Detections | list[Detections]: ...

    @overload
    def predict(
        self,
        images: Iterable[ImageSource | Picture],
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> list[Detections]: ...

    def predict(
        self,
        images: Any,
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> Detections | list[Detections]:
        """Find objects in one image or many; what looks is left as it was.

        Only images that the network sees at the same size run together, so that what is found in one does not
        depend on its neighbours.

        Args:
            images: one image: a path, a Pillow image, an array ``(H, W, 3)`` or a tensor ``(3, H, W)``, uint8
                or floats 0..1. Or many: a folder (with all below it, by name), a pattern such as
                ``"shots/*.jpg"``, a list of images, mixed as you like, or an iterator, such as the frames of
                a film. Of a model with ``input.channels`` arrays are ``(H, W, C)``, tensors ``(C, H, W)``.
            threshold: smallest score returned, one number or one per class by its name (a class without one
                has 0.5), as in ``self.thresholds``; default: the model's own, low, as evaluation wants it.
            batch_size: images that run through the network together.
            margins: enlarge each box by the margin of its class, ``self.margins``, within the image, so that
                it holds its object whole as often as was promised (docs/guarantees.md). The promise is of
                the model's own thresholds: they are the default then.

        Returns:
            :class:`masu.Detections` for one image; for many a list of them in the order of the images, also
            where they are only one. Those of files know their ``path``.

        Raises:
            TypeError: for what is no image.
            InputError: for a file that is no readable image, a URL, a folder without images, a threshold
                outside 0..1 or of an unknown class, a batch size below 1, or margins that the model does
                not have or that were measured in another way of looking (``otherwise``). ``masu.detect``
                passes over files that cannot be read and goes on.
        """
        given = given_images(images)
        found = list(self._each(given.images, threshold, batch_size, margins))
        return found[0] if given.alone else found

    def stream(
        self,
        images: ImageSource | Iterable[ImageSource],
        threshold: Threshold | None = None,
        batch_size: int = 1,
        *,
        margins: bool = False,
    ) -> Iterator[Detections]:
        """As :meth:`predict`, one after the other: for folders and films that memory does not hold.

        At most ``batch_size`` images are in memory.

        Args:
            images: as of :meth:`predict`.
            threshold: as of :meth:`predict`.
            batch_size: as of :meth:`predict`.
            margins: as of :meth:`predict`.

        Yields:
            The detections of each image, in order.

        Raises:
            TypeError: as of :meth:`predict`, when that image's turn has come.
            InputError: as of :meth:`predict`.
        """
        return self._each(given_images(images).images, threshold, batch_size, margins)

    def _each(
        self, images: Iterable[Any], threshold: Threshold | None, batch_size: int, margins: bool
    ) -> Iterator[Detections]:
        if threshold is not None:
            check_threshold(threshold, self.names)
        BATCH_SIZE.check("batch_size", batch_size)
        if margins:
            check_can_enlarge(self.margins, self.otherwise)
            threshold = self.thresholds or DEFAULT_THRESHOLD if threshold is None else threshold
        return self._walk(images, threshold, batch_size, margins)

    def _walk(
        self, images: Iterable[Any], threshold: Threshold | None, batch_size: int, margins: bool
    ) -> Iterator[Detections]:
        for batch in in_batches(images, batch_size):
            pixels = [read_seen(image, self.input.channels, self.input.tiles) for image in batch]
            for image, seen, one in zip(batch, pixels, self._found(pixels, batch_size), strict=True):
                shown = one if threshold is None else one.above(threshold)
                shown = enlarged(shown, self.margins, *seen.shape[-2:]) if margins else shown
                yield shown.with_path(image) if isinstance(image, str | os.PathLike) else shown

    def _found(self, images: Sequence[Tensor | Picture], batch_size: int) -> list[Detections]:
        return found_in_each(images, self.of_pixels, partial(self._in_tiles, batch_size))

    def _in_tiles(self, batch_size: int, picture: Picture) -> Detections:
        policy = self.input
        assert policy.tiles is not None
        iou = self.suppression if policy.tiles.iou is None else policy.tiles.iou
        found = find(picture, policy.tiles, iou, policy.min_size, policy.max_size, self._look, batch_size)
        return self._named(found)

    def _look(self, images: Sequence[np.ndarray[Any, Any]]) -> list[Rows]:
        tensors = [torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))) for image in images]
        return [as_rows(one) for one in self.of_pixels(tensors)]

    def _named(self, rows: Rows) -> Detections:
        boxes, scores, labels = (torch.from_numpy(column) for column in rows)
        names = tuple(self.names[label] for label in labels.tolist())
        return Detections(boxes, scores, labels, names).to(self.device)


def as_rows(found: Detections) -> Rows:
    """Detections without PyTorch."""
    found = found.to("cpu")
    return Rows(found.boxes.numpy(), found.scores.numpy(), found.labels.numpy())
