"""torchvision's FCOS: what tells it, its settings and tensor names in masu's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection._utils import BoxLinearCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSHead, FCOSRegressionHead

from masu.detectors.fcos import FCOSConfig
from masu.detectors.torchvision_families import (
    Family,
    OneStage,
    check,
    check_kinds,
    check_resnet50,
    check_unpatched,
    pyramid_settings,
)

DEPTH = 16
"""Convolutions of a tower whose names are known, far more than there are."""


class FCOSFamily(Family):
    """torchvision's FCOS, whose towers are sequences: convolution, normalisation, ReLU and so on."""

    mark = "head.regression_head.bbox_ctrness.weight"
    names: ClassVar[Mapping[str, str]] = {"fcos_resnet50_fpn": "fcos_resnet50_fpn"}
    first = 0
    losses: ClassVar[Mapping[str, str]] = {
        "classes": "classification",
        "boxes": "bbox_regression",
        "centreness": "bbox_ctrness",
    }
    frozen_eps_is_zero = False
    renames = (
        *(
            (rf"head\.{theirs}\.conv\.{3 * i + place}\.", f"head.{ours}.{part}.{i}.")
            for theirs, ours in (("classification_head", "classes"), ("regression_head", "boxes"))
            for i in range(DEPTH)
            for place, part in enumerate(("convs", "norms"))
        ),
        (r"head\.regression_head\.bbox_ctrness\.", "head.centreness."),
        *OneStage.renames,
    )

    def recognise(self, state: Mapping[str, Tensor], with_settings: bool) -> str:
        """See :meth:`Family.recognise`."""
        check_resnet50(state)
        return "fcos_resnet50_fpn"

    def classes(self, state: Mapping[str, Tensor]) -> int:
        """See :meth:`Family.classes`."""
        return len(state["head.classification_head.cls_logits.bias"])

    def without_first_class(self, state: dict[str, Tensor], classes: int) -> dict[str, Tensor]:
        """See :meth:`Family.without_first_class`."""
        rows = (f"head.classification_head.cls_logits.{leaf}" for leaf in ("weight", "bias"))
        return state | {key: state[key][1:] for key in rows}

    def settings(self, model: Any, config: FCOSConfig) -> FCOSConfig:
        """See :meth:`Family.settings`."""
        head = model.head
        check_kinds(
            (
                ("model", model, FCOS),
                ("head", head, FCOSHead),
                ("head.classification_head", head.classification_head, FCOSClassificationHead),
                ("head.regression_head", head.regression_head, FCOSRegressionHead),
                ("anchor_generator", model.anchor_generator, AnchorGenerator),
                ("box_coder", model.box_coder, BoxLinearCoder),
                ("head.box_coder", head.box_coder, BoxLinearCoder),
            )
        )
        check_unpatched(model)
        for name, coder in (("box_coder", model.box_coder), ("head.box_coder", head.box_coder)):
            check(f"{name}.normalize_by_size", coder.normalize_by_size, True)
        for name, module in head.named_modules():
            if isinstance(module, nn.GroupNorm):
                check(f"head.{name}.num_groups", module.num_groups, 32)
                check(f"head.{name}.eps", module.eps, 1e-5)
        anchors = model.anchor_generator
        sizes = [tuple(level) for level in anchors.sizes]
        check("anchor_generator.sizes", sizes, sorted({level[:1] for level in sizes}))
        check("anchor_generator.aspect_ratios", {tuple(level) for level in anchors.aspect_ratios}, {(1.0,)})
        return replace(
            config.with_pyramid(pyramid_settings(model, anchors, config)),
            head_depth=sum(isinstance(layer, nn.Conv2d) for layer in head.regression_head.conv),
            centre_radius=model.center_sampling_radius,
            score_thresh=model.score_thresh,
            pre_nms_top_n=model.topk_candidates,
            min_size=0.0,  # torchvision's FCOS returns boxes without area too
            nms_thresh=model.nms_thresh,
            detections_per_img=model.detections_per_img,
        )
