"""The funnel: through which stages the labelled objects of a data set come, and which stage loses each."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from masu.data.loading.network_scale import ScaledObjects
from masu.data.pixels.windows import Picture
from masu.detectors.detector import Detector
from masu.detectors.prediction import PredictionNetwork
from masu.detectors.raw import Raw
from masu.detectors.trace import Trace, trace
from masu.errors import bad_input
from masu.evaluation.anchors import fitted
from masu.evaluation.evaluate import LabelledImages, Scored, score
from masu.evaluation.matches import LIMIT
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
from masu.views import found_in_each, views


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
    max_detections: int = LIMIT,
) -> FunnelReport:
    """Score a detector and say of every labelled object that is not ignored which stage lost it.

    One pass of the network gives both; images are looked at one by one.

    Args:
        detector: a detector of masu; an exported file does not show its stages.
        data: images and targets, from :func:`masu.read_dataset`.
        iou: IoU from which a box serves an object, above 0 and at most 1.
        progress: called with (images done, images in total).
        voc: as of :func:`masu.evaluate`.
        max_detections: likewise.

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
    network = on_cpu(detector).prediction_network()
    folded = network.detector
    watched = _Watched(network)
    tally = _Tally(folded, data.names, iou)
    scored = score(
        watched,
        data,
        progress=progress,
        voc=voc,
        max_detections=max_detections,
        each=lambda prediction, target: watched.last.follow(tally, prediction.index, target),
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
    return detector if detector.device.type == "cpu" else copy.deepcopy(detector).cpu()


class _Watched:
    """The detector as evaluation wants it; keeps what the last image's objects are followed in."""

    last: _Seen

    def __init__(self, network: PredictionNetwork) -> None:
        self.names: tuple[str, ...] = network.names
        self.kind: str = network.kind
        self.input: InputPolicy = network.input
        self._network, self._detector = network, network.detector

    def predict(
        self, images: Sequence[Tensor | Picture], threshold: Threshold | None = None, batch_size: int = 1
    ) -> list[Detections]:
        (_,) = images
        return found_in_each(images, self._whole, self._in_tiles)

    def _whole(self, images: Sequence[Tensor]) -> list[Detections]:
        (image,) = images
        self.last = _InOne(*_traced(self._detector, image))
        return [self.last.trace.detections]

    def _in_tiles(self, picture: Picture) -> Detections:
        self.last = _InViews(picture, self.input)
        (found,) = self._network.predict([picture])
        return found


def _traced(detector: Detector, image: Tensor) -> tuple[Raw, Trace]:
    with torch.inference_mode():
        raw = detector([image])
        return raw, trace(detector, raw)[0]


class _Seen(ABC):
    """What was looked at in an image."""

    @abstractmethod
    def follow(self, tally: _Tally, image: int, target: Target) -> None:
        """Add the fates of an image's objects."""


@dataclass(frozen=True, eq=False)
class _InOne(_Seen):
    """An image as it is: its objects were all seen at once."""

    raw: Raw
    trace: Trace

    def follow(self, tally: _Tally, image: int, target: Target) -> None:
        """See :class:`_Seen`."""
        tally.add(image, target, self.raw, self.trace)


@dataclass(frozen=True, eq=False)
class _InViews(_Seen):
    """A picture that is cut: it is looked at again, since outputs of all its tiles would fill the memory."""

    picture: Picture
    policy: InputPolicy

    def follow(self, tally: _Tally, image: int, target: Target) -> None:
        """See :class:`_Seen`; each object in the view that shows it best."""
        tiles, size = self.policy.tiles, self.picture.shape[1:]
        assert tiles is not None
        judge = _judges(target.boxes, tiles.windows(*size), size)
        for view in views(self.picture, tiles, self.policy.min_size, self.policy.max_size):
            window, scale = (torch.from_numpy(one).to(target.boxes) for one in (view.window, view.scale))
            own = (judge == window).all(1)
            inside = (target.boxes[:, :2] >= window[:2]) & (target.boxes[:, 2:] <= window[2:])
            rows = torch.where(inside.all(1) | own)[0]
            own = own[rows]
            if (own & ~target.ignored[rows]).any():
                pixels = torch.from_numpy(np.ascontiguousarray(view.pixels.transpose(2, 0, 1)))
                start = len(tally.fates)
                there = _in_view(target, rows, window, scale)
                tally.add(image, there, *_traced(tally.detector, pixels), own)
                fates_there = tally.fates[start:]
                tally.fates[start:] = [_in_picture(one, rows, window, scale) for one in fates_there]


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

    def add(self, image: int, target: Target, raw: Raw, traced: Trace, wanted: Tensor | None = None) -> None:
        """Follow the objects of an image, or only those ``wanted (M,)``, and try milder settings for them."""
        classes = self.class_of[target.labels]
        names = tuple(self.names[label] for label in target.labels.tolist())
        with torch.inference_mode():
            every = fates(self.detector, traced, target, classes, names, image, self.threshold)
            own = every if wanted is None else [fate for fate in every if wanted[fate.object]]
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
            key = (change.setting.number, change.setting.name)
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
            setting = change.setting
            found.append(Remedy(stage, setting.name, setting.value, setting.milder, *counts))
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


def _judges(boxes: Tensor, windows: np.ndarray[Any, Any], size: tuple[int, int]) -> Tensor:
    """For each object ``(M, 4)`` the window of the view that it is judged in.

    That is the tile that shows all of it nearest to its middle; the whole picture where no tile does.
    """
    tiles = torch.from_numpy(windows).to(boxes)
    shown = (boxes[:, None, :2] >= tiles[:, :2]) & (boxes[:, None, 2:] <= tiles[:, 2:])  # (M, T, 2)
    middles = (boxes[:, :2] + boxes[:, 2:])[:, None] - (tiles[:, :2] + tiles[:, 2:])
    away = middles.square().sum(2).masked_fill(~shown.all(2), torch.inf)
    nearest, index = away.min(1)
    whole = boxes.new_tensor([0, 0, size[1], size[0]])
    return torch.where(nearest.isinf()[:, None], whole, tiles[index])


def _in_view(target: Target, rows: Tensor, window: Tensor, scale: Tensor) -> Target:
    """Some objects of a picture in pixels of a view; their areas stay those in the picture."""
    one = target.taken(rows)
    boxes = (one.boxes - window[:2].repeat(2)) / scale.repeat(2)
    return Target(boxes, one.labels, one.ignored, one.areas, one.difficult)


def _in_picture(fate: Fate, rows: Tensor, window: Tensor, scale: Tensor) -> Fate:
    """What was found out in a view, of the picture: its detections have no number there."""

    def moved(box: tuple[float, ...]) -> Any:
        return tuple((window.new_tensor(box) * scale.repeat(2) + window[:2].repeat(2)).tolist())

    return replace(
        fate,
        object=int(rows[fate.object]),
        box=moved(fate.box),
        by_box=None if fate.by_box is None else moved(fate.by_box),
        by_object=None if fate.by_object is None else int(rows[fate.by_object]),
        detection=None,
    )
