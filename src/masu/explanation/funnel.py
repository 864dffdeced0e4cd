"""The funnel: through which stages the labelled objects of a data set come, and which stage loses each."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from masu.data.loading.network_scale import ScaledObjects
from masu.detectors.detector import Detector
from masu.detectors.raw import Raw
from masu.detectors.trace import Trace, trace
from masu.errors import bad_input
from masu.evaluation.anchors import fitted
from masu.evaluation.evaluate import LabelledImages, Scored, score
from masu.evaluation.metrics import Metrics, ProposalMetrics
from masu.evaluation.predictions import AnyDetector
from masu.explanation.fates import SIZES, Fate, fates, left_out, matched, places_of
from masu.explanation.funnel_advice import advice
from masu.explanation.what_if import Remedy, detections, milder
from masu.ops.anchors import cell_anchors, level_strides
from masu.ops.best_anchor import best_anchors
from masu.ops.geometry import iou as overlaps
from masu.ops.geometry import resize
from masu.ops.images import InputPolicy
from masu.records import Detections, Target
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, shown_from


@dataclass(frozen=True)
class AnchorFit:
    """Anchors whose sizes and ratios are fitted to the objects, and what they would reach.

    Attributes:
        sizes: per level, square roots of areas in pixels of the network's input.
        ratios: heights over widths.
        lost: objects lost at stage ``"anchors"``.
        reached: how many of them would have an anchor to learn from.
        under_50: per size of object its number, how many have no anchor at IoU 0.5, and how many would
            have none with the fitted ones.
    """

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]
    lost: int
    reached: int
    under_50: dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class FunnelReport:
    """What :func:`funnel` found.

    Attributes:
        scored: the same pass, as evaluation gives it, without time.
        iou: IoU from which a box serves an object.
        places: where the detector can lose an object, in order, and what that means; ``"found"`` last.
        fates: what became of each object, image by image.
        thresholds: the model's own, by class; without one ``DEFAULT_THRESHOLD`` counts.
        hidden: found objects whose score is under these, so that ``masu detect`` does not show them.
        remedies: what milder settings would bring back, the most first.
        anchors: what other anchors would reach; None without objects, or for a detector without anchor sizes.
    """

    scored: Scored
    iou: float
    places: dict[str, str]
    fates: tuple[Fate, ...]
    thresholds: Mapping[str, float]
    hidden: int
    remedies: tuple[Remedy, ...]
    anchors: AnchorFit | None

    @property
    def metrics(self) -> Metrics | ProposalMetrics:
        """The figures of the same pass."""
        return self.scored.metrics

    def counts(self, of: Callable[[Fate], bool] = lambda fate: True) -> dict[str, int]:
        """Objects per stage; they add up to the number of objects that ``of`` lets pass."""
        found = Counter(fate.stage for fate in self.fates if of(fate))
        return {place: found[place] for place in self.places}

    @property
    def by_class(self) -> dict[str, dict[str, int]]:
        """Objects per stage for each class that has objects."""
        names = sorted({fate.name for fate in self.fates})
        return {name: self.counts(lambda fate, name=name: fate.name == name) for name in names}  # type: ignore[misc]

    @property
    def by_size(self) -> dict[str, dict[str, int]]:
        """Objects per stage for COCO's sizes that have objects."""
        sizes = [size for size in SIZES if any(fate.size == size for fate in self.fates)]
        return {size: self.counts(lambda fate, size=size: fate.size == size) for size in sizes}  # type: ignore[misc]

    @property
    def labels(self) -> dict[str, int]:
        """Objects by what they are in training."""
        found = Counter(fate.label for fate in self.fates)
        return {word: found[word] for word in ("positive", "restored", "ignored", "background")}

    @property
    def advice(self) -> tuple[str, ...]:
        """In words: where most are lost and what would bring them back."""
        return advice(self)

    def as_dict(self) -> dict[str, Any]:
        """Counts, remedies, advice and the lost objects as JSON knows them."""
        return {
            "iou": self.iou,
            "objects": len(self.fates),
            "found": self.counts()["found"],
            "shown_from": dict(self.thresholds) or DEFAULT_THRESHOLD,
            "found_but_hidden": self.hidden,
            "stages": self.counts(),
            "by_class": self.by_class,
            "by_size": self.by_size,
            "training_labels": self.labels,
            "remedies": [asdict(remedy) for remedy in self.remedies],
            "fitted_anchors": None if self.anchors is None else asdict(self.anchors),
            "advice": list(self.advice),
            "lost": [asdict(fate) for fate in self.fates if fate.stage != "found"],
        }


