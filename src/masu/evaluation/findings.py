"""What was found in the images of a data set: AP beside that of other settings, best thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from masu.data.dataset import Dataset
from masu.errors import bad_input, counted
from masu.evaluation.comparison import Difference, difference_of
from masu.evaluation.curves import class_curves
from masu.evaluation.evaluate import as_labelled
from masu.evaluation.matches import match_image
from masu.evaluation.overlaps import Array
from masu.evaluation.resampling import Figure, image_weights, judged
from masu.records import Detections, Target

_AP = Figure("ap")


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found in the images of a data set, ready to be compared.

    Attributes:
        data: the images.
        found: by the image's position, as the detector names it.
        milliseconds: of an image, mean.
    """

    data: Dataset
    found: Mapping[int, Detections]
    milliseconds: float

    def _labelled(self, images: Sequence[int]) -> tuple[list[Target], list[Detections]]:
        """Targets and detections of some of the images, as figures are made of them."""
        return as_labelled(
            self.data, images, [self.data[i][1] for i in images], [self.found[i] for i in images]
        )

    @cached_property
    def _of_all(self) -> tuple[Array, int, int]:
        return self._drawn(list(self.found))

    def _drawn(self, images: Sequence[int]) -> tuple[Array, int, int]:
        """AP of the images and of each weighting of them, images with objects, and objects."""
        whole = judged(*self._labelled(images), tuple(self.data.names))
        if not whole.objects:
            return np.zeros(0), 0, 0
        weights = np.concatenate([np.ones((1, len(images))), image_weights(len(images))])
        ap = whole.of_size("all").figures(weights)[_AP]
        return ap, whole.images_with(_AP), whole.objects

    def ap_beside(self, other: Findings, level: float) -> Difference:
        """AP of both, on the images that both could read.

        Args:
            other: that is to be better.
            level: of the interval.

        Raises:
            InputError: for fewer than two images, or no labelled object.
        """
        common = sorted(self.found.keys() & other.found.keys())
        if len(common) < 2:
            raise bad_input("data", counted(len(common), "image"), "at least 2 that can be read")
        (a, images, objects), (b, _, _) = (
            one._of_all if len(one.found) == len(common) else one._drawn(common) for one in (self, other)
        )
        if not objects:
            raise bad_input(
                "data", "no labelled object", "at least one", "choose another split", code="no-objects"
            )
        return difference_of(_AP, [{_AP: a}], [{_AP: b}], images, level)

    def thresholds(self) -> dict[str, float]:
        """Class name → score with the largest F1, of the classes that have one."""
        targets, found = self._labelled(list(self.found))
        matches = [match_image(target, one) for target, one in zip(targets, found, strict=True)]
        curves = class_curves(matches, len(self.data.names))
        best = {name: curve.best() for name, curve in zip(self.data.names, curves, strict=True)}
        return {name: point.threshold for name, point in best.items() if point is not None}
