"""Ranking and suppression: the best of many scores, and which boxes are kept.

Suppression is greedy within groups, on the coordinates as they are. A plain and a compiled form give the same
answer to the bit; which of them runs follows from the input, the device and what is installed. Half precision
and whole numbers are compared in float32; a shape that does not fit is a ValueError.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from masu.ops.checks import as_single, check_boxes, check_shape
from masu.ops.geometry import area, iou

ABSENT = float("-inf")
"""Score of a row that is not there."""

WORTH_COMPILING = 1000
"""Boxes in a call from which the compiled form serves: it gains a millisecond there, and smaller calls less.
To load it takes about a second once, in a process that has numba installed for speed."""

MIN_THRESHOLD = 0.1
"""From which the compiled form serves: below it, looking for overlaps nearby is as slow as comparing all."""

MIN_AREA = 1e-30
"""Of smaller boxes single precision has so few digits that an overlap can come out several times too large,
and the compiled form, which looks nearby only, might miss it."""


def nms(boxes: Tensor, scores: Tensor, threshold: float, limit: int | None = None) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        boxes: ``(R, 4)`` xyxy.
        scores: ``(R,)``; of equal scores the earlier row comes first.
        threshold: a box is dropped when its IoU with a kept box of higher score is above this.
        limit: the most boxes to keep; default: all that survive.

    Returns:
        Indices of the kept boxes, best score first.
    """
    return _greedy(boxes, scores, None, threshold, limit)


def batched_nms(
    boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float, limit: int | None = None
) -> Tensor:
    """:func:`nms` within each group (feature level, class); boxes of different groups never meet.

    Args:
        boxes: ``(R, 4)`` xyxy.
        scores: ``(R,)``.
        groups: ``(R,)`` int64.
        threshold: as in :func:`nms`.
        limit: the most boxes to keep over all groups; default: all that survive.

    Returns:
        Indices of the kept boxes, best score first, over all groups.
    """
    return _greedy(boxes, scores, groups, threshold, limit)


def suppressors(boxes: Tensor, groups: Tensor, usable: Tensor, survivors: Tensor, threshold: float) -> Tensor:
    """Which survivor of :func:`batched_nms` each dropped box gave way to.

    Args:
        boxes: ``(R, 4)`` xyxy.
        groups: ``(R,)`` int64.
        usable: ``(R,)`` booleans, the boxes that took part.
        survivors: ``(k,)`` indices of all that survived, best first.
        threshold: as it was.

    Returns:
        ``(R,)`` int64: of a dropped box the index of the best scored survivor of its group that overlaps it
        by more than the threshold, else −1.
    """
    found = torch.full_like(groups, -1)
    dropped = usable.clone()
    dropped[survivors] = False
    for group in set(groups[dropped].tolist()):
        weak = torch.where(dropped & (groups == group))[0]
        strong = survivors[groups[survivors] == group]
        overlap = iou(boxes[weak], boxes[strong])
        above = overlap > threshold
        # suppression may round otherwise: where nothing is above here, it was the largest overlap
        best = torch.where(above.any(1), above.byte().argmax(1), overlap.argmax(1))
        found[weak] = strong[best]
    return found


def suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor | None, threshold: float, count: int = 1
) -> Tensor:
    """:func:`batched_nms` of many lists at once, as a mask: every row keeps its place.

    Args:
        boxes: ``(B, S, 4)`` xyxy.
        scores: ``(B, S)``; a row of minus infinity (or NaN) is not there.
        groups: ``(B, S)`` int64 in ``0..count-1``; default: each list is one group.
        threshold: as in :func:`nms`.
        count: number of groups.

    Returns:
        ``(B, S)`` booleans, true where a row is kept.

    Raises:
        ValueError: a group of a present row outside ``0..count-1``.
    """
    if torch.compiler.is_exporting():
        own = torch.zeros_like(scores, dtype=torch.int64) if groups is None else groups
        exported: Tensor = torch.ops.masu.suppress(boxes, scores, own, count, threshold)
        return exported
    _check(boxes, scores, groups, "B", "S")
    number, row = torch.where(scores > ABSENT)
    group = number
    if groups is not None and len(row):
        own = groups[number, row]
        least, most = torch.stack(own.aminmax()).tolist()
        if least < 0 or most >= count:
            found = least if least < 0 else most
            raise ValueError(f"groups: found {found}, wanted 0..{count - 1}; give their number as count")
        group = number * count + own
    kept = batched_nms(boxes[number, row], scores[number, row], group, threshold)
    keep = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    keep[number[kept], row[kept]] = True
    return keep


def _greedy(
    boxes: Tensor, scores: Tensor, groups: Tensor | None, threshold: float, limit: int | None
) -> Tensor:
    """The kept rows, best first; ``groups`` None: all boxes are of one."""
    _check(boxes, scores, groups, "R")
    if limit is not None and limit < 0:
        raise ValueError(f"limit: found {limit}, wanted at least 0")
    kind = torch.promote_types(as_single(boxes).dtype, as_single(scores).dtype)
    boxes, scores = boxes.to(kind), scores.to(kind)
    if _may_be_compiled(boxes, scores, threshold) and (run := compiled()):
        order = scores.argsort(descending=True, stable=True)
        groups = torch.zeros_like(order) if groups is None else groups.to(torch.int64)
        most = len(boxes) if limit is None else limit
        arrays = (x.detach().contiguous().numpy() for x in (boxes, groups, order))
        return torch.from_numpy(run(*arrays, float(threshold), most))
    return plain(boxes, scores, groups, threshold)[:limit]


