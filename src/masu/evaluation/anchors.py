"""Anchors: how well a detector's anchors cover the objects of a data set, and which would fit better."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from masu.data.dataset import Dataset
from masu.data.loading.network_scale import ScaledObjects, scaled_objects
from masu.detectors.build import configuration, make
from masu.detectors.config import DetectorConfig, PyramidConfig
from masu.errors import bad_input
from masu.ops.anchors import cell_anchors, fit_anchors, level_strides
from masu.ops.best_anchor import best_anchors
from masu.pages.charts import QUARTERS, Axis, Chart, Column, Dot
from masu.pages.page import put_page, render
from masu.ranges import IMAGE_SIZE

SHAPES = (
    ("very wide, over 3:1", 0.0, 1 / 3),
    ("wide, 1.5:1 to 3:1", 1 / 3, 1 / 1.5),
    ("about square", 1 / 1.5, 1.5),
    ("tall, 1:1.5 to 1:3", 1.5, 3.0),
    ("very tall, over 1:3", 3.0, math.inf),
)
"""Names of heights over widths, each from a bound to the next."""

BINS = 20
"""Columns of the histogram of best IoUs."""

MOST_OBJECTS = 2000
"""Objects that are drawn by width and height."""

_MARGIN = 2**0.2
"""How far the axes go on beyond the smallest and the largest side."""


@dataclass(frozen=True)
class Group:
    """Objects of one size, shape or level.

    Attributes:
        name: of the group.
        objects: in it.
        under_50: objects whose best anchor has IoU < 0.5.
        under_70: the same for 0.7.
    """

    name: str
    objects: int
    under_50: int
    under_70: int


@dataclass(frozen=True)
class Coverage:
    """How anchors cover objects.

    Attributes:
        sizes: per level, square roots of areas in pixels of the network's input.
        ratios: heights over widths.
        objects: looked at.
        under_50: objects whose best anchor has IoU < 0.5.
        under_70: the same for 0.7.
        low_quality: objects whose best anchor is under the IoU from which the detector takes one for an
            object: they are learnt from that one anchor only (low-quality matches).
        unreachable: objects that no anchor overlaps at all.
        mean: mean of the best IoUs.
        histogram: objects by best IoU, in ``BINS`` steps from 0 to 1.
        by_size: by the square root of the object's area.
        by_shape: by height over width.
        by_level: by the level of the best anchor.
    """

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]
    objects: int
    under_50: int
    under_70: int
    low_quality: int
    unreachable: int
    mean: float
    histogram: tuple[int, ...]
    by_size: tuple[Group, ...]
    by_shape: tuple[Group, ...]
    by_level: tuple[Group, ...]

    def share(self, count: int) -> float:
        """A count as a share of the objects; 0 without any."""
        return count / self.objects if self.objects else 0.0


@dataclass(frozen=True)
class AnchorReport:
    """What :func:`anchor_report` found.

    Attributes:
        architecture: name of the detector.
        min_size: shorter side that the network sees, in pixels.
        max_size: limit of the longer one.
        fg_iou_thresh: IoU from which this detector takes an anchor for an object.
        images: images looked at.
        split: they are of; None for all of the data.
        own: the detector's anchors.
        fitted: anchors fitted to the data, in the same number.
        shapes: heights and widths of the objects in pixels of the network's input.
    """

    architecture: str
    min_size: int
    max_size: int
    fg_iou_thresh: float
    images: int
    split: str | None
    own: Coverage
    fitted: Coverage
    shapes: tuple[tuple[float, float], ...]

    @property
    def advice(self) -> str:
        """What to do, in words."""
        own, fitted = self.own, self.fitted
        said = []
        tiny = sum(math.sqrt(height * width) < 8 for height, width in self.shapes)
        if own.share(tiny) > 0.05:
            said.append(
                f"{tiny} of {own.objects} objects are under 8 px at this size, too small for any anchor to "
                f"help: train with --image-size {2 * self.min_size}, or cut the images into tiles"
            )
        gain = own.share(own.under_50) - fitted.share(fitted.under_50)
        if own.share(own.under_50) <= 0.02:
            said.append(
                f"the model's own anchors reach {1 - own.share(own.under_50):.1%} of the objects at IoU 0.5: "
                "keep them"
            )
        elif gain > 0.01:
            said.append(
                f"{own.share(own.under_50):.1%} of the objects have no anchor at IoU 0.5, with fitted ones "
                f"{fitted.share(fitted.under_50):.1%}: compare a training with --anchors auto"
            )
        else:
            said.append(
                f"{own.share(own.under_50):.1%} of the objects have no anchor at IoU 0.5 and fitting sizes "
                "and ratios does not change that: another --image-size may"
            )
        return "; ".join(said)

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON knows them, without the single objects."""
        row = asdict(self) | {"advice": self.advice}
        del row["shapes"]
        return row


