"""Evaluate: the figures of a detector on labelled images, given as a data set or as its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from masu.data.dataset import Dataset
from masu.data.formats import said_of_drafts
from masu.evaluation.error_report import refuse_proposals
from masu.evaluation.evaluate import LabelledImages, score
from masu.evaluation.matches import LIMIT
from masu.evaluation.metrics import Metrics, ProposalMetrics
from masu.evaluation.predictions import AnyDetector
from masu.evaluation.slices import check_kinds, slices
from masu.processes import ALONE, Processes
from masu.verbs.reading import IN_MEMORY, refuse_beside, to_measure_on
from masu.verbs.saved import refuse_suffix, refuse_twice
from masu.verbs.saved import save_predictions as write_predictions


def evaluate(
    detector: AnyDetector,
    data: str | os.PathLike[str] | LabelledImages,
    *,
    split: str | None = None,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes = ALONE,
    voc: bool | None = None,
    max_detections: int = LIMIT,
    by: str | Sequence[str] = (),
    save_predictions: str | os.PathLike[str] | None = None,
    intervals: bool = True,
) -> Metrics | ProposalMetrics:
    """Score a detector on labelled images with COCO's measures.

    Classes are compared by name, so detector and data may number them differently. A class that only the
    detector knows is left out; objects of a class that only the data knows count as missed and are named in
    ``faults``.

    Args:
        detector: any detector, or an exported file (:func:`masu.open_detector`). Its score threshold is the
            model's own low one.
        data: where the data set is, in any format that masu reads; or images and targets, from
            :func:`masu.read_dataset`.
        split: of a path; default: test, else val, where it has splits.
        form: format of the data at a path; default: found by looking.
        images: another folder that holds the images of a path.
        batch_size: images per prediction.
        progress: called with (images done, images in total), of this process.
        processes: that evaluate together, each every so-manieth batch; all return the figures of all images.
        voc: report ``voc_ap50`` and ``voc07_ap50`` also where no object is difficult; default: where the data
            are Pascal VOC.
        max_detections: detections of a class in an image that the figures count, best scores first: COCO's
            100, or more where images hold more objects. The detector's own limit is another one.
        by: also the figures of parts of the data, as ``slices``: ``"class"``, ``"size"``, ``"folder"``,
            ``"brightness"``, ``"crowding"``; one or several.
        save_predictions: file for what was found, ``.json`` (COCO results) or ``.parquet``; ``masu.compare``
            takes it in a model's place.
        intervals: also the 95 % intervals; without them an evaluation is done a little sooner.

    Returns:
        :class:`Metrics`: ``ap``, ``ap50``, ``per_class``, ``intervals``, ``slices`` and more; for a detector
        of kind ``"proposals"`` :class:`ProposalMetrics`. ``faults`` also names what reading a path left out.

    Raises:
        TypeError: for a path in the place of the detector, options of a path beside data in memory, or
            ``by`` and ``save_predictions`` beside images that are no data set of masu.
        InputError: for data that cannot be read or have no split to measure on, no images, none that can be
            read, no class in common, a batch size out of range, an unknown part of the data, a file that
            cannot be written, and for a proposal generator with ``by`` or ``save_predictions``.
    """
    refuse_path(detector, "evaluate")
    kinds = (by,) if isinstance(by, str) else tuple(dict.fromkeys(by))
    check_kinds(kinds)
    file = None if save_predictions is None else Path(save_predictions)
    if file is not None:
        refuse_suffix(file)
    if kinds or file is not None:
        refuse_proposals(detector, "detector")
    labelled, read = measured_on("evaluate", data, split, form, images, detector.input.channels)
    faults = () if read is None else _left_out(read)
    if voc is None:
        voc = getattr(labelled, "form", None) == "voc"
    dataset = _data_set(labelled) if kinds or file is not None else None
    if file is not None and dataset is not None:
        refuse_twice(dataset)
    scored = score(
        detector,
        labelled,
        batch_size=batch_size,
        progress=progress,
        processes=processes,
        voc=voc,
        max_detections=max_detections,
    )
    if intervals:
        scored = scored.with_intervals()
    metrics = replace(scored.metrics, faults=(*faults, *scored.metrics.faults))
    if dataset is None or not isinstance(metrics, Metrics):
        return metrics
    if file is not None and processes.rank == 0:
        write_predictions(scored, dataset, file)
    return replace(metrics, slices=tuple(slices(scored, kinds, dataset.root, detector.input.channels)))


def _left_out(read: Dataset) -> list[str]:
    drafts = said_of_drafts(read)
    return [*([] if drafts is None else [drafts]), *map(str, read.faults)]


def _data_set(labelled: LabelledImages) -> Dataset:
    if not isinstance(labelled, Dataset):
        raise TypeError(
            f"evaluate: found by= or save_predictions= beside {type(labelled).__name__}, wanted a path or a "
            "data set of masu.read_dataset, which say where the images lie"
        )
    return labelled


def measured_on(
    verb: str,
    data: str | os.PathLike[str] | LabelledImages,
    split: str | None,
    form: str | None,
    images: str | os.PathLike[str] | None,
    channels: int | None,
) -> tuple[LabelledImages, Dataset | None]:
    """The images that a verb measures on, and those again where they were read at a path.

    Raises:
        TypeError: for options of a path beside a data set.
        InputError: as of :func:`masu.verbs.reading.to_measure_on`.
    """
    if isinstance(data, str | os.PathLike):
        read = to_measure_on(data, split, form=form, images=images, channels=channels)
        return read, read
    refuse_beside(IN_MEMORY, verb, split=split, form=form, images=images)
    return data, None


def refuse_path(detector: object, verb: str) -> None:
    """Refuse a model's path where its detector is wanted.

    Raises:
        TypeError: naming the call that opens it.
    """
    if isinstance(detector, str | os.PathLike):
        raise TypeError(
            f"{verb}: found the path {os.fspath(detector)}, wanted a detector; write masu.load(path), or "
            "masu.open_detector(path) for an exported file"
        )
