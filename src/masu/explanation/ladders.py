"""Which settings a tuning tries: boxes that vote, then where the funnel has lost objects, the most first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector
from masu.detectors.stage_settings import Setting, settings_of
from masu.evaluation.matches import LIMIT
from masu.explanation.fates import names_of

LARGER, SMALLER = 1.25, 0.8
"""A step of the image's size."""

INPUT = "input"
"""What stands in a stage's place for the image's size."""


@dataclass(frozen=True)
class Ladder:
    """One setting in one direction.

    Attributes:
        stage: its name; ``"input"`` for the image's size.
        setting: as the model's configuration calls it; ``"min_size"`` of the input is the image's shorter
            side in pixels.
        up: milder, or larger images; else stricter, or smaller ones.
        lost: objects that the funnel has lost there.
    """

    stage: str
    setting: str
    up: bool
    lost: int

    @property
    def name(self) -> str:
        """Stage and setting."""
        return f"{self.stage}.{self.setting}"

    @property
    def lets_vote(self) -> bool:
        """Whether it lets boxes vote, which gains most often and is quickly tried."""
        return self.setting == "vote_sigma" and not self.up

    def at(self, detector: Detector) -> tuple[float, float]:
        """The value of a detector, and the next one; the same where there is none."""
        if self.stage == INPUT:
            size = detector.input.min_size
            return size, round(size * (LARGER if self.up else SMALLER))
        settings = {(one.stage, one.name): one for one in settings_of(detector.stages)}
        one = settings[self.stage, self.setting]
        return one.value, one.milder if self.up else one.stricter

    def changed(self, config: DetectorConfig, value: float) -> DetectorConfig:
        """The configuration with another value."""
        if self.stage != INPUT:
            return config.with_setting(self.stage, self.setting, value)
        return config.with_image_size(int(value))

    def is_back(self, other: Ladder) -> bool:
        """Whether it is the other direction of the same setting."""
        return (self.stage, self.setting, not self.up) == (other.stage, other.setting, other.up)


def ladders(detector: Detector, lost: Mapping[str, int]) -> list[Ladder]:
    """What to try: boxes that vote, then the settings at which most objects are lost.

    Args:
        detector: as it is.
        lost: objects per place, from the funnel.

    Returns:
        Both directions of the last suppression and of the image's size, fewer proposals, and boxes that vote
        where they do not; of all else only what loses objects, and an earlier suppression stricter where
        proposals come after the last one kept.
    """
    found, last = [], len(detector.stages) - 1
    decided: set[str] = set()
    for one in settings_of(detector.stages):
        places, final = names_of(one.reason), one.number == last
        decided |= places.keys()
        own = sum(lost.get(name, 0) for name in places)
        if one.attribute == "nms_thresh":
            limit = detector.stages[one.number].reasons["limit"]
            crowded = sum(lost.get(name, 0) for name in names_of(limit))
            tried = {True: own, False: 0 if final else crowded}
            found += [
                Ladder(one.stage, one.name, up, tried[up])
                for up, value in ((True, one.milder), (False, one.stricter))
                if value != one.value and (final or tried[up])
            ]
            continue
        if own and one.milder != one.value and _seen(detector, one, final):
            found.append(Ladder(one.stage, one.name, True, own))
        fewer = one.attribute == "limit" and not final
        if (fewer or one.attribute == "vote_sigma") and one.stricter != one.value:
            found.append(Ladder(one.stage, one.name, False, 0))
    others = sum(count for name, count in lost.items() if name not in {*decided, "found", "unknown_class"})
    found += [Ladder(INPUT, "min_size", up, others) for up in (True, False)]
    return sorted(found, key=lambda ladder: (not ladder.lets_vote, -ladder.lost))


def _seen(detector: Detector, one: Setting, final: bool) -> bool:
    """Whether AP could see more boxes: COCO counts so many of a class."""
    return not final or one.attribute != "limit" or len(detector.names) > 1 or one.value < LIMIT


def fewer_boxes(detector: Detector) -> list[Ladder]:
    """The numbers of boxes that cost time: those of every stage, but how many the last one keeps."""
    numbers = [one for one in settings_of(detector.stages) if one.attribute in ("pre_nms_top_n", "limit")]
    return [
        Ladder(one.stage, one.name, False, 0)
        for one in numbers
        if one.attribute != "limit" or one.number < len(detector.stages) - 1
    ]
