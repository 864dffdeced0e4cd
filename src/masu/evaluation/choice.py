"""What one wants of a detector: some classes only, another suppression, fewer boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, isin

from masu.data.dataset import Dataset
from masu.data.fitting import with_names
from masu.data.pixels.windows import Picture
from masu.detectors.detector import Detector
from masu.detectors.margins import Margins
from masu.detectors.predict import Predictor
from masu.errors import bad_input, listed
from masu.evaluation.predictions import AnyDetector
from masu.ops.images import InputPolicy
from masu.ranges import MAX_DETECTIONS, SHARE
from masu.records import Detections
from masu.thresholds import Threshold
from masu.words import Precision, nearest


def set_suppression(detector: AnyDetector, iou: float | None = None, most: int | None = None) -> None:
    """Give a detector another last suppression; its model file stays as it is.

    Args:
        detector: one of masu, which is changed.
        iou: above which the weaker of two boxes of a class is dropped; None: as it is.
        most: boxes of an image; None: as it is.

    Raises:
        InputError: for an exported file, whose graph has both built in, or a number out of range.
    """
    if iou is None and most is None:
        return
    option = "--iou" if iou is not None else "--max-detections"
    if not isinstance(detector, Detector):
        raise bad_input(
            option,
            "an exported file, whose suppression is part of its graph",
            "a model of masu (.safetensors)",
            f"leave {option} out, or name the model that was exported",
        )
    if iou is not None:
        SHARE.check("--iou", iou)
    if most is not None:
        MAX_DETECTIONS.check("--max-detections", most)
    last = detector.stages[-1]
    for name, value in (("nms_thresh", iou), (last.limit_name, most)):
        if value is not None:
            detector.config = detector.config.with_setting(last.name, name, value)


def has_no_more(detector: AnyDetector, most: int | None) -> bool:
    """Whether an exported file finds no more boxes than this in an image, or in a tile, by itself."""
    limit = None if isinstance(detector, Detector) else getattr(detector, "limit", None)
    return most is not None and limit is not None and most >= limit


def in_precision(detector: Predictor, precision: Precision) -> Predictor:
    """What finds the objects with networks that compute in a precision.

    Args:
        detector: one of masu; another one only in fp32, which it then has or not by itself.
        precision: see :class:`masu.detectors.prediction.PredictionNetwork`.

    Returns:
        Its prediction network, or in fp32 the detector itself.

    Raises:
        InputError: for an exported file, whose graph has its numbers built in, or a precision that the device
            only imitates.
    """
    if precision == "fp32":
        return detector
    if not isinstance(detector, Detector):
        raise bad_input(
            "--precision",
            f"{precision} for an exported file, whose numbers are part of its graph",
            "a model of masu (.safetensors)",
            "leave --precision out, or use a file of masu export --int8",
        )
    return detector.prediction_network(precision)


def classes_of(texts: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The classes that texts name: each text one class, or several with commas between them.

    Raises:
        InputError: for a class that is not known, with the nearest one.
    """
    names = [name for text in texts for name in ([text] if text in known else text.split(","))]
    chosen = tuple(dict.fromkeys(name.strip() if name not in known else name for name in names))
    for name in chosen:
        if name not in known:
            near = nearest(name, known)
            raise bad_input(
                "--classes",
                repr(name),
                f"one of {listed(known)}",
                "choose one of these" if near is None else f"did you mean {near}?",
                code="unknown-name",
            )
    return chosen


class OnlyClasses:
    """A detector of which only some classes are reported; the others are found and left out.

    Args:
        detector: any masu detector.
        chosen: names of its classes.
        most: boxes of these classes in an image; None: all that the detector keeps.
    """

    def __init__(self, detector: AnyDetector, chosen: Sequence[str], most: int | None = None) -> None:
        self.most = most
        self._detector = detector.prediction_network() if isinstance(detector, Detector) else detector
        self.margins: Margins = getattr(detector, "margins", {})
        self._labels = [detector.names.index(name) for name in chosen]

    @property
    def input(self) -> InputPolicy:
        """See :class:`AnyDetector`."""
        return self._detector.input

    @property
    def names(self) -> tuple[str, ...]:
        """All class names of the detector; labels index them."""
        return self._detector.names

    @property
    def kind(self) -> str:
        """See :class:`AnyDetector`."""
        return self._detector.kind

    @property
    def otherwise(self) -> str:
        """How the detector's margins were measured where it looks in another way; else empty."""
        return getattr(self._detector, "otherwise", "")

    def predict(
        self, images: Sequence[Tensor | Picture], threshold: Threshold | None = None, batch_size: int = 1
    ) -> list[Detections]:
        """See :class:`AnyDetector`."""
        return [self._only(one) for one in self._detector.predict(images, threshold, batch_size)]

    def _only(self, found: Detections) -> Detections:
        return found[isin(found.labels, found.labels.new_tensor(self._labels))][: self.most]


def only_classes(data: Dataset, chosen: Sequence[str]) -> Dataset:
    """The same images with only the objects of some classes."""
    wanted = np.isin(data.labels, [data.names.index(name) for name in chosen])
    return with_names(data.keep(wanted), chosen)
