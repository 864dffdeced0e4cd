"""masu behind torchvision's names, in the form in which torchvision's tests call them."""

import functools
import sys

import torch
import torchvision
from torchvision.models import _api
from torchvision.models.detection import _utils
from torchvision.ops._utils import check_roi_boxes_shape, convert_boxes_to_roi_format

import masu
from masu.detectors.torchvision_models import NAMES as ARCHITECTURES

calls = 0
"""How often anything of masu's was called, so that a test that calls nothing is not counted."""

inside = False
"""Whether masu is at work."""


def counted(function, theirs=None):
    """A stand-in; where masu itself calls torchvision, it gets ``theirs``."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        global calls, inside
        if inside:
            return theirs(*args, **kwargs)
        calls += 1
        inside = True
        try:
            return function(*args, **kwargs)
        finally:
            inside = False

    return call


def nms(boxes, scores, iou_threshold):
    try:
        return masu.ops.nms(boxes, scores, iou_threshold)
    except ValueError as error:  # the same refusals, of another kind
        raise RuntimeError(*error.args) from None


def batched_nms(boxes, scores, idxs, iou_threshold):
    if boxes.numel() == 0:  # torchvision does not look at the rest
        return torch.empty((0,), dtype=torch.int64)
    return masu.ops.batched_nms(boxes, scores, idxs, iou_threshold)


def roi_align(input, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    check_roi_boxes_shape(boxes)
    rois = boxes if isinstance(boxes, torch.Tensor) else convert_boxes_to_roi_format(boxes)
    image = rois[:, 0].to(torch.int64)
    scaled, size = rois[:, 1:] * spatial_scale, output_size
    size = size if isinstance(size, int) else tuple(size)
    return masu.ops.roi_align(
        [input], scaled, image, torch.zeros_like(image), (1,), size, sampling_ratio, aligned
    )


def _reduced(loss, rows, reduction):
    """``loss(row, norm)`` of masu, which gives sums, by torchvision's three reductions."""
    if reduction == "none":
        return torch.stack([loss(i, 1) for i in range(rows)]) if rows else torch.empty(0)
    if reduction not in ("mean", "sum"):
        raise ValueError(f"Invalid Value for arg 'reduction': '{reduction}'")
    return loss(slice(None), max(rows, 1) if reduction == "mean" else 1)


def generalized_box_iou_loss(boxes1, boxes2, reduction="none", eps=1e-7):
    a, b = (x.reshape(-1, 4) for x in (boxes1, boxes2))

    def loss(row, norm):
        return masu.ops.giou(a[row].reshape(-1, 4), b[row].reshape(-1, 4), norm, eps)

    made = _reduced(loss, len(a), reduction)
    return made.reshape(boxes1.shape[:-1]) if reduction == "none" else made


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    logits, wanted = inputs.flatten(), targets.flatten()
    weight, alpha = (1, alpha) if alpha >= 0 else (2, 0.5)  # below 0: without weights of the classes

    def loss(row, norm):
        return weight * masu.ops.focal(logits[row], wanted[row], norm, alpha, gamma)

    made = _reduced(loss, len(logits), reduction)
    return made.reshape(inputs.shape) if reduction == "none" else made


class BalancedPositiveNegativeSampler:
    def __init__(self, batch_size_per_image, positive_fraction):
        self.batch_size_per_image, self.positive_fraction = batch_size_per_image, positive_fraction

    @counted
    def __call__(self, matched_idxs):
        masks = [[], []]
        for labels in matched_idxs:
            both = masu.ops.sample(labels, self.batch_size_per_image, self.positive_fraction)
            for mask, drawn in zip(masks, both, strict=True):
                mask.append(torch.zeros(labels.shape, dtype=torch.uint8).index_fill_(0, drawn, 1))
        return tuple(masks)


def _builder(theirs):
    """torchvision's function for a detector: the same weights and settings, through masu and back."""

    @functools.wraps(theirs)
    def build(**options):
        model = theirs(**options)
        state = torch.get_rng_state()  # what comes after is as random as after torchvision's
        made = masu.to_torchvision(masu.from_torchvision(model))
        if isinstance(made, torchvision.models.detection.FasterRCNN):
            made.roi_heads.box_predictor = model.roi_heads.box_predictor
        else:  # torchvision's columns, without the one that to_torchvision adds for id 0
            made.head.classification_head.cls_logits = model.head.classification_head.cls_logits
            made.head.classification_head.num_classes = model.head.classification_head.num_classes
        torch.set_rng_state(state)
        return made

    return counted(build, theirs)


def put_in_place():
    """Replace torchvision's functions for the rest of the process."""
    ops = torchvision.ops
    modules = (ops, ops.boxes, sys.modules["torchvision.ops.roi_align"])
    names = {
        f.__name__: f for f in (nms, batched_nms, roi_align, generalized_box_iou_loss, sigmoid_focal_loss)
    }
    for name, function in (names | {"box_area": masu.ops.area, "box_iou": masu.ops.iou}).items():
        made = counted(function, getattr(ops, name))
        for module in modules:
            if hasattr(module, name):
                setattr(module, name, made)
    ops.boxes._batched_nms_vanilla = ops.batched_nms
    _utils.BalancedPositiveNegativeSampler = BalancedPositiveNegativeSampler
    for name in ARCHITECTURES:
        _api.BUILTIN_MODELS[name] = _builder(_api.BUILTIN_MODELS[name])
        setattr(torchvision.models.detection, name, _api.BUILTIN_MODELS[name])
