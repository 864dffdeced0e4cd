"""One object, one number through the frames: ByteTrack of the package trackers, in the words of masu."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from masu.errors import bad_input
from masu.records import Detections
from masu.thresholds import DEFAULT_THRESHOLD, Threshold

WEAK = 0.2
"""Share of its threshold from which on a box may continue an object, though not begin one."""
_EVEN = 0.5


class Tracker:
    """Numbers objects through one film; ByteTrack (Zhang et al. 2022) as the package trackers has it.

    A box at or above its class's threshold begins an object; one from a fifth of it may continue an object
    that is known. An object has its number from its second frame on, and keeps it for a second in which it
    is not found. The classes are followed together: what a detector calls a cat in one frame and a dog in
    the next is one animal.

    Args:
        threshold: one number or one per class.
        rate: frames of a second that it will see; None where that is not known.

    Raises:
        InputError: without the package.
    """

    def __init__(self, threshold: Threshold, rate: float | None) -> None:
        self.threshold = threshold
        self._supervision, kind = _packages()
        self._tracker = kind(
            frame_rate=rate or 30.0, track_activation_threshold=_EVEN, high_conf_det_threshold=_EVEN
        )

    def follow(self, found: Detections, seconds: float | None) -> tuple[Detections, tuple[int | None, ...]]:
        """What of a frame's boxes is shown, and whose they are.

        Args:
            found: boxes of the next frame, from :func:`least` on.
            seconds: when that frame is shown; None counts frames.

        Returns:
            The boxes that belong to an object, and those at or above the threshold that do not (yet), best
            score first; with each the number of its object, from 1, or None.
        """
        lines = np.array([_line(self.threshold, name) for name in found.names], np.float64)
        scores = found.scores.numpy().astype(np.float64)
        given = self._supervision.Detections(
            xyxy=found.boxes.numpy().reshape(-1, 4),
            confidence=evened(scores, lines),
            class_id=np.arange(len(found)),
        )
        told = self._tracker.update(given, timestamp=seconds)
        numbers: list[int | None] = [None] * len(found)
        for row, number in zip(told.class_id if len(told) else (), told.tracker_id, strict=False):
            numbers[int(row)] = int(number) + 1 if number >= 0 else None
        kept = [row for row, n in enumerate(numbers) if n is not None or scores[row] >= lines[row]]
        return found[torch.tensor(kept, dtype=torch.int64)], tuple(numbers[row] for row in kept)


def least(threshold: Threshold, names: Sequence[str]) -> Threshold:
    """The scores from which on a tracker wants to see boxes of these classes: a fifth of their thresholds."""
    return {name: WEAK * _line(threshold, name) for name in names}


def evened(scores: np.ndarray[Any, Any], lines: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Scores moved so that each one's own threshold lies at 0.5; 0, the threshold and 1 are joined by lines.

    Args:
        scores: ``(k,)`` in 0..1.
        lines: ``(k,)`` threshold of each.

    Returns:
        ``(k,)`` in 0..1.
    """
    below = scores / np.maximum(lines, 1e-12)
    above = (scores - lines) / np.maximum(1 - lines, 1e-12)
    moved = np.where(scores < lines, _EVEN * below, _EVEN + (1 - _EVEN) * above)
    return np.asarray(moved.clip(0, 1))


def _line(threshold: Threshold, name: str) -> float:
    return threshold.get(name, DEFAULT_THRESHOLD) if isinstance(threshold, Mapping) else threshold


def _packages() -> tuple[Any, Any]:
    try:
        import supervision
        from trackers import ByteTrackTracker
    except ImportError as error:  # also of OpenCV, which it loads, where a library of the system is missing
        fix = "pip install 'masu[video]'"
        raise bad_input("trackers", f"{error}", "the package trackers", fix, code="missing-package") from None
    return supervision, ByteTrackTracker