def anchor_report(data: Dataset, architecture: str, image_size: int | None = None) -> AnchorReport:
    """Measure the anchors of an architecture, and ones fitted to the data, on the grid of the network.

    Args:
        data: images and objects; of more than a thousand images, a thousand evenly spread ones.
        architecture: name of a detector.
        image_size: shorter side that the network sees; default: the architecture's.

    Raises:
        InputError: for an unknown architecture or one without anchors to fit, or data without objects.
    """
    config = configuration(architecture)
    check_has_anchors(config, architecture)
    if image_size is not None:
        IMAGE_SIZE.check("image_size", image_size)
        config = config.with_image_size(image_size)
    pyramid = config.pyramid
    objects = scaled_objects(data, pyramid.input)
    if len(objects.shapes) == 0:
        raise bad_input(
            "", f"{objects.images} images without an object", "objects to cover", code="no-objects"
        )
    return AnchorReport(
        architecture=architecture,
        min_size=pyramid.input.min_size,
        max_size=pyramid.input.max_size,
        fg_iou_thresh=config.fg_iou_thresh,
        images=objects.images,
        split=data.split,
        own=coverage(config, objects),
        fitted=coverage(config.with_pyramid(fitted(config, objects)), objects),
        shapes=tuple((height, width) for height, width in objects.shapes.tolist()),
    )


def check_has_anchors(config: DetectorConfig, architecture: str) -> None:
    """Refuse an architecture whose anchors are only points.

    Raises:
        InputError: for such a one.
    """
    if not config.fits_anchors:
        raise bad_input(
            architecture,
            "points",
            "anchors, whose sizes and ratios can fit objects",
            "leave its anchors as they are, or choose another --architecture",
        )


def fitted(config: DetectorConfig, objects: ScaledObjects) -> PyramidConfig:
    """The pyramid with anchors fitted to objects, as many as it had: a head's weights still go with them."""
    pyramid = config.pyramid
    sizes, ratios = fit_anchors(
        objects.shapes, pyramid.anchor_sizes, pyramid.anchor_ratios, level_steps(config)
    )
    return replace(pyramid, anchor_sizes=sizes, anchor_ratios=ratios)


