"""What every detector is: ``forward → raw``, ``losses(raw, targets)``, ``detections(raw)``, ``predict``.

A detector describes itself: its pyramid, its stages in order, what its anchors stand for in training, and
which rows of its tensors belong to which class. Everything else in masu (trace, funnel, saliency, export,
warm start) reads these and asks for no type.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from torch import Tensor, nn

from masu.detectors.calibration import Calibration
from masu.detectors.config import DetectorConfig
from masu.detectors.margins import Margins
from masu.detectors.predict import Predictor
from masu.detectors.prediction import PredictionNetwork
from masu.detectors.raw import Raw
from masu.detectors.stages import Kept, Stage, Step, run
from masu.detectors.targets import Assignment
from masu.errors import bad_input
from masu.ops.geometry import resize
from masu.ops.images import InputPolicy, batch_images
from masu.records import Detections, ImageBatch, Target, check_labels
from masu.thresholds import Threshold
from masu.tiles import Tiles
from masu.words import Precision

if TYPE_CHECKING:
    from masu.detectors.pyramid import PyramidDetector


@dataclass(frozen=True)
class ClassRows:
    """How the rows of a tensor belong to classes: ``blocks`` times, for each class ``values`` of them.

    Attributes:
        blocks: times that all classes follow one another (anchors of a cell).
        values: rows of one class together (4 for boxes).
        background: one more row at the end, of background.
    """

    blocks: int = 1
    values: int = 1
    background: bool = False

    def view(self, tensor: Tensor, classes: int) -> Tensor:
        """The rows of classes as ``(blocks, K, values, …)``, a view, without background."""
        count = self.blocks * classes * self.values
        return tensor[:count].view(self.blocks, classes, self.values, *tensor.shape[1:])


class Detector(nn.Module, Predictor, ABC):
    """Base of the detectors.

    Under ``torch.autocast`` the networks compute in its type; boxes, scores and losses stay float32.

    Args:
        config: architecture and settings.
        names: class names, without background.

    Attributes:
        names: class names; class id ``i`` is ``names[i]``.
        kind: ``"detector"``, or ``"proposals"`` for boxes without classes.
        thresholds: smallest score to show of each class, by name, as ``masu evaluate --store-thresholds`` or
            :func:`masu.detectors.build.store_thresholds` put it into the model file; empty where none did.
            ``predict(images, threshold=detector.thresholds)`` applies them.
        calibration: what the scores of each class become, as ``masu evaluate --calibrate`` put it into the
            model file; None: they are the network's own. Set it to None to see these; ``thresholds`` are of
            calibrated scores and then have no meaning.
        margins: how far boxes of each class are enlarged on every side to hold their object whole, as a share
            of the box's size ``√(w·h)``, as ``masu evaluate --store-margins`` put it into the model file;
            empty where none did. ``predict(images, margins=True)`` applies them.
        measured: the way of looking in which these three were measured; None: one look at ``input.min_size``.
        trained_on: ``data``, ``split`` and ``val_split`` of the last training, for people to read; empty
            where there was none.
    """

    names: tuple[str, ...]
    thresholds: Mapping[str, float]
    calibration: Calibration | None
    margins: Margins
    trained_on: Mapping[str, str | None]
    config: DetectorConfig
    kind: Literal["detector", "proposals"] = "detector"
    _prediction: PredictionNetwork | None = None

    def __init__(self, config: DetectorConfig, names: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.names = tuple(names)
        self.thresholds = {}
        self.calibration = None
        self.margins = {}
        self.measured = None
        self.trained_on = {}

    @property
    @abstractmethod
    def pyramid(self) -> PyramidDetector:
        """The part that holds backbone, feature pyramid, first head and anchors."""

    @property
    @abstractmethod
    def network_stages(self) -> tuple[Stage, ...]:
        """:attr:`stages` with the network's own scores."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """How raw outputs become boxes: each stage with its settings, in order."""
        *before, last = self.network_stages
        if self.calibration is None:
            return (*before, last)
        return (*before, replace(last, calibrate=partial(self.calibration.scores, names=self.names)))

    @abstractmethod
    def loss_terms(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """:meth:`losses` of labels that were checked before."""

    @abstractmethod
    def assignment(self, anchors: Tensor, target: Target) -> Assignment:
        """What the anchors ``(R, 4)`` stand for in training, objects in pixels of the network's input."""

    @property
    def class_rows(self) -> Mapping[str, ClassRows]:
        """The tensors that have rows for each class, by name."""
        return {}

    @abstractmethod
    def probes(self) -> Iterator[tuple[nn.Module, tuple[Any, ...]]]:
        """Networks that hold normalisation, each with small inputs to try it with."""

    @property
    def input(self) -> InputPolicy:
        """How images are brought to the network."""
        return self.config.pyramid.input

    @property
    def suppression(self) -> float:
        """See :attr:`masu.detectors.predict.Predictor.suppression`."""
        iou = self.network_stages[-1].nms_thresh
        assert iou is not None
        return iou

    @property
    def limit(self) -> int | None:
        """See :attr:`masu.detectors.predict.Predictor.limit`."""
        return self.network_stages[-1].limit

    @property
    def device(self) -> torch.device:
        """See :attr:`masu.detectors.predict.Predictor.device`."""
        return next(self.parameters()).device

    def with_tiles(self, tiles: Tiles | None) -> Self:
        """See :meth:`masu.detectors.predict.Predictor.with_tiles`."""
        own = copy.deepcopy(self)
        own.config = own.config.with_tiles(tiles)
        return own

    def with_image_size(self, size: int) -> Self:
        """See :meth:`masu.detectors.predict.Predictor.with_image_size`."""
        own = copy.deepcopy(self)
        own.measured = self.measured or self.way
        own.config = own.config.with_image_size(size)
        return own

    def forward(self, images: Sequence[Tensor], policy: InputPolicy | None = None) -> Raw:
        """Run the network: steps 1 to 3, features, head and anchors.

        Args:
            images: each ``(3, H, W)``, uint8 or float 0..1, of any size; with ``input.channels`` as many.
            policy: how the images are brought to it; default: ``input``. Training may see other sizes.

        Raises:
            TypeError: for targets in the place of ``policy``, as torchvision's models take them.
        """
        if policy is not None and not isinstance(policy, InputPolicy):
            raise TypeError(
                f"detector(images, …): found a second argument of type {type(policy).__name__}, wanted none; "
                "masu.to_torchvision(detector) takes targets as torchvision's models do, and "
                "detector.losses(detector(images), targets) is masu's own way"
            )
        return self.network(batch_images(images, policy or self.input, self.pyramid.dtype))

    def network(self, batch: ImageBatch) -> Raw:
        """:meth:`forward` of images as the network sees them."""
        return self.pyramid.read(batch, self.pyramid.features(batch.pixels))

    def losses(
        self, raw: Raw, targets: Sequence[Target], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Loss terms of a batch, each a scalar; their sum is what training minimises.

        Args:
            raw: result of ``forward``.
            targets: the labelled objects of each image, in pixels of the image as it was given.
            generator: randomness of the sampling, on the detector's device; default: torch's global one.

        Raises:
            ValueError: for a label that is no class of the detector, or not as many targets as images.
        """
        targets = list(targets)
        if self.kind == "detector":
            check_labels(targets, self.names)
        return self.loss_terms(raw, targets, generator)

    def process(self, raw: Raw) -> tuple[Step, ...]:
        """What every stage made of raw outputs, in pixels of the network's input."""
        return run(self.stages, raw)

    def answer(self, raw: Raw) -> Kept:
        """What the last stage keeps, in pixels of the images as they were given."""
        return in_given_pixels(self.process(raw)[-1].kept, raw.images)

    def detections(self, raw: Raw) -> list[Detections]:
        """Final boxes of each image, in pixels of the image as it was given."""
        return self.named(self.answer(raw))

    def named(self, kept: Kept) -> list[Detections]:
        """Boxes in pixels of the images as they were given, as detections of each image."""
        found = []
        for i, count in enumerate(kept.count.tolist()):
            labels = kept.labels[i, :count]
            names = tuple(self.names[label] for label in labels.tolist())
            found.append(Detections(kept.boxes[i, :count], kept.scores[i, :count], labels, names))
        return found

    def of_pixels(self, images: Sequence[Tensor]) -> list[Detections]:
        """See :meth:`masu.detectors.predict.Predictor.of_pixels`."""
        return self.prediction_network().of_pixels(images)

    def _walk(
        self, images: Iterable[Any], threshold: Threshold | None, batch_size: int, margins: bool
    ) -> Iterator[Detections]:
        network = self.prediction_network()  # looked at once, not per batch
        return network._walk(images, threshold, batch_size, margins)

    def prediction_network(self, precision: Precision = "fp32") -> PredictionNetwork:
        """What :meth:`predict` runs: this detector as it is now, made fast, with weights of its own.

        The last one is kept and used again as long as every weight, setting, module and hook is what it was:
        they are compared by content. Call this once for many calls of its ``predict``, which compare nothing.

        Args:
            precision: what the networks compute in, see
                :class:`masu.detectors.prediction.PredictionNetwork`; :meth:`predict` itself computes in fp32.
                One of another precision is made anew and not kept.

        Raises:
            InputError: for a precision that the device only imitates.
        """
        if precision != "fp32":
            return PredictionNetwork(self, precision)
        last = self._prediction
        if last is None or not last.is_of(self):
            last = PredictionNetwork(self)
            self._prediction = last
        return last

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        return {name: value for name, value in state.items() if name != "_prediction"}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Detector:
        kind = fn(torch.zeros(1)).dtype
        if kind in (torch.float16, torch.bfloat16):
            raise bad_input(
                "detector",
                f"a change of all weights to {kind}",
                "float32 (or float64), which boxes and scores need",
                "run it under torch.autocast, or train with --precision",
            )
        return super()._apply(fn, recurse)  # type: ignore[no-any-return,no-untyped-call]


def in_given_pixels(kept: Kept, images: ImageBatch) -> Kept:
    """Boxes of the network's input in pixels of the images as they were given."""
    old, new = images.sizes[:, None], images.original_sizes[:, None]
    return kept.with_boxes(resize(kept.boxes, old, new))
