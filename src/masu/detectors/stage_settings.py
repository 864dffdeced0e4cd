"""The settings of the stages: where each loses boxes, and what a step milder or stricter is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from masu.detectors.stages import Reason, Stage
from masu.ops.voting import SIGMA

LEAST_IOU, MOST_IOU = 0.05, 0.95
"""Of a suppression after a step."""


@dataclass(frozen=True)
class Setting:
    """One setting of one stage.

    Attributes:
        number: of the stage.
        stage: its name.
        name: of the setting in the model's configuration.
        attribute: of the setting in :class:`masu.detectors.stages.Stage`.
        value: as it is.
        reason: the place where it loses boxes.
        by_class: whether the stage finds classes.
    """

    number: int
    stage: str
    name: str
    attribute: str
    value: float
    reason: Reason
    by_class: bool

    @property
    def milder(self) -> float:
        """A step further: fewer boxes are lost."""
        if self.attribute == "nms_thresh":
            return round(min(self.value + 0.1, max(MOST_IOU, self.value)), 3)
        if self.attribute in ("pre_nms_top_n", "limit"):
            return 2 * self.value
        return self.value / 5 if self.attribute == "score_thresh" and self.by_class else 0.0

    @property
    def stricter(self) -> float:
        """A step back, of a suppression or a number of boxes, and boxes that vote; else as it is."""
        if self.attribute == "nms_thresh":
            return round(max(self.value - 0.1, min(LEAST_IOU, self.value)), 3)
        if self.attribute in ("pre_nms_top_n", "limit"):
            return max(int(self.value) // 2, 1)
        if self.attribute == "vote_sigma":
            return self.value or SIGMA
        return self.value


def settings_of(stages: Sequence[Stage]) -> Iterator[Setting]:
    """The settings of a detector's stages, in the order in which boxes meet them.

    Args:
        stages: of a detector, in order.

    Returns:
        Of each stage those at which it can lose boxes.
    """
    for number, stage in enumerate(stages):
        for attribute, reason in stage.reasons.items():
            if attribute != "regression":
                name = stage.limit_name if attribute == "limit" else attribute
                value = getattr(stage, attribute)
                yield Setting(number, stage.name, name, attribute, value, reason, stage.by_class)