def coverage(config: DetectorConfig, objects: ScaledObjects) -> Coverage:
    """Best anchors of objects on the grids of the canvases they are on."""
    pyramid, steps = config.pyramid, level_steps(config)
    cells = [cell_anchors(sizes, pyramid.anchor_ratios) for sizes in pyramid.anchor_sizes]
    ious, levels = [torch.zeros(0)], [torch.zeros(0, dtype=torch.int64)]
    for (height, width), boxes in objects.boxes.items():
        grids = [(-(-height // step), -(-width // step)) for step in steps]
        iou, level = best_anchors(boxes, cells, grids, level_strides((height, width), grids))
        ious.append(iou)
        levels.append(level)
    iou, level = torch.cat(ious), torch.cat(levels)
    shapes = objects.shapes
    side, ratio = shapes.prod(1).sqrt(), shapes[:, 0] / shapes[:, 1]
    octave = side.clamp(min=4, max=1023).log2().floor().long()
    of_level = [
        (f"stride {step}: {_figures(sizes)} px", level == i)
        for i, (step, sizes) in enumerate(zip(steps, pyramid.anchor_sizes, strict=True))
    ]
    of_size = [
        (f"{2**power if power > 2 else 0} to {2 ** (power + 1)} px", octave == power)
        for power in range(2, 10)
    ]
    of_shape = [(name, (ratio >= low) & (ratio < high)) for name, low, high in SHAPES]
    return Coverage(
        sizes=pyramid.anchor_sizes,
        ratios=pyramid.anchor_ratios,
        objects=len(iou),
        under_50=int((iou < 0.5).sum()),
        under_70=int((iou < 0.7).sum()),
        low_quality=int(((iou > 0) & (iou < config.fg_iou_thresh)).sum()),
        unreachable=int((iou == 0).sum()),
        mean=float(iou.double().mean()) if len(iou) else 0.0,
        histogram=tuple(torch.histc(iou, BINS, 0, 1).long().tolist()),
        by_size=_groups(of_size, iou),
        by_shape=_groups(of_shape, iou),
        by_level=_groups(of_level, iou),
    )


def level_steps(config: DetectorConfig) -> tuple[int, ...]:
    """Pixels per cell of each level of a detector, by the network's structure."""
    with torch.device("meta"):
        return make(config, ("object",)).pyramid.strides


def write_page(report: AnchorReport, file: Path) -> None:
    """The report as one HTML file: objects and anchors by width and height, best IoUs, tables."""
    text = render(
        "anchors.html.j2",
        {"percent": lambda value: f"{value:.1%}", "figures": _figures},
        report=report,
        shapes=shapes_chart(report),
        coverage=coverage_chart(report),
        parts={
            "Size (square root of the area)": _beside(report.own.by_size, report.fitted.by_size),
            "Shape (width to height)": _beside(report.own.by_shape, report.fitted.by_shape),
            "Level of the best anchor": _beside(report.own.by_level, report.fitted.by_level),
        },
    )
    put_page(file, text)


def shapes_chart(report: AnchorReport) -> Chart:
    """Objects and anchors by width and height, on logarithmic axes."""
    every = max(len(report.shapes) // MOST_OBJECTS, 1)
    shown = {
        "object": report.shapes[::every],
        "own": [shape for sizes in report.own.sizes for shape in _anchor_shapes(sizes, report.own.ratios)],
        "fitted": [
            shape for sizes in report.fitted.sizes for shape in _anchor_shapes(sizes, report.fitted.ratios)
        ],
    }
    drawn = [*report.shapes, *shown["own"], *shown["fitted"]]
    sides = [max(side, 1.0) for shape in drawn for side in shape]
    low, high = min(sides) / _MARGIN, max(sides) * _MARGIN
    x, y = Axis(low, high, 0.0, 400.0, logarithmic=True), Axis(low, high, 400.0, 0.0, logarithmic=True)
    powers = [2**power for power in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
    marks = {"object": (2.0, "circle"), "own": (5.0, "square"), "fitted": (5.0, "diamond")}
    return Chart(
        x,
        y,
        "width, px",
        x.ticks(powers),
        y.ticks(powers),
        f"{len(report.shapes)} objects, sides from {min(map(min, report.shapes)):.0f} to "
        f"{max(map(max, report.shapes)):.0f} px, "
        f"{len(shown['own'])} anchors of the model and as many fitted ones",
        dots=tuple(
            Dot(x.place(max(width, 1.0)), y.place(max(height, 1.0)), "", style, *marks[style])
            for style, shapes in shown.items()
            for height, width in shapes
        ),
        ruled=True,
    )


def coverage_chart(report: AnchorReport) -> Chart:
    """Objects by the IoU of their best anchor: own anchors on the left, fitted ones on the right."""
    tallest = max(*report.own.histogram, *report.fitted.histogram)
    x, y = Axis(0, 1, 0.0, 400.0), Axis(0, tallest, 400.0, 10.0)
    columns = []
    for i in range(BINS):
        for style, found, beside in (("own", report.own, 1.0), ("fitted", report.fitted, 10.0)):
            count, left, top = found.histogram[i], x.place(i / BINS) + beside, y.place(found.histogram[i])
            words = f"{count} objects, IoU {i / BINS:.2f} to {(i + 1) / BINS:.2f}"
            columns.append(Column(left, top, 9.0, round(y.start - top, 1), words, style))
    return Chart(
        x,
        y,
        "IoU",
        x.ticks(QUARTERS),
        y.ticks((0, tallest)),
        f"mean {report.own.mean:.3f} with the model's own anchors, {report.fitted.mean:.3f} with fitted ones",
        columns=tuple(columns),
    )


_LEVEL = re.compile(r": .* px$")


def _beside(own: Sequence[Group], fitted: Sequence[Group]) -> list[tuple[str, Group | None, Group | None]]:
    """Groups of the same name beside each other; of levels the name says the sizes, which differ."""
    rows = [{_LEVEL.sub("", group.name): group for group in of} for of in (own, fitted)]
    return [(name, rows[0].get(name), rows[1].get(name)) for name in dict.fromkeys([*rows[0], *rows[1]])]


def _anchor_shapes(sizes: Sequence[float], ratios: Sequence[float]) -> list[tuple[float, float]]:
    """Heights and widths of the anchors of a cell."""
    cell = cell_anchors(sizes, ratios)
    return [(height, width) for width, height in (cell[:, 2:] - cell[:, :2]).tolist()]


def _groups(named: Sequence[tuple[str, Tensor]], iou: Tensor) -> tuple[Group, ...]:
    """Groups that have objects."""
    return tuple(
        Group(name, int(of.sum()), int((iou[of] < 0.5).sum()), int((iou[of] < 0.7).sum()))
        for name, of in named
        if bool(of.any())
    )


def _figures(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
