"""A detector partitioned where it suppresses boxes, for runtimes with fixed sizes and no suppression.

Each part is a network of one image: the first from pixels to the boxes of the first stage, each later one
from boxes that the stage before kept to those of the next. Between them is NumPy, :mod:`masu.partition`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

import masu.ops.operators  # noqa: F401 the operator that is another below
from masu.detectors.calibration import SAME
from masu.detectors.detector import Detector
from masu.detectors.raw import Raw
from masu.detectors.stages import Kept, Rows, Stage
from masu.ops.geometry import clip
from masu.ops.images import InputPolicy, padded_size
from masu.ops.nms import ABSENT
from masu.ops.roi_align_by_products import roi_align_by_products
from masu.partition import Partition, Step
from masu.records import ImageBatch

DECOMPOSED = {torch.ops.masu.pool.default: roi_align_by_products}
"""The operators of :mod:`masu.ops.operators` that a part may hold, as others."""


def canvas_for(policy: InputPolicy, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The smallest canvas that holds images of all these heights and widths, each resized as the model wants.

    Args:
        policy: of the model.
        sizes: heights and widths of images in pixels, at least one.

    Returns:
        Height and width in pixels of the network's input.
    """
    padded = [padded_size(height, width, policy) for height, width in sizes]
    return max(height for height, _ in padded), max(width for _, width in padded)


class First(nn.Module):
    """From pixels to the first stage's rows, and to the maps that later parts look at.

    Args:
        detector: one for prediction.
        canvas: height and width of the network's input.
    """

    def __init__(self, detector: Detector, canvas: tuple[int, int]) -> None:
        super().__init__()
        self.detector, self.canvas = detector, canvas

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(1, h, w, C)`` float32, photographs 0 to 255, other channels as they are → ranking, boxes, maps.

        The ranking is ``(1, R, K)``, the boxes ``(1, R, K or 1, 4)`` in pixels of the canvas, not yet cut to
        the image.
        """
        policy = self.detector.input
        largest = 255 if policy.channels is None else 1
        std, mean = torch.tensor(policy.std), torch.tensor(policy.mean)
        pixels = images / (std * largest) - mean / std
        raw = self.detector.network(_batch(pixels.permute(0, 3, 1, 2), self.canvas))
        stage = self.detector.stages[0]
        maps = raw.features if len(self.detector.stages) > 1 else ()
        return *_rows(stage, stage.look(raw, None)), *maps


class Later(nn.Module):
    """From kept boxes to the rows of the stage that suppresses next; stages before it only move boxes.

    Args:
        detector: one for prediction.
        canvas: height and width of the network's input.
        stages: the stages of this part, in order.
    """

    def __init__(self, detector: Detector, canvas: tuple[int, int], stages: Sequence[Stage]) -> None:
        super().__init__()
        self.detector, self.canvas, self.stages = detector, canvas, tuple(stages)

    def forward(self, boxes: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Boxes ``(1, D, 4)`` in pixels of the canvas → ranking and boxes, as :class:`First`.

        Beside them the maps; before these, where boxes are moved, height and width ``(1, 2)`` of the image.
        """
        *moving, last = self.stages
        told, maps = (others[:1], others[1:]) if moving else ((), others)
        batch = _batch(boxes.new_zeros((1, 1, *self.canvas)), self.canvas)
        raw = Raw(batch, maps, ())
        count = boxes.shape[1]
        number = torch.zeros((1, count), dtype=torch.int64)
        kept = Kept(boxes, boxes.new_ones((1, count)), number, torch.tensor([count]), number)
        for stage in moving:
            (rows,) = stage.look(raw, kept)
            moved = stage.decode(rows.deltas[:, :, 0], rows.boxes)
            kept = kept.with_boxes(clip(moved, told[0][:, None]))
        return _rows(last, last.look(raw, kept))


def _batch(pixels: Tensor, canvas: tuple[int, int]) -> ImageBatch:
    size = torch.tensor([canvas], dtype=torch.float32)
    return ImageBatch(pixels, size, size)


