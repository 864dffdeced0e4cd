"""Evaluate: score a detector on a labelled data set with COCO's measures."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from masu.errors import InputError, bad_input, counted
from masu.evaluation.federated import as_checked
from masu.evaluation.matches import LIMIT
from masu.evaluation.metrics import Metrics, ProposalMetrics, coco_metrics, proposal_metrics
from masu.evaluation.predictions import AnyDetector, Prediction, predictions
from masu.evaluation.resampling import with_intervals
from masu.processes import ALONE, Processes
from masu.ranges import MOST_JUDGED
from masu.records import Detections, Target


class LabelledImages(Protocol):
    """What evaluation needs of a data set."""

    @property
    def names(self) -> Sequence[str]:
        """Class names; labels of targets index them."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Path, Target]: ...


@dataclass(frozen=True, eq=False)
class Scored:
    """A detector's figures on a data set, and what they were computed from.

    Attributes:
        metrics: the figures.
        names: class names of the data; labels of targets and detections index them.
        paths: the images that could be read.
        targets: their labelled objects, and a crowd region for each class of which not all are labelled.
        found: what was found in them, down to the model's own low score. Classes that the data lacks are left
            out, and those that an image was not checked for (:mod:`masu.evaluation.federated`); labels of a
            detector of kind ``"proposals"`` mean nothing.
    """

    metrics: Metrics | ProposalMetrics
    names: tuple[str, ...]
    paths: tuple[Path, ...]
    targets: tuple[Target, ...]
    found: tuple[Detections, ...]

    @property
    def limit(self) -> int:
        """Detections of a class in an image that count, best scores first."""
        return self.metrics.max_detections[-1]

    @property
    def said_of_limit(self) -> str | None:
        """That images have more objects of a class than detections count; None where none has."""
        if not isinstance(self.metrics, Metrics):
            return None
        most = (max(one.labels[~one.ignored].bincount().tolist(), default=0) for one in self.targets)
        over = [count for count in most if count > self.limit]
        if not over:
            return None
        have = "has" if len(over) == 1 else "have"
        return (
            f"{counted(len(over), 'image')} {have} more objects of a class, up to {max(over)}, than the "
            f"{self.limit} best boxes that the figures count: see --max-detections"
        )

    def of(self, paths: Collection[Path]) -> Scored:
        """The same, figures aside, of some of the images only."""
        kept = [row for row in zip(self.paths, self.targets, self.found, strict=True) if row[0] in paths]
        own, targets, found = zip(*kept, strict=True) if kept else ((), (), ())
        return replace(self, paths=own, targets=targets, found=found)

    def with_intervals(self) -> Scored:
        """The same with the figures' intervals over other images of the same kind; proposals have none."""
        if not isinstance(self.metrics, Metrics):
            return self
        return replace(self, metrics=with_intervals(self.metrics, self.targets, self.found, self.names))


def evaluate(
    detector: AnyDetector,
    data: LabelledImages,
    *,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes = ALONE,
    voc: bool = False,
    max_detections: int = LIMIT,
) -> Metrics | ProposalMetrics:
    """Score a detector on every image of a data set.

    Classes are compared by name, so detector and data may number them differently. A class that only
    the detector knows is left out; objects of a class that only the data knows count as missed and are
    named in ``faults``.

    Args:
        detector: any masu detector. Its score threshold is the model's own low one.
        data: images and targets, from :func:`masu.read_dataset`.
        batch_size: images per prediction.
        progress: called with (images done, images in total), of this process.
        processes: that evaluate together, each every so-manieth batch; all return the figures of all images.
        voc: report ``voc_ap50`` and ``voc07_ap50`` also where no object is difficult.
        max_detections: of a class in an image that count, best scores first; proposals have their own limits.

    Returns:
        :class:`Metrics`, or :class:`ProposalMetrics` for a detector of kind ``"proposals"``;
        ``seconds_per_image`` is the mean time of ``predict`` without reading files, and ``faults`` has
        one line for each image that could not be read and was left out.

    Raises:
        InputError: for no images, none that can be read, or no class name in common.
    """
    return score(
        detector,
        data,
        batch_size=batch_size,
        progress=progress,
        processes=processes,
        voc=voc,
        max_detections=max_detections,
    ).metrics


