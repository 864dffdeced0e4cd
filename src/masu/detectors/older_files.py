"""Settings of model files that earlier versions wrote, in the words of today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FIRST_STAGE = {
    "match_high": "fg_iou_thresh",
    "match_low": "bg_iou_thresh",
    "samples": "batch_size_per_image",
    "top_per_level_training": "pre_nms_top_n_training",
    "top_per_level": "pre_nms_top_n",
    "kept_training": "post_nms_top_n_training",
    "kept": "post_nms_top_n",
    "nms_threshold": "nms_thresh",
    "min_score": "score_thresh",
    "max_detections": "detections_per_img",
}
"""Of the RPN's proposals and of a one-stage detector, until 0.1.0."""

_SECOND_STAGE = {**_FIRST_STAGE, "match": "fg_iou_thresh"}
"""Of the RoIs of a two-stage detector, until 0.1.0."""


def in_todays_words(kind: str, config: Any) -> Any:
    """A configuration from a model file with settings that have been renamed under their new names.

    Args:
        kind: of detector, as the file says.
        config: as the file has it, of this version or an older one; what is no configuration stays as it is.
    """
    if not isinstance(config, Mapping):
        return config
    given = dict(config)
    if kind == "RPN":
        return _renamed_in(given, "proposals", _FIRST_STAGE)
    if kind == "FasterRCNN":
        given |= {"rpn": in_todays_words("RPN", given["rpn"])} if "rpn" in given else {}
        return _renamed_in(given, "rois", _SECOND_STAGE)
    return _renamed(given, _FIRST_STAGE) if kind == "RetinaNet" else given


def _renamed_in(config: dict[str, Any], part: str, names: Mapping[str, str]) -> dict[str, Any]:
    inner = config.get(part)
    return config | {part: _renamed(inner, names)} if isinstance(inner, Mapping) else config


def _renamed(settings: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in settings.items()}
