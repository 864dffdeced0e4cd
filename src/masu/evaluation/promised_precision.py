"""Thresholds that promise a precision: of the boxes shown in a new image, a wanted share is right on average.

Precision does not rise with the threshold everywhere, so that a threshold cannot be searched for as one with
a promised recall. It is tested ("Learn then Test", Angelopoulos et al. 2021): for a threshold ``t`` the
images that show a box of the class are independent draws, and the share of an image's shown boxes that is
wrong lies in 0..1. That its mean is above ``1 − precision`` is refuted by the p-value of Hoeffding and
Bentkus (Bates et al. 2021, proposition 6). Thresholds are tested in an order fixed beforehand, from each of
three starts downward until the first that is not refuted, each start with a third of the allowed error. So
with a probability of at least 0.9 over the drawing of the images, the promise holds for the chosen threshold.

An image counts once, however many boxes it shows; images that show none do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from masu.detectors.calibration import Calibration
from masu.errors import InputError, bad_input, counted
from masu.evaluation.matches import ImageMatch
from masu.evaluation.overlaps import Array

CERTAINTY = 0.9
"""Probability with which the promise of a class holds."""

STARTS = (95, 80, 50)
"""Hundredths of a score of the network from which thresholds are tried, downward."""

_SURE = (1 - CERTAINTY) / len(STARTS)
"""Largest p-value that refutes."""

_GRID = np.arange(1, STARTS[0] + 1) / 100


def precision_thresholds(
    matches: Sequence[ImageMatch],
    names: Sequence[str],
    precision: float,
    calibration: Calibration | None = None,
) -> dict[str, float]:
    """The smallest threshold of each class that promises a precision at IoU 0.5.

    Args:
        matches: of each image, of all detections.
        names: class names.
        precision: mean share of an image's shown boxes of the class that are to be right, in images that show
            any.
        calibration: what the detections' scores were made with. The thresholds that are tried are of the
            network's own scores, which do not depend on these images.

    Returns:
        Class name → threshold, of the classes of which anything is found at all. Each promise holds with a
        probability of ``CERTAINTY``.

    Raises:
        InputError: for a class for which it cannot be promised, with what could be.
    """
    grid = torch.from_numpy(_GRID)
    thresholds = {}
    for k, name in enumerate(names):
        tried = grid if calibration is None else calibration.scores(grid, torch.full((len(grid),), k), names)
        wrong, shown = _counts(matches, k, tried.numpy().astype(np.float32))
        if not shown.any():
            continue
        kept = _refuted(wrong, shown, 1 - precision)
        if not kept:
            raise _not_promised(wrong, shown, name, precision)
        thresholds[name] = float(tried[min(kept)])
    return thresholds


def refuse_precision(precision: float, images: int) -> None:
    """Refuse, before the network runs, what so few images cannot promise whatever is found in them.

    Raises:
        InputError: with the least number of images; for a precision of 1, which nothing can promise.
    """
    if precision >= 1:
        raise bad_input(
            "--precision", f"{precision:g}", "a share below 1: no data can promise all", code="out-of-range"
        )
    least = 1 if precision <= 0 else math.ceil(math.log(_SURE) / math.log(precision) - 1e-9)
    if images < least:
        raise bad_input(
            f"--precision {precision:g}",
            counted(images, "image"),
            f"at least {least}",
            "or a smaller --precision",
            code="out-of-range",
        )


def wrong_shares(matches: Sequence[ImageMatch], k: int, threshold: float) -> Array:
    """``(m,)`` share of an image's shown boxes of a class that is wrong, of the images that show any."""
    wrong, shown = _counts(matches, k, np.array([threshold], np.float32))
    shares: Array = wrong[shown > 0] / shown[shown > 0]
    return shares


def p_value(shares: Array, most: float) -> float:
    """How far independent shares in 0..1 are from a mean above ``most``: the p-value of Hoeffding-Bentkus.

    Args:
        shares: ``(n,)``.
        most: in 0..1.
    """
    from scipy.stats import binom

    n = len(shares)
    mean = float(shares.mean()) if n else 1.0
    if mean >= most:
        return 1.0
    apart = (1 - mean) * math.log((1 - mean) / (1 - most)) + (mean and mean * math.log(mean / most))
    bentkus = math.e * float(binom.cdf(math.ceil(n * mean - 1e-9), n, most))
    return min(math.exp(-n * apart), bentkus)


def _counts(matches: Sequence[ImageMatch], k: int, thresholds: Array) -> tuple[Array, Array]:
    """``(N, T)`` wrong and shown boxes of a class from each threshold on."""
    rows = []
    for match in matches:
        own = (match.labels == k) & ~match.left_out
        scores = match.detections.scores.float().cpu().numpy()[own]
        from_on = scores[:, None] >= thresholds
        rows.append((from_on[match.wrong[own]].sum(0), from_on.sum(0)))
    wrong, shown = np.array(rows).reshape(-1, 2, len(thresholds)).swapaxes(0, 1)
    return wrong, shown


def _refuted(wrong: Array, shown: Array, most: float) -> list[int]:
    """Which thresholds of the grid, by their place, have a mean wrong share of at most ``most``."""
    kept = []
    for start in STARTS:
        for place in range(start - 1, -1, -1):
            if not _is_refuted(wrong[:, place], shown[:, place], most):
                break
            kept.append(place)
    return kept


def _is_refuted(wrong: Array, shown: Array, most: float) -> bool:
    own = shown > 0
    return p_value(wrong[own] / shown[own], most) <= _SURE


def _not_promised(wrong: Array, shown: Array, name: str, precision: float) -> InputError:
    possible = next(
        (
            share / 100
            for share in range(99, 0, -1)
            if any(_is_refuted(wrong[:, s - 1], shown[:, s - 1], 1 - share / 100) for s in STARTS)
        ),
        0.0,
    )
    images = counted(int((shown[:, STARTS[-1] - 1] > 0).sum()), "image")
    return bad_input(
        f"--precision {precision:g}",
        f"{images} that show class {name!r} from a score of 0.5 on, which can promise {possible:.2f} at most",
        "a better model or more images",
        "or a smaller --precision",
        code="out-of-range",
    )