def score(
    detector: AnyDetector,
    data: LabelledImages,
    *,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes = ALONE,
    each: Callable[[Prediction, Target], None] | None = None,
    voc: bool = False,
    max_detections: int = LIMIT,
) -> Scored:
    """As :func:`evaluate`, with targets and detections for a closer look; the network runs once.

    ``each`` is called with every prediction of this process and its target.
    """
    MOST_JUDGED.check("max_detections", max_detections)
    if not len(data):
        raise bad_input("data", "no images", "at least one", "check the folder and the split")
    items = [data[index] for index in range(len(data))]
    class_agnostic = detector.kind == "proposals"
    faults = [] if class_agnostic else _unknown_classes(detector.names, data.names, items)

    # whole batches, so that each is computed just as one process would
    own = [i for i in range(len(items)) if i // max(batch_size, 1) % processes.world == processes.rank]
    unreadable: list[str] = []
    seen: dict[int, tuple[Detections, float]] = {}
    with processes.stopping_together():
        for prediction in predictions(
            detector,
            [items[i][0] for i in own],
            unreadable,
            threshold=None,
            batch_size=batch_size,
            progress=progress,
        ):
            number = own[prediction.index]
            seen[number] = (prediction.detections, prediction.seconds)
            if each is not None:
                each(prediction, items[number][1])
    seen, unreadable = _of_all(seen, unreadable, detector.names, processes)
    if not seen:
        why = f"none of {len(items)} images can be read; the first: {unreadable[0]}"
        raise InputError(f"data: {why}", thing="data", found=why, code="unreadable-image")
    read, targets = [items[i][0] for i in seen], [items[i][1] for i in seen]
    found = [detections for detections, _ in seen.values()]
    seconds = sum(seconds for _, seconds in seen.values())

    metrics: Metrics | ProposalMetrics
    if class_agnostic:
        metrics = proposal_metrics(targets, found)
    else:
        targets, found = as_labelled(data, list(seen), targets, found)
        metrics = coco_metrics(targets, found, data.names, (1, 10, max_detections), voc)
    metrics = replace(metrics, seconds_per_image=seconds / len(found), faults=(*faults, *unreadable))
    return Scored(metrics, tuple(data.names), tuple(read), tuple(targets), tuple(found))


def as_labelled(
    data: LabelledImages, images: Sequence[int], targets: Sequence[Target], found: Sequence[Detections]
) -> tuple[list[Target], list[Detections]]:
    """Targets and detections as figures are made of them: of classes of the data that were checked.

    Args:
        data: images and targets.
        images: positions in it.
        targets: of these images.
        found: in these images, as a detector with classes names and numbers it.
    """
    return as_checked(data, images, targets, [_renumbered(one, data.names) for one in found])


def _of_all(
    seen: dict[int, tuple[Detections, float]],
    unreadable: list[str],
    names: Sequence[str],
    processes: Processes,
) -> tuple[dict[int, tuple[Detections, float]], list[str]]:
    """What all processes have seen, image by image in the order of the data set, and could not read."""
    if processes.world == 1:
        return seen, unreadable
    lines = [line for text in processes.texts(json.dumps(unreadable)) for line in json.loads(text)]
    # float64 holds float32, labels and the numbers of images without loss
    images = [torch.tensor([i, len(d), seconds], dtype=torch.float64) for i, (d, seconds) in seen.items()]
    boxes = [torch.cat([d.boxes, d.scores[:, None], d.labels[:, None]], 1).cpu() for d, _ in seen.values()]
    image = processes.rows(
        torch.cat([torch.zeros(0, 3, dtype=torch.float64), *(row[None] for row in images)])
    )
    table = processes.rows(torch.cat([torch.zeros(0, 6, dtype=torch.float64), *(b.double() for b in boxes)]))
    counts = [int(count) for count in image[:, 1]]
    all_seen = {}
    for (number, _, seconds), rows in zip(image.tolist(), torch.split(table, counts), strict=True):
        labels = rows[:, 5].long()
        own_names = tuple(names[label] for label in labels.tolist())
        detections = Detections(rows[:, :4].float(), rows[:, 4].float(), labels, own_names)
        all_seen[int(number)] = (detections, seconds)
    return dict(sorted(all_seen.items())), lines


def _unknown_classes(
    known: Sequence[str], wanted: Sequence[str], items: Sequence[tuple[Path, Target]]
) -> list[str]:
    if not set(known) & set(wanted):
        raise bad_input(
            "data",
            f"classes {_listed(wanted)}",
            f"at least one of the detector's {_listed(known)}",
            "class names must be spelt alike",
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
