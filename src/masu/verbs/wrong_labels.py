"""Wrong labels: those that detectors contradict which have not learnt them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from masu.data.audit.fingerprints import fingerprint_images, near_duplicates
from masu.data.dataset import Array, Dataset, Sample
from masu.data.fitting import Box
from masu.data.formats.copying import Drafts
from masu.data.formats.writing import write_dataset
from masu.detectors.zoo import ARCHITECTURES
from masu.drafts.folder import form_of
from masu.errors import bad_input
from masu.evaluation.doubts import Doubt, find_doubts
from masu.evaluation.metrics import coco_metrics
from masu.evaluation.predictions import predictions
from masu.explanation.funnel import funnel
from masu.records import Detections, Target
from masu.training.cross_fitting import Fold, cross_fitted
from masu.training.recipe import TrainSettings, settings_of_run
from masu.verbs.reading import Counter, quiet

TITLES = {
    "missing": "object without a label",
    "wrong-class": "label of another class",
    "misplaced": "box in the wrong place",
    "spurious": "label where nothing is",
}
"""What can be wrong with a label, by the word that ``kind`` carries."""

LIKELY = 0.5
"""Likelihood from which a label is listed."""

FOLDS = 3
"""Trainings: each leaves out a third of the images, and judges these."""

SECONDS = 120.0
"""Time of all trainings together, where nothing else is said."""

_TRACED = 200
"""Images of which the funnel says what became of their labels, those of the likeliest errors."""


@dataclass(frozen=True)
class WrongLabel:
    """A label that is probably wrong, or a place where one is probably missing.

    Attributes:
        kind: one of :data:`TITLES`.
        likelihood: 0 to 1, see :func:`masu.evaluation.doubts.find_doubts`.
        image: the picture.
        file: its annotation file.
        where: the label in it; empty for a missing one.
        object: position among the labels of the image; None for a missing one.
        split: the first split of the image; None without splits.
        name: class of the label, of a missing one that which was seen.
        box: xyxy pixels of the label, of a missing one where it would be.
        instead: the class that was seen, for ``wrong-class``.
        moved: xyxy pixels where the object was seen, for ``misplaced``.
        score: of the detection that contradicts the label; for ``spurious`` the best that belongs to it, 0
            for none.
        stage: the stage of the detector at which the labelled object was lost, ``"found"`` where it was not;
            None for a missing label, and for labels far down the list.
        meaning: what that stage means, in words.
        index: position of the image among those that were given.
    """

    kind: str
    likelihood: float
    image: Path
    file: Path
    where: str
    object: int | None
    split: str | None
    name: str
    box: Box
    instead: str | None
    moved: Box | None
    score: float
    stage: str | None = None
    meaning: str | None = None
    index: int = 0

    @property
    def found(self) -> str:
        """What contradicts the label, in words."""
        match self.kind:
            case "missing":
                return f"{self.name} seen with a score of {self.score:.2f}, no label there"
            case "wrong-class":
                return f"labelled {self.name}, seen as {self.instead} with a score of {self.score:.2f}"
            case "misplaced":
                return f"labelled {self.name}, seen in another place with a score of {self.score:.2f}"
            case _:
                seen = f"with a score above {self.score:.2f}" if self.score else "at all"
                return f"labelled {self.name}, nothing that belongs to it is seen {seen}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        said = {name: value for name, value in asdict(self).items() if name != "index"}
        said |= {"image": str(self.image), "file": str(self.file), "found": self.found}
        return said | {
            "box": list(self.box),
            "moved": None if self.moved is None else list(self.moved),
        }


@dataclass(frozen=True)
class LabelReview:
    """What :func:`review_labels` found.

    Attributes:
        labels: those that are probably wrong, the likeliest first.
        images: pictures that were judged.
        objects: labels that were judged.
        folds: trainings.
        ap50: of the judges, each on the images that it has not seen; None where nothing could be scored. The
            lower it is, the less their word is worth.
        seconds: time of everything.
        faults: images that could not be judged, a line each.
    """

    labels: tuple[WrongLabel, ...]
    images: int
    objects: int
    folds: int
    ap50: float | None
    seconds: float
    faults: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        return (
            asdict(self)
            | {"faults": list(self.faults)}
            | {"labels": [label.as_dict() for label in self.labels]}
        )


def review_labels(
    data: Dataset,
    model: str | os.PathLike[str] | TrainSettings,
    *,
    time_budget: float | None = None,
    epochs: int | None = None,
    device: str | torch.device = "auto",
    counter: Counter = quiet,
) -> LabelReview:
    """Find the labels that are probably wrong.

    The images are shared out into three parts. A detector is trained on two of them, from the same first
    weights and with the same settings as ``model``, and judges the third; so each label is judged by a
    detector that has not seen it.

    Args:
        data: all images and labels, fit for a detector.
        model: a run's folder or its model file, for its settings; the name of an architecture; or settings.
        time_budget: seconds of all trainings together; default: two minutes.
        epochs: passes over the images of each training, in the place of a time budget.
        device: where the networks compute.
        counter: shows how far it is.

    Raises:
        InputError: for a model whose settings are not known, for fewer images than parts, and as of a
            training.
    """
    started = time.perf_counter()
    settings = settings_for(model)
    each = None if epochs is not None else (SECONDS if time_budget is None else time_budget) / FOLDS
    settings = replace(settings, epochs=epochs, time_budget=each, patience=None)
    with counter("looking for images that are almost the same") as progress:
        prints = fingerprint_images(list(data.paths), progress=progress)
    with counter("comparing images") as progress:
        groups = near_duplicates(prints, progress)
    faults: list[str] = []
    found, folds = _judged(data, settings, groups, device, counter, faults)
    targets = [target for _, target in data]
    sizes = [(int(height), int(width)) for height, width in data.sizes.tolist()]
    judged = sorted(found)
    doubts = find_doubts(
        [targets[at] for at in judged],
        [found[at] for at in judged],
        [sizes[at] for at in judged],
        seed=settings.seed,
    )
    likely = [replace(one, image=judged[one.image]) for one in doubts if one.likelihood >= LIKELY]
    fates = _fates(data, likely, folds, counter)
    metrics = coco_metrics([targets[at] for at in judged], [found[at] for at in judged], data.names)
    return LabelReview(
        tuple(_named(one, data, fates) for one in likely),
        len(judged),
        sum(int((~targets[at].ignored).sum()) for at in judged),
        len(folds),
        metrics.ap50,
        time.perf_counter() - started,
        tuple(faults),
    )


def settings_for(model: str | os.PathLike[str] | TrainSettings) -> TrainSettings:
    """How the judges are trained: as the model was.

    Raises:
        InputError: where nobody knows.
    """
    if isinstance(model, TrainSettings):
        return model
    if os.fspath(model) in ARCHITECTURES:
        return TrainSettings(architecture=os.fspath(model), precision="auto")
    path = Path(model)
    folder = path if path.is_dir() else path.parent
    if not (folder / "settings.json").is_file():
        raise bad_input(
            path,
            "no settings.json, which says how a model was trained" if path.exists() else "nothing",
            "the folder of a training, or an architecture",
            "name the run's folder, or an architecture that 'masu models' lists",
        )
    settings = settings_of_run(folder / "settings.json")
    # weights of another model may have been learnt from the very images that are to be judged
    return settings if settings.weights in ("auto", "imagenet", "none") else replace(settings, weights="auto")


def _judged(
    data: Dataset,
    settings: TrainSettings,
    groups: Sequence[Sequence[int]],
    device: str | torch.device,
    counter: Counter,
    faults: list[str],
) -> tuple[dict[int, Detections], list[Fold]]:
    """What the fold that has not seen it finds in each image; those that cannot be read are left out."""
    found: dict[int, Detections] = {}
    folds: list[Fold] = []
    with counter("training on some images, judging the others") as progress:

        def told(number: int, event: dict[str, Any]) -> None:
            if event["event"] == "step":
                progress(round(1000 * (number + event["done"])), 1000 * FOLDS)

        for fold in cross_fitted(data, settings, FOLDS, groups=groups, report=told, device=device):
            files = [data.paths[int(at)] for at in fold.images]
            for one in predictions(fold.detector, files, faults, threshold=None, batch_size=4, progress=None):
                found[int(fold.images[one.index])] = one.detections
            folds.append(fold)
    return found, folds


Fates: TypeAlias = Mapping[tuple[int, int], tuple[str, str]]


def _fates(data: Dataset, likely: Sequence[Doubt], folds: Sequence[Fold], counter: Counter) -> Fates:
    """The stage that lost each doubtful label, and what it means, by image and object."""
    asked = list(dict.fromkeys(one.image for one in likely if one.object is not None))[:_TRACED]
    lost: dict[tuple[int, int], tuple[str, str]] = {}
    with counter("following the doubtful labels through the stages") as progress:
        done = 0
        for fold in folds:
            own = np.intersect1d(fold.images, np.array(asked, np.int64))
            if not len(own):
                continue
            report = funnel(fold.detector, data.take(own))
            for fate in report.fates:
                lost[int(own[fate.image]), fate.object] = (fate.stage, report.places[fate.stage])
            done += len(own)
            progress(done, len(asked))
    return lost


def _named(doubt: Doubt, data: Dataset, fates: Fates) -> WrongLabel:
    image = doubt.image
    row = None if doubt.object is None else int(data.starts[image]) + doubt.object
    stage, meaning = fates.get((image, -1 if doubt.object is None else doubt.object), (None, None))
    file = data.files[int(data.image_files[image])] if row is None else data.file_of(row)
    return WrongLabel(
        doubt.kind,
        doubt.likelihood,
        data.paths[image],
        file,
        "" if row is None else data.where(row),
        doubt.object,
        next(iter(data.splits_of(image)), None),
        data.names[doubt.label],
        _box(doubt.box),
        None if doubt.instead is None else data.names[doubt.instead],
        None if doubt.moved is None else _box(doubt.moved),
        doubt.score,
        stage,
        meaning,
        image,
    )


def write_suggestions(out: Path, tool: str, data: Dataset, review: LabelReview) -> list[str]:
    """Write the images with doubtful labels as drafts for a labelling tool, all suggestions followed.

    Every label of these images that was judged is there: unchanged ones with a score of 1, changed and added
    ones with their likelihood; those where nothing is are left out. The image with the likeliest error comes
    first. Splits are left behind, since labelling tools have none.

    Args:
        out: folder that does not exist or is empty.
        tool: one of :data:`masu.words.DRAFT_TOOLS`.
        data: that was reviewed.
        review: with labels to look at.

    Returns:
        One sentence for each thing that the form cannot hold.

    Raises:
        InputError: as of :func:`masu.data.formats.writing.write_dataset`.
    """
    drafts, scores = followed(data, review)
    return write_dataset(out, form_of(tool), drafts, drafts=Drafts(scores, "masu check"))


def followed(data: Dataset, review: LabelReview) -> tuple[Dataset, Array]:
    """The images with doubtful labels, all suggestions followed, and ``(M,)`` scores of their labels."""
    by_image: dict[int, list[WrongLabel]] = {}
    for one in review.labels:
        by_image.setdefault(one.index, []).append(one)
    number = {name: k for k, name in enumerate(data.names)}
    boxes: list[Box] = []
    flags: list[int] = []
    scores: list[float] = []
    samples: list[Sample] = []
    for image, doubts in by_image.items():
        own = data.objects(image)
        rows = [
            (_box(tuple(box)), int(label), int(flag), 1.0)
            for box, label, flag in zip(
                data.boxes[own].tolist(), data.labels[own], data.flags[own], strict=True
            )
        ]
        gone = {one.object for one in doubts if one.kind == "spurious"}
        for one in doubts:
            row = (one.moved or one.box, number[one.instead or one.name], 0, one.likelihood)
            if one.object is None:
                rows.append(row)
            else:
                rows[one.object] = row
        kept = [row for at, row in enumerate(rows) if at not in gone]
        boxes += [row[0] for row in kept]
        flags += [row[2] for row in kept]
        scores += [row[3] for row in kept]
        target = Target(
            torch.tensor([row[0] for row in kept]).reshape(-1, 4),
            torch.tensor([row[1] for row in kept]).long(),
        )
        samples.append(Sample(data.paths[image], target))
    made = Dataset.of(samples, data.names, root=data.root, category_ids=data.category_ids)
    made = replace(
        made,
        boxes=np.reshape(boxes, (-1, 4)),
        flags=np.array(flags, np.uint8),
        sizes=data.sizes[list(by_image)],
    )
    return made, np.array(scores)


def _box(corners: Sequence[float]) -> Box:
    x1, y1, x2, y2 = corners
    return x1, y1, x2, y2
