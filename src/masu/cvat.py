"""CVAT's auto-annotation: a module that ``cvat-cli`` and ``cvat_sdk.auto_annotation`` take.

::

    cvat-cli task auto-annotate 5 --function-module masu.cvat -p model=str:runs/cells/best.safetensors

The package cvat-sdk is needed here alone (``pip install cvat-cli`` brings it).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from masu.data.pixels.images import read_image
from masu.detectors.detector import Detector
from masu.drafts.draft import draft_of
from masu.errors import bad_input
from masu.evaluation.predictions import AnyDetector
from masu.exports.exported import open_detector
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold

if TYPE_CHECKING:
    from PIL import Image


def create(
    model: str | os.PathLike[str],
    threshold: float | None = None,
    device: str = "auto",
    trust_code: bool = False,
) -> CvatFunction:
    """The function of a model, as ``cvat-cli --function-module masu.cvat`` asks for it.

    Args:
        model: a model file, a run, or a file that ``masu export`` wrote (``-p model=str:PATH``).
        threshold: lowest score (``-p threshold=float:0.6``); default: the model's own, 0.5 for a class
            without one. ``--conf-threshold`` goes before it.
        device: as of :func:`masu.open_detector` (``-p device=str:cpu``).
        trust_code: as there.

    Raises:
        InputError: without cvat-sdk, and as of :func:`masu.open_detector`.
    """
    opened = open_detector(model, device=device, trust_code=trust_code)
    return CvatFunction(opened, threshold=threshold)


class CvatFunction:
    """What ``cvat_sdk.auto_annotation.annotate_task`` takes: rectangles with scores.

    Attributes:
        spec: the model's classes as labels of rectangles; CVAT matches them with a task's by their names.

    Args:
        detector: any masu detector of RGB photographs.
        threshold: lowest score, where CVAT names none; default: the detector's own ``thresholds``, 0.5 for a
            class without one.

    Raises:
        InputError: without cvat-sdk, for a threshold out of range, or a detector of other images.
    """

    def __init__(self, detector: AnyDetector, *, threshold: Threshold | None = None) -> None:
        try:
            from cvat_sdk import auto_annotation
        except ImportError:
            fix = "pip install cvat-cli"
            raise bad_input(
                "cvat-sdk", "no such package", "the package cvat-sdk", fix, code="missing-package"
            ) from None
        if detector.input.channels is not None:
            found = f"one of images of {detector.input.channels} channels"
            raise bad_input("the model", found, "one of RGB photographs, which CVAT gives")
        if threshold is None:
            threshold = getattr(detector, "thresholds", None) or DEFAULT_THRESHOLD
        check_threshold(threshold, detector.names)
        self._network = detector.prediction_network() if isinstance(detector, Detector) else detector
        self._threshold, self._rectangle = threshold, auto_annotation.rectangle
        self._numbers = {name: number for number, name in enumerate(detector.names)}
        self.spec = auto_annotation.DetectionFunctionSpec(
            labels=[
                auto_annotation.label_spec(name, number, type="rectangle")
                for name, number in self._numbers.items()
            ]
        )

    def detect(self, context: Any, image: Image.Image) -> list[Any]:
        """The rectangles of one frame.

        Args:
            context: its ``conf_threshold`` is the lowest score; None: that of this function.
            image: as CVAT gives it, upright.
        """
        asked = context.conf_threshold
        pixels = read_image(image)
        (found,) = self._network.predict([pixels], self._threshold if asked is None else asked)
        draft = draft_of(found, (image.height, image.width))
        return [
            self._rectangle(self._numbers[name], list(box), score=score)
            for box, name, score in zip(draft.boxes, draft.names, draft.scores, strict=True)
        ]
