"""Arithmetic of detection: pure functions on tensors, without state and without ``nn.Module``.

The names in ``__all__`` are public: ``import masu`` and write ``masu.ops.iou(a, b)``. All files are imported
here at once, since two functions are named as their files, and an import later on would put the file there.
"""

from masu.ops import operators as operators  # registers torch.ops.masu, which functions call in an export
from masu.ops.anchors import cell_anchors, fit_anchors, grid_anchors, level_strides
from masu.ops.best_anchor import best_anchors
from masu.ops.coder import decode, encode
from masu.ops.geometry import area, clip, covered, degenerate, intersection, iou, resize
from masu.ops.images import InputPolicy, batch_images, padded_size, resized_size
from masu.ops.losses import bce, cross_entropy, focal, giou, l1, l2, smooth_l1
from masu.ops.matching import match
from masu.ops.nms import batched_nms, best_first, nms, suppress, top_k
from masu.ops.roi_align import assign_levels, roi_align
from masu.ops.sampling import sample
from masu.ops.voting import vote_boxes

__all__ = [
    "InputPolicy",
    "area",
    "assign_levels",
    "batch_images",
    "batched_nms",
    "bce",
    "best_anchors",
    "best_first",
    "cell_anchors",
    "clip",
    "covered",
    "cross_entropy",
    "decode",
    "degenerate",
    "encode",
    "fit_anchors",
    "focal",
    "giou",
    "grid_anchors",
    "intersection",
    "iou",
    "l1",
    "l2",
    "level_strides",
    "match",
    "nms",
    "padded_size",
    "resize",
    "resized_size",
    "roi_align",
    "sample",
    "smooth_l1",
    "suppress",
    "top_k",
    "vote_boxes",
]
