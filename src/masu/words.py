"""The words that settings and options may be: every list is written here, once.

``masu --help`` shows them without loading what they name; tests hold them equal to what there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

Start = Literal["auto", "imagenet", "none"]
Anchors = Literal["model", "auto"]
ImageSize = Literal["auto"]
OptimizerName = Literal["sgd", "adamw"]
Schedule = Literal["cosine", "one-cycle", "constant"]
OnNonfinite = Literal["stop", "skip"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Tracker = Literal["tensorboard", "wandb", "mlflow"]
ExportTarget = Literal["onnx", "openvino", "torch", "tflite", "ncnn"]
BulkEngine = Literal["local", "ray"]
Meaning = Literal["right", "overlap"]
"""What a calibrated score says: how often such a box is right (IoU ≥ 0.5), or its IoU with the object."""
CalibratedScores = Literal["right", "overlap", "none"]
"""A meaning, or the network's own scores again."""

STARTS: tuple[str, ...] = get_args(Start)
ANCHORS: tuple[str, ...] = get_args(Anchors)
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
SCHEDULES: tuple[str, ...] = get_args(Schedule)
ON_NONFINITE: tuple[str, ...] = get_args(OnNonfinite)
PRECISIONS: tuple[str, ...] = get_args(Precision)
TRACKERS: tuple[str, ...] = get_args(Tracker)
EXPORT_TARGETS: tuple[str, ...] = get_args(ExportTarget)
BULK_ENGINES: tuple[str, ...] = get_args(BulkEngine)
CALIBRATIONS: tuple[str, ...] = get_args(CalibratedScores)

BOX_LOSSES = ("smooth_l1", "l1", "l2", "giou")

ARCHITECTURES = (
    "faster_rcnn_lite0_fpn",
    "retinanet_lite0_fpn",
    "cascade_rcnn_lite0_fpn",
    "fcos_lite0_fpn",
    "faster_rcnn_mobilenet_v3_large_320_fpn",
    "faster_rcnn_mobilenet_v3_large_fpn",
    "faster_rcnn_resnet50_fpn",
    "faster_rcnn_resnet50_fpn_v2",
    "cascade_rcnn_resnet50_fpn",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "rpn_resnet50_fpn",
)
"""Smallest first."""

DATA_FORMATS = (
    *("voc", "yolo", "labelme", "coco", "supervisely", "widerface", "dota", "cvat", "labelstudio"),
    *("openimages", "kitti", "createml", "via", "metadata", "ndjson", "parquet", "csv"),
)
"""Formats of data sets that masu reads; packages add more, see :func:`masu.data.formats.formats`."""

WRITTEN_FORMATS = ("voc", "yolo", "labelme", "coco", "cvat", "labelstudio", "csv")
"""Those of them that it writes."""

DRAFT_TOOLS = ("labelstudio", "cvat", "labelme", "xanylabeling", "coco", "yolo", "voc")
"""Tools and formats that :func:`masu.verbs.draft.draft` writes drafts for."""

LABEL_ORDERS = ("random", "best", "name")
"""In which order photographs are shown to be labelled."""

DETECTION_FORMATS = ("json", "csv", "coco", "geojson", "parquet")
"""Results of ``masu detect``; parquet by :func:`masu.bulk.job.detect_bulk`."""


FILM_FORMATS = ("jsonl", "csv", "parquet", "mot")
"""Rows of ``masu detect`` of a film; the first is the default."""


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that one may have meant, if any is near."""
    from difflib import get_close_matches  # late: it takes longer to import than this module

    by_small = {known.casefold().replace("_", "-"): known for known in words}
    near = get_close_matches(word[:100].casefold().replace("_", "-"), by_small, 1)
    return by_small[near[0]] if near else None
