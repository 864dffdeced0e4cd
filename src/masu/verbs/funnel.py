"""Funnel: which stage of a detector lost each labelled object, of a data set or of what lies at its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from masu.detectors.detector import Detector
from masu.evaluation.evaluate import LabelledImages
from masu.evaluation.predictions import AnyDetector
from masu.explanation.funnel import FunnelReport
from masu.explanation.funnel import funnel as run
from masu.verbs.evaluate import measured_on, refuse_path


def funnel(
    detector: Detector | AnyDetector,
    data: str | os.PathLike[str] | LabelledImages,
    *,
    split: str | None = None,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    iou: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
    voc: bool | None = None,
) -> FunnelReport:
    """Score a detector and say of every labelled object that is not ignored which stage lost it.

    One pass of the network gives both; images are looked at one by one.

    Args:
        detector: a detector of masu; an exported file does not show its stages.
        data: where the data set is, or images and targets from :func:`masu.read_dataset`.
        split: of a path; default: test, else val, where it has splits.
        form: format of the data at a path; default: found by looking.
        images: another folder that holds the images of a path.
        iou: IoU from which a box serves an object, above 0 and at most 1.
        progress: called with (images done, images in total).
        voc: as of :func:`masu.evaluate`.

    Returns:
        The figures, every object with the stage that lost it, and what milder settings would bring back.
        ``metrics.faults`` also names what reading the data at a path has left out.

    Raises:
        TypeError: as of :func:`masu.evaluate`.
        InputError: for an exported model, an IoU out of range, and as :func:`masu.evaluate`.
    """
    refuse_path(detector, "funnel")
    labelled, read = measured_on("funnel", data, split, form, images, detector.input.channels)
    if voc is None:
        voc = getattr(labelled, "form", None) == "voc"
    report = run(detector, labelled, iou=iou, progress=progress, voc=voc)
    if read is None:
        return report
    metrics = replace(report.metrics, faults=(*map(str, read.faults), *report.metrics.faults))
    return replace(report, scored=replace(report.scored, metrics=metrics))