def funnel(
    detector: Detector | AnyDetector,
    data: LabelledImages,
    *,
    iou: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
    voc: bool = False,
) -> FunnelReport:
    """Score a detector and say of every labelled object that is not ignored which stage lost it.

    One pass of the network gives both; images are looked at one by one.

    Args:
        detector: a detector of masu; an exported file does not show its stages.
        data: images and targets, from :func:`masu.read_dataset`.
        iou: IoU from which a box serves an object, above 0 and at most 1.
        progress: called with (images done, images in total).
        voc: as of :func:`masu.evaluate`.

    Returns:
        The figures, every object with the stage that lost it, and what milder settings would bring back.

    Raises:
        InputError: for an exported model, an IoU out of range, and as :func:`masu.evaluate`.
    """
    if not isinstance(detector, Detector):
        raise bad_input(
            "funnel",
            "an exported model, which gives final boxes only",
            "a model of masu",
            "take the .safetensors file that it was exported from",
        )
    if not 0 < iou <= 1:
        raise bad_input("iou", f"{iou}", "a number above 0 and at most 1", "0.5 is usual")
    folded = on_cpu(detector).prediction_network().detector
    watched = _Watched(folded)
    tally = _Tally(folded, data.names, iou)
    scored = score(
        watched,
        data,
        progress=progress,
        voc=voc,
        each=lambda prediction, target: tally.add(prediction.index, target, *watched.last),
    )
    found = tally.fates
    return FunnelReport(
        scored=replace(scored, metrics=replace(scored.metrics, seconds_per_image=None)),
        iou=iou,
        places=places_of(detector),
        fates=tuple(found),
        thresholds=dict(detector.thresholds),
        hidden=sum(
            fate.stage == "found" and (fate.score or 0) < shown_from(detector.thresholds, fate.name)
            for fate in found
        ),
        remedies=tally.remedies(),
        anchors=tally.anchors(),
    )


def on_cpu(detector: Detector) -> Detector:
    """The detector, or a copy of it where it is on another device: traces are followed on the CPU."""
    return detector if next(detector.parameters()).device.type == "cpu" else copy.deepcopy(detector).cpu()


class _Watched:
    """The detector as evaluation wants it; keeps the outputs and trace of the last image."""

    last: tuple[Raw, Trace]

    def __init__(self, detector: Detector) -> None:
        self.names: tuple[str, ...] = detector.names
        self.kind: str = detector.kind
        self.input: InputPolicy = detector.input
        self._detector = detector

    def predict(
        self, images: Sequence[Tensor], threshold: Threshold | None = None, batch_size: int = 1
    ) -> list[Detections]:
        with torch.inference_mode():
            raw = self._detector(images)
            self.last = raw, trace(self._detector, raw)[0]
        return [self.last[1].detections]