def _rows(stage: Stage, levels: Sequence[Rows]) -> tuple[Tensor, Tensor]:
    """Ranking and decoded boxes of all levels, one after the other."""
    boxes = [stage.decode(rows.deltas, rows.boxes[..., None, :]) for rows in levels]
    return torch.cat([rows.ranking for rows in levels], dim=1), torch.cat(boxes, dim=1)


def partitioned(
    detector: Detector, canvas: tuple[int, int]
) -> tuple[Partition, list[tuple[nn.Module, tuple[Tensor, ...]]]]:
    """A detector's parts, each with an example of its inputs, and what to do between them.

    Args:
        detector: one for prediction, see :class:`masu.detectors.prediction.PredictionNetwork`; it is copied.
        canvas: height and width of the network's input, see :func:`canvas_for`.

    Returns:
        What a runtime has to know besides the parts, and the parts in order.
    """
    detector = _contiguous(detector)
    policy, groups = detector.input, _groups(detector.stages)
    pixels = torch.zeros((1, *canvas, len(policy.mean)))
    first = First(detector, canvas).eval()
    with torch.no_grad():
        raw = detector.network(_batch(pixels.permute(0, 3, 1, 2), canvas))
    parts: list[tuple[nn.Module, tuple[Tensor, ...]]] = [(first, (pixels,))]
    steps = [_step(groups[0][-1], raw.counts)]
    for group in groups[1:]:
        given = steps[-1].limit
        example = torch.tensor([8.0, 8.0, 72.0, 72.0]).expand(1, given, 4).contiguous()
        told = (torch.tensor([canvas], dtype=torch.float32),) if len(group) > 1 else ()
        parts.append((Later(detector, canvas, group).eval(), (example, *told, *raw.features)))
        steps.append(_step(group[-1], (given,), moves=bool(told)))
    largest = 255.0 if policy.channels is None else 1.0
    return Partition(
        canvas=canvas,
        min_size=policy.min_size,
        max_size=policy.max_size,
        padding=tuple(largest * mean for mean in policy.mean),
        steps=tuple(steps),
        calibration=_points(detector),
    ), parts


def traced(part: nn.Module, example: tuple[Tensor, ...]) -> ExportedProgram:
    """A part as a program of standard operators.

    Args:
        part: of :func:`partitioned`.
        example: its inputs.

    Returns:
        The program of ``torch.export``, whose sizes are those of the example.
    """
    with torch.no_grad():
        program = torch.export.export(part, example, strict=False)
        standard: ExportedProgram = program.run_decompositions(dict(DECOMPOSED))
        return standard


def _step(stage: Stage, rows: Sequence[int], *, moves: bool = False) -> Step:
    assert stage.limit is not None
    return Step(
        rows=tuple(rows),
        by_class=stage.by_class,
        ranks_logits=stage.ranks_logits,
        least=None if stage.least == ABSENT else stage.least,
        pre_nms_top_n=stage.pre_nms_top_n,
        min_size=stage.min_size,
        nms_thresh=stage.nms_thresh,
        limit=stage.limit,
        vote_sigma=stage.vote_sigma,
        moves=moves,
    )


def _points(detector: Detector) -> tuple[tuple[tuple[float, float], ...], ...] | None:
    if detector.calibration is None:
        return None
    return tuple(detector.calibration.points.get(name, SAME) for name in detector.names)


def _contiguous(detector: Detector) -> Detector:
    """A copy whose tensors lie in memory as their shapes say: converters read them without their strides."""
    own = copy.deepcopy(detector)
    for tensor in [*own.parameters(), *own.buffers()]:
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    return own


def _groups(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Stages in order, those that only move boxes together with the one that they move them for."""
    groups: list[list[Stage]] = [[]]
    for stage in stages:
        groups[-1].append(stage)
        if stage.nms_thresh is not None or stage.limit is not None:
            groups.append([])
    return groups[:-1]
