"""Explain: walk photographs through a detector, stage by stage, on one page that opens from disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from masu.data.dataset import Dataset
from masu.data.pixels.images import read_pixels
from masu.detectors.detector import Detector
from masu.detectors.tiling import refuse_tiled
from masu.detectors.trace import trace
from masu.errors import bad_input
from masu.evaluation.predictions import AnyDetector
from masu.explanation.explain_maps import maps
from masu.explanation.explain_page import photograph, write_page
from masu.explanation.fates import Fate, places_of
from masu.explanation.funnel import FunnelReport, funnel, on_cpu
from masu.ranges import PHOTOGRAPHS
from masu.records import Target
from masu.thresholds import said_of_thresholds, shown_from


@dataclass(frozen=True)
class ExplainReport:
    """What :func:`explain` wrote.

    Attributes:
        page: the file.
        bytes: its size.
        images: the photographs on it, in order.
        detections: final boxes in them.
        maps: final boxes with saliency maps.
        objects: labelled objects in them; None without labels.
        lost: how many of these no final box is matched to; None without labels.
        split: of the data set that was looked at; None for all of it, or for one image.
        faults: one line for each thing left out, as :func:`masu.evaluate` has them.
    """

    page: Path
    bytes: int
    images: tuple[Path, ...]
    detections: int
    maps: int
    objects: int | None
    lost: int | None
    split: str | None
    faults: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them; paths are strings."""
        return asdict(self) | {
            "page": str(self.page),
            "images": [str(image) for image in self.images],
            "faults": list(self.faults),
        }


def explain(
    detector: Detector | AnyDetector,
    source: Path | Dataset,
    out: Path,
    *,
    worst: int = 4,
    saliency: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExplainReport:
    """Write a page that shows every stage between a photograph and its boxes.

    Args:
        detector: a detector of masu; an exported file does not show its stages.
        source: one image file, or a labelled data set: then the page starts with its funnel and shows the
            images that lost most objects.
        out: the page to write.
        worst: images of a data set on the page.
        saliency: also show which pixels the best ``MOST_MAPS`` final boxes of each image rest on, see
            :func:`masu.explanation.explain_maps.maps`; each takes as long as about 30 predictions.
        progress: called with (images of the data set done, in total), then, for each image on the page, with
            (saliency maps done, in total).

    Raises:
        InputError: for an exported model, an image that cannot be read, ``worst`` out of range, and as
            :func:`masu.funnel`.
    """
    if not isinstance(detector, Detector):
        raise bad_input(
            "explain",
            "an exported model, which gives final boxes only",
            "a model of masu",
            "take the .safetensors file that it was exported from",
        )
    PHOTOGRAPHS.check("worst", worst)
    report = split = None
    chosen: list[tuple[Path, Target | None, list[Fate]]]
    if isinstance(source, Dataset):
        report, split = funnel(detector, source, progress=progress), source.split
        chosen = [
            (source[i].image, source[i].target, [fate for fate in report.fates if fate.image == i])
            for i in _most_lost(report, worst)
        ]
        if not chosen:
            raise bad_input(source.root, "no labelled objects", "objects to follow", "give a single image")
    else:
        chosen = [(source, None, [])]
    photographs = [_walked(detector, path, target, own, saliency, progress) for path, target, own in chosen]
    pyramid = detector.config.pyramid
    values = {
        "report": report,
        "split": split,
        "stages": places_of(detector),
        "model": type(detector).__name__,
        "kind": detector.kind,
        "names": detector.names,
        "saliency": saliency,
        "photographs": photographs,
        "data": {
            "names": list(detector.names),
            "kind": detector.kind,
            "sizes": [list(sizes) for sizes in pyramid.anchor_sizes],
            "labelled": report is not None,
            "shown": [shown_from(detector.thresholds, name) for name in detector.names],
            "shownFrom": said_of_thresholds(detector.thresholds),
            "photographs": photographs,
        },
    }
    write_page(values, out)
    shown = [fate for _, _, own in chosen for fate in own]
    return ExplainReport(
        page=out,
        bytes=out.stat().st_size,
        images=tuple(path for path, _, _ in chosen),
        detections=sum(len(p["tables"][-1]["kept"]) for p in photographs),
        maps=sum(len(p["maps"] or ()) for p in photographs),
        objects=None if report is None else len(shown),
        lost=None if report is None else sum(fate.stage != "found" for fate in shown),
        split=split,
        faults=() if report is None else report.metrics.faults,
    )


def _most_lost(report: FunnelReport, most: int) -> list[int]:
    """Positions of the images that lost most objects, the most first; of equal ones the least sure first."""
    lost = Counter({fate.image: 0 for fate in report.fates})
    lost.update(fate.image for fate in report.fates if fate.stage != "found")
    least = dict.fromkeys(lost, 1.0)
    for fate in report.fates:
        if fate.stage == "found":
            least[fate.image] = min(least[fate.image], fate.score or 0.0)
    return sorted(lost, key=lambda i: (-lost[i], least[i]))[:most]


def _walked(
    detector: Detector,
    path: Path,
    target: Target | None,
    own: list[Fate],
    saliency: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    here = on_cpu(detector)
    folded = here.prediction_network().detector
    pixels = read_pixels(path, detector.input.channels)
    refuse_tiled("explain", pixels.shape, detector.input.tiles)
    with torch.inference_mode():
        raw = folded([pixels])
        traced = trace(folded, raw)[0]
        walked = photograph(detector, raw, traced, path, target, own)
    return walked | {"maps": maps(here, pixels, traced, progress) if saliency else None}