class _Tally:
    """What all images add up to."""

    def __init__(self, detector: Detector, names: Sequence[str], threshold: float) -> None:
        self.detector, self.names, self.threshold = detector, tuple(names), threshold
        known = {name: k for k, name in enumerate(detector.names)}
        everything = [0] * len(names) if detector.kind == "proposals" else [known.get(n, -1) for n in names]
        self.class_of = torch.tensor(everything, dtype=torch.int64)
        self.fates: list[Fate] = []
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._scaled: dict[Any, list[tuple[Tensor, list[int]]]] = defaultdict(list)

    def add(self, image: int, target: Target, raw: Raw, traced: Trace) -> None:
        """Follow the objects of an image, and try milder settings where it lost some."""
        classes = self.class_of[target.labels]
        names = tuple(self.names[label] for label in target.labels.tolist())
        with torch.inference_mode():
            own = fates(self.detector, traced, target, classes, names, image, self.threshold)
            self._try(own, target, classes, raw, traced)
        kept = target.boxes[[fate.object for fate in own]]
        canvas = (raw.images.pixels.shape[2], raw.images.pixels.shape[3])
        grids = tuple((f.shape[2], f.shape[3]) for f in raw.features)
        places = list(range(len(self.fates), len(self.fates) + len(own)))
        scaled = resize(kept, traced.original_size, traced.size)
        self._scaled[canvas, grids].append((scaled, places))
        self.fates += own

    def _try(self, own: list[Fate], target: Target, classes: Tensor, raw: Raw, traced: Trace) -> None:
        rows = [fate.object for fate in own]
        done: dict[tuple[int, str], list[bool]] = {}
        for stage in dict.fromkeys(fate.stage for fate in own):
            change = milder(self.detector, stage)
            if change is None:
                continue
            key = (change.number, change.setting)
            if key not in done:  # other_class and background try the same
                found = detections(self.detector, change, raw, traced)
                overlap = overlaps(target.boxes[rows].double(), found.boxes.double()).numpy()
                fit = ~left_out(target, classes, found, self.threshold)
                same = (classes[rows, None] == found.labels).numpy() & fit
                done[key] = (matched(overlap, same, self.threshold) >= 0).tolist()
            counts = self._counts[stage]
            for fate, now in zip(own, done[key], strict=True):
                counts[0] += fate.stage == stage
                counts[1] += fate.stage == stage and now
                counts[2] += fate.stage == "found" and not now

    def remedies(self) -> tuple[Remedy, ...]:
        """The milder settings that were tried, the most effective first."""
        found = []
        for stage, counts in self._counts.items():
            change = milder(self.detector, stage)
            assert change is not None
            found.append(Remedy(stage, change.setting, change.before, change.after, *counts))
        return tuple(sorted(found, key=lambda remedy: remedy.lost_instead - remedy.regained))

    def anchors(self) -> AnchorFit | None:
        """Anchors fitted to all objects; None where there are none, or no anchors to fit."""
        config = self.detector.config
        if not self.fates or not config.fits_anchors:
            return None
        boxes: dict[tuple[int, int], Tensor] = {}
        for (canvas, _), parts in self._scaled.items():
            boxes[canvas] = torch.cat([boxes.get(canvas, torch.zeros(0, 4)), *(part for part, _ in parts)])
        pyramid = fitted(config, ScaledObjects(boxes, 0))
        cells = [cell_anchors(sizes, pyramid.anchor_ratios) for sizes in pyramid.anchor_sizes]
        reach = torch.zeros(len(self.fates))
        for (canvas, grids), parts in self._scaled.items():
            places = [place for _, of_image in parts for place in of_image]
            strides = level_strides(canvas, grids)
            reach[places] = best_anchors(torch.cat([part for part, _ in parts]), cells, grids, strides)[0]
        lost = [i for i, fate in enumerate(self.fates) if fate.stage == "anchors"]
        under = {}
        for size in SIZES:
            rows = [i for i, fate in enumerate(self.fates) if fate.size == size]
            own = sum(self.fates[i].anchor_iou < 0.5 for i in rows)
            if rows:
                under[size] = (len(rows), own, int((reach[rows] < 0.5).sum()))
        return AnchorFit(
            sizes=pyramid.anchor_sizes,
            ratios=pyramid.anchor_ratios,
            lost=len(lost),
            reached=int((reach[lost] >= config.fg_iou_thresh).sum()),
            under_50=under,
        )