def _check(boxes: Tensor, scores: Tensor, groups: Tensor | None, *letters: str) -> None:
    """Refuse boxes that are none, and scores or groups that are not one per box."""
    check_boxes("boxes", boxes, *letters)
    check_shape("scores", scores, boxes.shape[:-1], ", one per box")
    if groups is not None:
        check_shape("groups", groups, boxes.shape[:-1], ", one per box")
        if groups.dtype.is_floating_point or groups.dtype.is_complex:
            raise ValueError(f"groups: found {groups.dtype}, wanted whole numbers")


def plain(boxes: Tensor, scores: Tensor, groups: Tensor | None, threshold: float) -> Tensor:
    """Greedy suppression, torchvision's of each group: the kept rows, best first, of equals the earlier.

    Its own ``batched_nms`` moves the groups apart instead where boxes are few, and thereby rounds them.
    """
    from torchvision.ops import nms as of_group  # a second to import, which not every use of masu.ops needs

    if groups is None:
        kept: Tensor = of_group(boxes, scores, threshold)
        return kept
    order = groups.argsort(stable=True)
    lengths = torch.unique_consecutive(groups[order], return_counts=True)[1].tolist()
    parts = (torch.split(x, lengths) for x in (order, boxes[order], scores[order]))
    found = [rows[of_group(*part, threshold)] for rows, *part in zip(*parts, strict=True)]
    rows = torch.cat([*found, order[:0]]).sort().values
    return rows[scores[rows].argsort(descending=True, stable=True)]


def _may_be_compiled(boxes: Tensor, scores: Tensor, threshold: float) -> bool:
    """Whether the compiled form is worth loading and sure to give the plain form's answer."""
    if boxes.device.type != "cpu" or len(boxes) < WORTH_COMPILING:
        return False
    if not boxes.dtype == scores.dtype == torch.float32:
        return False
    areas = area(boxes.detach())
    return MIN_THRESHOLD <= threshold <= 1 and not ((areas > 0) & (areas < MIN_AREA)).any()


@functools.cache
def compiled() -> Callable[..., Any] | None:
    """:func:`masu.ops.compiled_nms.suppress`, or None where numba (``masu[fast]``) cannot serve.

    That is where it is not installed, (RuntimeError) finds no folder that it may keep compiled code in, or
    where torchvision was built to round otherwise.
    """
    try:
        from masu.ops.compiled_nms import suppress
    except (ImportError, RuntimeError):
        return None
    return suppress if _rounds_every_product() else None


def _rounds_every_product() -> bool:
    """Whether torchvision rounds a product before it subtracts it.

    Compilers for processors with a fused multiply-add may leave that rounding out. Then the IoU of these two
    boxes lies one unit in the last place above what it is here, and one of them is dropped.
    """
    boxes = torch.tensor([[0.0, 0.0, 20.1, 24.3], [0.0, 0.0, 38.8, 29.2]])
    return len(plain(boxes, torch.ones(2), None, 0.4311096668243408)) == 2


def top_k(scores: Tensor, k: int, above: float = ABSENT) -> tuple[Tensor, Tensor]:
    """The ``k`` best entries of each row that are above a bound, best first; which of equal ones is open.

    Args:
        scores: ``(N, S)``; ``S`` may be less than ``k``, and 0.
        k: entries of the result.
        above: only entries greater than this count; a finite bound that few exceed saves most of the time.

    Returns:
        ``values (N, k)`` and ``index (N, k)`` int64, the columns; minus infinity and 0 where there are fewer.
    """
    if torch.compiler.is_exporting():
        return _exported_top_k(scores, k, above)
    if above == ABSENT:
        most = min(k, scores.shape[1])
        values, index = scores.topk(most, dim=1)
        if values[:, :1].isnan().any():  # NaN is ranked above all numbers
            values, index = torch.where(scores > above, scores, ABSENT).topk(most, dim=1)
        missing = (0, k - most)
        return F.pad(values, missing, value=ABSENT), F.pad(torch.where(values > ABSENT, index, 0), missing)
    values, index = _nothing(scores, k)
    for i, row in enumerate(scores):  # apart: which of equal ones topk takes depends on how many there are
        column = torch.where(row > above)[0]
        best = row[column].topk(min(k, len(column)))
        values[i, : len(best.values)] = best.values
        index[i, : len(best.values)] = column[best.indices]
    return values, index


def best_first(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` best entries of each row, best first, of equal ones the earlier column first.

    Args:
        scores: ``(N, S)``, minus infinity (or NaN) where nothing is; ``S`` may be less than ``k``, and 0.
        k: entries of the result.

    Returns:
        ``values (N, k)`` and ``index (N, k)`` int64, the columns; minus infinity and 0 where there are fewer.
    """
    if torch.compiler.is_exporting():
        return _exported_top_k(scores, k, ABSENT)
    row, column = torch.where(scores > ABSENT)
    present = scores[row, column]
    order = present.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]  # row by row, best first
    counts = torch.bincount(row, minlength=len(scores))
    place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    first = place < k
    row, place, order = row[first], place[first], order[first]
    values, index = _nothing(scores, k)
    values[row, place] = present[order]
    index[row, place] = column[order]
    return values, index


def _exported_top_k(scores: Tensor, k: int, above: float) -> tuple[Tensor, Tensor]:
    """As a graph of fixed sizes; ONNX takes the earlier of equal entries."""
    values, index = F.pad(torch.where(scores > above, scores, ABSENT), (0, k), value=ABSENT).topk(k, dim=1)
    return values, torch.where(values > ABSENT, index, 0)


def _nothing(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    size = (len(scores), k)
    return scores.new_full(size, ABSENT), torch.zeros(size, dtype=torch.int64, device=scores.device)
