"""How well objects were followed: HOTA, IDF1 and MOTA, computed by the package trackers as TrackEval does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from masu.errors import bad_input
from masu.films.frame import Array
from masu.films.mot import MotRows, read_mot

_DISTRACTORS = (2, 7, 8, 12)
"""The MOT Challenge's classes that are neither right nor wrong: people on vehicles, statues, mirrors."""


@dataclass(frozen=True)
class TrackMetrics:
    """How well objects were followed through one film; shares are 0..1.

    Attributes:
        frames: from the first that has a row in either file to the last.
        objects: number of objects in the truth.
        tracks: number of objects that were followed.
        hota: √(DetA · AssA), mean over IoU from 0.05 to 0.95 (Luiten et al. 2021).
        deta: how well objects were found: TP / (TP + FN + FP).
        assa: how well they kept their numbers.
        loca: mean IoU of what was found.
        idf1: share of boxes whose number is the one that the object mostly has, at IoU 0.5 (Ristani 2016).
        idp: of what was found.
        idr: of the truth.
        mota: 1 − (misses + false alarms + switches) / boxes of the truth; may be negative (Bernardin 2008).
        motp: mean IoU of the boxes that were found, at IoU 0.5.
        recall: share of the truth's boxes that were found.
        precision: share of what was found that is right.
        misses: boxes of the truth that were not found.
        false_alarms: boxes that were found and are no object.
        switches: how often an object's number changed.
        fragments: how often an object was lost and found again.
    """

    frames: int
    objects: int
    tracks: int
    hota: float
    deta: float
    assa: float
    loca: float
    idf1: float
    idp: float
    idr: float
    mota: float
    motp: float
    recall: float
    precision: float
    misses: int
    false_alarms: int
    switches: int
    fragments: int

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them."""
        return asdict(self)


def evaluate_tracks(found: str | Path, truth: str | Path) -> TrackMetrics:
    """Measure how well objects were followed.

    Args:
        found: a file of the MOT Challenge, such as ``masu detect --track --to mot`` writes; boxes with the
            id −1 belong to no object and are left out.
        truth: such a file, or a folder of that challenge with ``gt/gt.txt``. Rows whose 7th number is 0 do
            not count; boxes found on one of them that is of a distractor class (2, 7, 8, 12) neither.
            Classes are not told apart otherwise.

    Returns:
        The figures. HOTA is the mean over IoU from 0.05 to 0.95, all others are at IoU 0.5.

    Raises:
        InputError: for a file that is missing or has another row, truth without an object that counts, or
            without the package trackers (``pip install 'masu[video]'``).
    """
    try:
        from trackers.eval import compute_clear_metrics, compute_hota_metrics, compute_identity_metrics
    except ImportError:
        fix = "pip install 'masu[video]'"
        raise bad_input(
            "trackers", "no such package", "the package trackers", fix, code="missing-package"
        ) from None
    all_truth, all_found = read_mot(truth), read_mot(found)
    counts = (all_truth.score != 0) & (all_truth.track >= 0)
    if not counts.any():
        raise bad_input(truth, "no object that counts", "at least one row whose 7th number is not 0")
    ids, numbers, overlaps = [], [], []
    frames = np.unique(np.concatenate([all_truth.frame, all_found.frame]))
    known, followed = np.unique(all_truth.track[counts]), np.unique(all_found.track[all_found.track >= 0])
    for frame in frames:
        there = all_truth.frame == frame
        seen = _without_distractors(
            all_truth, there, np.flatnonzero((all_found.frame == frame) & (all_found.track >= 0)), all_found
        )
        there &= counts
        ids.append(np.searchsorted(known, all_truth.track[there]))
        numbers.append(np.searchsorted(followed, all_found.track[seen]))
        overlaps.append(_iou(all_truth.xywh[there], all_found.xywh[seen]))
    clear = compute_clear_metrics(ids, numbers, overlaps, threshold=0.5)
    hota = compute_hota_metrics(ids, numbers, overlaps)
    identity = compute_identity_metrics(ids, numbers, overlaps, threshold=0.5)
    return TrackMetrics(
        frames=int(frames[-1] - frames[0] + 1),
        objects=len(known),
        tracks=len(followed),
        hota=float(hota["HOTA"]),
        deta=float(hota["DetA"]),
        assa=float(hota["AssA"]),
        loca=float(hota["LocA"]),
        idf1=float(identity["IDF1"]),
        idp=float(identity["IDP"]),
        idr=float(identity["IDR"]),
        mota=float(clear["MOTA"]),
        motp=float(clear["MOTP"]),
        recall=float(clear["CLR_Re"]),
        precision=float(clear["CLR_Pr"]),
        misses=int(clear["CLR_FN"]),
        false_alarms=int(clear["CLR_FP"]),
        switches=int(clear["IDSW"]),
        fragments=int(clear["Frag"]),
    )


def _without_distractors(truth: MotRows, there: Array, seen: Array, found: MotRows) -> Array:
    """The rows of a frame that were found without those on distractors, matched as TrackEval matches them."""
    from scipy.optimize import linear_sum_assignment

    if not (np.isin(truth.kind[there], _DISTRACTORS).any() and len(seen)):
        return seen
    overlaps = _iou(truth.xywh[there], found.xywh[seen])
    overlaps[overlaps < 0.5 - 1e-9] = 0
    rows, columns = linear_sum_assignment(-overlaps)
    matched = overlaps[rows, columns] > 0
    on = np.isin(truth.kind[there][rows[matched]], _DISTRACTORS)
    return np.delete(seen, columns[matched][on])


def _iou(a: Array, b: Array) -> Array:
    """``(N, M)`` IoU of boxes ``(N, 4)`` and ``(M, 4)``, x y width height."""
    least = np.maximum(a[:, None, :2], b[None, :, :2])
    most = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    both: Array = (most - least).clip(0).prod(-1)  # (N, M)
    either = a[:, 2:].prod(-1)[:, None] + b[:, 2:].prod(-1)[None] - both
    return np.asarray(both / np.maximum(either, np.finfo(np.float64).tiny))
