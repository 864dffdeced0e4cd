"""Three operators with outputs of fixed shape, so that a graph holds no size that depends on what it finds.

Each is an operator of torch with an implementation in eager mode, which calls the plain function, and the
shape of its result for tracing. While a graph is traced, the plain functions call the operators.
:mod:`masu.exports.onnx_operators` has them in standard ONNX.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from masu.ops.images import InputPolicy, batch_images
from masu.ops.nms import suppress as of_lists
from masu.ops.roi_align import roi_align


@torch.library.custom_op("masu::canvas", mutates_args=())
def canvas(
    images: Tensor,
    min_size: int,
    max_size: int,
    divisor: int,
    mean: Sequence[float],
    std: Sequence[float],
    rgb: bool,
) -> tuple[Tensor, Tensor]:
    """Resize, normalise and pad a batch, as :func:`masu.ops.images.batch_images`.

    Args:
        images: ``(N, C, H, W)``, uint8 0..255 with ``rgb``, else float32.
        min_size: see :class:`masu.ops.images.InputPolicy`, like the others.
        max_size: see there.
        divisor: see there.
        mean: see there.
        std: see there.
        rgb: photographs (``channels`` of the policy is None); else the values are taken as they are.

    Returns:
        The network's input ``(N, C, H', W')`` and the height and width of the images in it, ``(2,)`` float32.
    """
    channels = None if rgb else len(mean)
    policy = InputPolicy(min_size, max_size, tuple(mean), tuple(std), divisor, channels)
    batch = batch_images(list(images if rgb else images.to(torch.float32)), policy)
    return batch.pixels.contiguous(), batch.sizes[0].to(torch.float32)


@canvas.register_fake
def _canvas_shape(
    images: Tensor,
    min_size: int,
    max_size: int,
    divisor: int,
    mean: Sequence[float],
    std: Sequence[float],
    rgb: bool,
) -> tuple[Tensor, Tensor]:
    # Sizes of their own, not those of the traced images: a level that is one cell high or wide there would
    # be traced as one that always is, and with a small ``min_size`` a level is in every image.
    context = torch.library.get_ctx()
    rows, columns = (divisor * context.new_dynamic_size(min=1) for _ in range(2))
    made = images.new_empty((*images.shape[:2], rows, columns), dtype=torch.float32)
    return made, images.new_empty((2,), dtype=torch.float32)


@torch.library.custom_op("masu::suppress", mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, count: int, threshold: float) -> Tensor:
    """Greedy non-maximum suppression within each list and group: :func:`masu.ops.nms.suppress`.

    Args:
        boxes: ``(B, S, 4)`` xyxy.
        scores: ``(B, S)``; minus infinity: not in the list.
        groups: ``(B, S)`` int64 in ``0..count-1``; not looked at where there is one.
        count: number of groups.
        threshold: largest IoU of two kept boxes of a group.

    Returns:
        ``(B, S)`` bool, true where kept.
    """
    return of_lists(boxes, scores, groups if count > 1 else None, threshold, count)


@suppress.register_fake
def _suppress_shape(boxes: Tensor, scores: Tensor, groups: Tensor, count: int, threshold: float) -> Tensor:
    return torch.empty(scores.shape, dtype=torch.bool, device=scores.device)


@torch.library.custom_op("masu::pool", mutates_args=())
def pool(
    features: Sequence[Tensor],
    boxes: Tensor,
    image: Tensor,
    level: Tensor,
    strides: Sequence[int],
    cells: int,
) -> Tensor:
    """RoIAlign of every box from its level: :func:`masu.ops.roi_align.roi_align`."""
    return roi_align(features, boxes, image, level, strides, cells).contiguous()


@pool.register_fake
def _pool_shape(
    features: Sequence[Tensor],
    boxes: Tensor,
    image: Tensor,
    level: Tensor,
    strides: Sequence[int],
    cells: int,
) -> Tensor:
    return features[0].new_empty((boxes.shape[0], features[0].shape[1], cells, cells))
