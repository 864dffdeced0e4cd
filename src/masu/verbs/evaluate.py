"""Evaluate: score a detector on a labelled data set with COCO's measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import torch

from masu.errors import InputError
from masu.records import Detections, Target
from masu.verbs.detect import Detector, Prediction, predictions
from masu.verbs.metrics import Metrics, ProposalMetrics, coco_metrics, proposal_metrics


class LabelledImages(Protocol):
    """What evaluation needs of a data set."""

    @property
    def names(self) -> Sequence[str]:
        """Class names; labels of targets index them."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Path, Target]: ...


def evaluate(
    detector: Detector,
    data: LabelledImages,
    *,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
    each: Callable[[Prediction, Target], None] | None = None,
) -> Metrics | ProposalMetrics:
    """Score a detector on every image of a data set.

    Classes are compared by name, so detector and data may number them differently. A class that only
    the detector knows is left out; objects of a class that only the data knows count as missed and are
    named in ``faults``.

    Args:
        detector: any masu detector. Its score threshold is the model's own low one.
        data: images and targets, from :func:`masu.read_dataset`.
        batch_size: images per prediction.
        progress: called with (images done, images in total).
        each: called with every prediction and its target.

    Returns:
        :class:`Metrics`, or :class:`ProposalMetrics` for a detector of kind ``"proposals"``;
        ``seconds_per_image`` is the mean time of ``predict`` without reading files, and ``faults`` has
        one line for each image that could not be read and was left out.

    Raises:
        InputError: for no images, none that can be read, or no class name in common.
    """
    if not len(data):
        raise InputError("data: found no images, wanted at least one; check the folder and the split")
    items = [data[index] for index in range(len(data))]
    class_agnostic = detector.kind == "proposals"
    faults = [] if class_agnostic else _unknown_classes(detector.names, data.names, items)

    targets: list[Target] = []
    found: list[Detections] = []
    seconds = 0.0
    unreadable: list[str] = []
    paths = [path for path, _ in items]
    stream = predictions(
        detector, paths, unreadable, threshold=None, batch_size=batch_size, progress=progress
    )
    for prediction in stream:
        targets.append(items[prediction.index][1])
        found.append(prediction.detections)
        seconds += prediction.seconds
        if each is not None:
            each(prediction, targets[-1])
    if not found:
        raise InputError(f"data: none of {len(paths)} images can be read; the first: {unreadable[0]}")

    metrics: Metrics | ProposalMetrics
    if class_agnostic:
        metrics = proposal_metrics(targets, found)
    else:
        metrics = coco_metrics(targets, [_renumbered(d, data.names) for d in found], data.names)
    return replace(metrics, seconds_per_image=seconds / len(found), faults=(*faults, *unreadable))


def _unknown_classes(
    known: Sequence[str], wanted: Sequence[str], items: Sequence[tuple[Path, Target]]
) -> list[str]:
    if not set(known) & set(wanted):
        raise InputError(
            f"data: found classes {_listed(wanted)}, wanted at least one of the detector's {_listed(known)}; "
            "class names must be spelt alike"
        )
    labels = torch.cat([target.labels[~target.ignored].cpu() for _, target in items])
    counts = torch.bincount(labels, minlength=len(wanted)).tolist()
    return [
        f"class {name!r}: unknown to the detector; {count} labelled, all count as missed"
        for name, count in zip(wanted, counts, strict=False)
        if count and name not in known
    ]


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most]) or "none"
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _renumbered(detections: Detections, names: Sequence[str]) -> Detections:
    """The detections of classes in ``names``, labelled by their position there."""
    position = {name: index for index, name in enumerate(names)}
    keep = [index for index, name in enumerate(detections.names) if name in position]
    kept_names = tuple(detections.names[index] for index in keep)
    return Detections(
        detections.boxes[keep],
        detections.scores[keep],
        torch.tensor([position[name] for name in kept_names], dtype=torch.int64),
        kept_names,
    )
