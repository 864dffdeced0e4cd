"""Box average precision and proposal recall as COCO defines them, computed by the compiled hotcoco.

Source: Lin et al. 2014 (COCO) and its reference implementation pycocotools, whose figures these equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypeAlias

import hotcoco
import numpy as np
import numpy.typing as npt

from masu.errors import bad_input
from masu.evaluation.difficult import set_apart
from masu.evaluation.table import Table
from masu.evaluation.voc import voc_ap
from masu.records import Detections, Target

_Floats: TypeAlias = npt.NDArray[np.float64]

# Positions on the axes of pycocotools' arrays: precision (IoU, recall, class, size, limit) and
# recall (IoU, class, size, limit).
_IOU_50, _IOU_75 = 0, 5
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)


class Interval(NamedTuple):
    """Both ends of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class ClassMetrics:
    """Figures of one class, each in 0..1; None where the data has no object of the class.

    Attributes:
        ap: average precision, mean over IoU 0.50, 0.55 … 0.95.
        ap50: average precision at IoU 0.50.
        ar100: recall among the 100 best detections of an image, mean over IoU 0.50 … 0.95.
        objects: number of labelled objects, without ignored ones.
        intervals: of ``ap``, ``ap50`` and ``ar100`` over other images of the same kind, where they were
            computed.
    """

    ap: float | None
    ap50: float | None
    ar100: float | None
    objects: int
    intervals: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Slice:
    """A part of the data and its figures.

    Attributes:
        by: what parts it.
        name: of the part.
        images: images in it.
        objects: labelled objects of it, without ignored ones.
        ap: average precision; None without objects.
        ap_interval: 95 % of it over other images of the same kind; None where there are fewer than two.
        ap50: at IoU 0.50.
        ap50_interval: likewise.
    """

    by: str
    name: str
    images: int
    objects: int
    ap: float | None
    ap_interval: Interval | None
    ap50: float | None
    ap50_interval: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them."""
        return {name: jsonable(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Metrics:
    """The twelve COCO figures, each in 0..1; None where the data has no object of that kind.

    Small is an area up to 32², medium 32² to 96², large from 96² square pixels (both ends belong). An
    object's area is the one that its annotation gives, such as that of its mask, else its box's.

    Attributes:
        ap: average precision, mean over classes and over IoU 0.50, 0.55 … 0.95.
        ap50: the same at IoU 0.50.
        ap75: the same at IoU 0.75.
        ap_small: ``ap`` of small objects.
        ap_medium: ``ap`` of medium objects.
        ap_large: ``ap`` of large objects.
        ar1: recall with the best ``max_detections[0]`` (1) detections per class and image, mean over classes
            and IoU 0.50 … 0.95.
        ar10: the same with ``max_detections[1]`` (10).
        ar100: the same with ``max_detections[2]`` (100), the limit that every other figure uses too.
        ar_small: ``ar100`` of small objects.
        ar_medium: ``ar100`` of medium objects.
        ar_large: ``ar100`` of large objects.
        per_class: figures of each class, in the order of the class names.
        images: number of images scored.
        objects: number of labelled objects in them, without ignored ones.
        voc_ap50: mean over classes of the average precision of Pascal VOC, see
            :func:`masu.evaluation.voc.voc_ap`; None where it was not asked for and no object is difficult.
        voc07_ap50: the same over eleven points, as in VOC 2007.
        seconds_per_image: mean time of a prediction; None when it was not measured.
        max_detections: the three limits of detections per class and image.
        faults: one line for each thing left out of the evaluation.
        intervals: of ``ap``, ``ap50``, ``ap75``, ``ar100`` and AP by size over other images of the same kind
            (:mod:`masu.evaluation.resampling`), where they were computed.
        slices: figures of parts of the data (:mod:`masu.evaluation.slices`), where they were asked for.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar1: float | None
    ar10: float | None
    ar100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None
    per_class: dict[str, ClassMetrics]
    images: int
    objects: int
    voc_ap50: float | None = None
    voc07_ap50: float | None = None
    seconds_per_image: float | None = None
    max_detections: tuple[int, int, int] = (1, 10, 100)
    faults: tuple[str, ...] = ()
    intervals: dict[str, Interval] = field(default_factory=dict)
    slices: tuple[Slice, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them: numbers, strings, lists, None and nested dictionaries.

        ``slices`` is left out where there are none.
        """
        values = {name: jsonable(value) for name, value in asdict(self).items()}
        return values if self.slices else {name: value for name, value in values.items() if name != "slices"}


@dataclass(frozen=True)
class ProposalMetrics:
    """How many objects class-agnostic proposals cover, each figure in 0..1; None without objects.

    Attributes:
        ar100: recall with the best ``max_detections[0]`` (100) proposals of an image, mean over IoU
            0.50, 0.55 … 0.95.
        ar1000: the same with ``max_detections[1]`` (1000).
        recall50_at_100: recall at IoU 0.50 with the best ``max_detections[0]`` (100) proposals.
        recall50_at_1000: the same with ``max_detections[1]`` (1000).
        images: number of images scored.
        objects: number of labelled objects in them, without ignored ones.
        seconds_per_image: mean time of a prediction; None when it was not measured.
        max_detections: the two limits of proposals per image.
        faults: one line for each thing left out of the evaluation.
    """

    ar100: float | None
    ar1000: float | None
    recall50_at_100: float | None
    recall50_at_1000: float | None
    images: int
    objects: int
    seconds_per_image: float | None = None
    max_detections: tuple[int, int] = (100, 1000)
    faults: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them: numbers, strings, lists, None and nested dictionaries."""
        return {name: jsonable(value) for name, value in asdict(self).items()}


def coco_metrics(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    names: Sequence[str],
    max_detections: tuple[int, int, int] = (1, 10, 100),
    voc: bool = False,
) -> Metrics:
    """Average precision and recall of boxes with classes.

    Args:
        targets: labelled objects of each image. Neither right nor wrong is what finds nothing else and lies
            within an ignored region (COCO crowd) to the share of the IoU threshold, and what means a
            difficult object (VOC), see :mod:`masu.evaluation.difficult`.
        detections: what was found in the same images, unfiltered by score.
        names: class names; labels index them. Classes of the same name are one class.
        max_detections: three rising limits of detections per class and image, best scores first.
        voc: report ``voc_ap50`` and ``voc07_ap50`` also where no object is difficult.

    Returns:
        The figures; a class, size or data set without objects has None. Without difficult objects equal to
        pycocotools' ``COCOeval`` of type ``bbox``.

    Raises:
        InputError: for unequal lengths, a label without a name or limits that do not rise.
    """
    _check_limits(max_detections, 3)
    unique, objects, found = tables(targets, detections, names)
    precision, recall = _accumulate(len(targets), unique, objects, found, max_detections)

    def ap(size: int = _ALL, iou: slice | int = slice(None)) -> float | None:
        return _mean(precision[iou, :, :, size, -1])

    def ar(limit: int = -1, size: int = _ALL) -> float | None:
        return _mean(recall[:, :, size, limit])

    counts = np.bincount(objects.category[~objects.ignored], minlength=len(unique) + 1)[1:]
    per_class = {
        name: ClassMetrics(
            ap=_mean(precision[:, :, k, _ALL, -1]),
            ap50=_mean(precision[_IOU_50, :, k, _ALL, -1]),
            ar100=_mean(recall[:, k, _ALL, -1]),
            objects=int(counts[k]),
        )
        for k, name in enumerate(unique)
    }
    all_points, eleven_points = _voc_ap50(objects, found) if voc or objects.difficult.any() else (None, None)
    return Metrics(
        ap=ap(),
        ap50=ap(iou=_IOU_50),
        ap75=ap(iou=_IOU_75),
        ap_small=ap(_SMALL),
        ap_medium=ap(_MEDIUM),
        ap_large=ap(_LARGE),
        ar1=ar(0),
        ar10=ar(1),
        ar100=ar(2),
        ar_small=ar(size=_SMALL),
        ar_medium=ar(size=_MEDIUM),
        ar_large=ar(size=_LARGE),
        per_class=per_class,
        images=len(targets),
        objects=int(counts.sum()),
        voc_ap50=all_points,
        voc07_ap50=eleven_points,
        max_detections=max_detections,
    )


def tables(
    targets: Sequence[Target], detections: Sequence[Detections], names: Sequence[str]
) -> tuple[list[str], Table, Table]:
    """The different class names, which are the categories from 1 on, and both as tables of them.

    Raises:
        InputError: for a label without a name.
    """
    unique = list(dict.fromkeys(names))
    position = {name: index for index, name in enumerate(unique)}
    category_of = np.array([position[name] + 1 for name in names], dtype=np.int64)
    return unique, Table.of_targets(targets, category_of), Table.of_detections(detections, category_of)


def _voc_ap50(objects: Table, found: Table) -> tuple[float, float] | tuple[None, None]:
    """Means over classes: all points, eleven points."""
    aps = voc_ap(objects, found).values()
    if not aps:
        return None, None
    return sum(ap.all_points for ap in aps) / len(aps), sum(ap.eleven_points for ap in aps) / len(aps)


def proposal_metrics(
    targets: Sequence[Target],
    proposals: Sequence[Detections],
    max_detections: tuple[int, int] = (100, 1000),
) -> ProposalMetrics:
    """Average recall of class-agnostic boxes; all labels are disregarded.

    Args:
        targets: labelled objects of each image; covering an ignored one is neither right nor wrong.
        proposals: boxes proposed for the same images, with scores.
        max_detections: two rising limits of proposals per image, best scores first.

    Returns:
        The figures, None without objects. Equal to pycocotools' ``COCOeval`` with ``useCats = 0``.
        Source: Hosang et al. 2015, "What makes for effective detection proposals?", in COCO's form.

    Raises:
        InputError: for unequal lengths or limits that do not rise.
    """
    _check_limits(max_detections, 2)
    objects = Table.of_targets(targets, None)
    found = Table.of_detections(proposals, None)
    _, recall = _accumulate(len(targets), ["object"], objects, found, max_detections)
    few, many = recall[:, 0, _ALL, 0], recall[:, 0, _ALL, 1]
    return ProposalMetrics(
        ar100=_mean(few),
        ar1000=_mean(many),
        recall50_at_100=_mean(few[_IOU_50]),
        recall50_at_1000=_mean(many[_IOU_50]),
        images=len(targets),
        objects=int((~objects.ignored).sum()),
        max_detections=max_detections,
    )


def _accumulate(
    images: int, names: Sequence[str], objects: Table, found: Table, limits: Sequence[int]
) -> tuple[_Floats, _Floats]:
    """Precision ``(10, 101, K, 4, limits)`` and recall ``(10, K, 4, limits)``; −1 where undefined."""
    if objects.images != found.images:
        raise bad_input(
            "detections", f"results of {found.images} images", f"{objects.images}, one per target"
        )
    if not images or not names:
        classes = len(names)
        return np.full((10, 101, classes, 4, len(limits)), -1.0), np.full((10, classes, 4, len(limits)), -1.0)
    evaluation = matched(names, objects, found, limits)
    evaluation.accumulate()
    # summarize() would print, and warn about limits other than 1, 10, 100
    arrays = evaluation.eval
    assert arrays is not None
    return np.asarray(arrays["precision"]), np.asarray(arrays["recall"])


def matched(
    names: Sequence[str], objects: Table, found: Table, limits: Sequence[int] = (1, 10, 100)
) -> hotcoco.COCOeval:
    """COCO's matching of all images, not accumulated yet.

    Args:
        names: of the categories, which count from 1.
        objects: of at least one image.
        found: in the same images.
        limits: of detections per class and image.
    """
    objects, found = set_apart(objects, found)
    truth = hotcoco.COCO.from_arrays(
        [{"id": i, "width": 0, "height": 0, "file_name": ""} for i in range(1, objects.images + 1)],
        [{"id": k, "name": name} for k, name in enumerate(names, 1)],
        objects.image,
        objects.category,
        objects.xywh,
        ids=np.arange(1, len(objects.image) + 1),
        area=objects.area,
        iscrowd=objects.ignored.astype(np.int64),
    )
    results = truth.load_res(np.column_stack([found.image, found.xywh, found.score, found.category]))
    evaluation = hotcoco.COCOeval(truth, results, "bbox")
    evaluation.params.max_dets = list(limits)
    evaluation.evaluate()
    return evaluation


def _mean(values: _Floats) -> float | None:
    defined = values[values > -1]
    # rounded, because COCO's guard against 0/0 makes a perfect precision 1 − 2⁻⁵³
    return round(float(defined.mean()), 12) if defined.size else None


def _check_limits(limits: Sequence[int], count: int) -> None:
    if len(limits) != count or any(a >= b for a, b in zip((0, *limits), limits, strict=False)):
        raise bad_input("max_detections", f"{tuple(limits)}", f"{count} rising numbers from 1")


def jsonable(value: Any) -> Any:
    """A value of plain words and numbers as JSON knows it: tuples, named ones too, become lists."""
    if isinstance(value, dict):
        return {key: jsonable(one) for key, one in value.items()}
    return [jsonable(one) for one in value] if isinstance(value, tuple) else value
