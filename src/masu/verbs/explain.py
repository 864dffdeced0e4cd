"""Explain: walk photographs through a detector, stage by stage, on one page that opens from disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from masu.data.bands import read_pixels
from masu.data.dataset import Dataset
from masu.detectors.detector import Detector
from masu.detectors.trace import trace
from masu.detectors.zoo import pyramid_of
from masu.errors import bad_input
from masu.records import Target
from masu.verbs.detect import Detector as Predictor
from masu.verbs.explain_page import photograph, write_page
from masu.verbs.fates import Fate
from masu.verbs.funnel import FunnelReport, funnel, on_cpu


@dataclass(frozen=True)
class ExplainReport:
    """What :func:`explain` wrote.

    Attributes:
        page: the file.
        bytes: its size.
        images: the photographs on it, in order.
        detections: final boxes in them.
        objects: labelled objects in them; None without labels.
        lost: how many of these no final box is matched to; None without labels.
    """

    page: Path
    bytes: int
    images: tuple[Path, ...]
    detections: int
    objects: int | None
    lost: int | None

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them; paths are strings."""
        return asdict(self) | {"page": str(self.page), "images": [str(image) for image in self.images]}


def explain(
    detector: Detector | Predictor,
    source: Path | Dataset,
    out: Path,
    *,
    most: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> ExplainReport:
    """Write a page that shows every stage between a photograph and its boxes.

    Args:
        detector: a detector of masu; an exported file does not show its stages.
        source: one image file, or a labelled data set: then the page starts with its funnel and shows the
            images that lost most objects.
        out: the page to write.
        most: images of a data set on the page.
        progress: called with (images done, images in total).

    Raises:
        InputError: for an exported model, an image that cannot be read, ``most`` under 1, and as
            :func:`masu.funnel`.
    """
    if not isinstance(detector, Detector):
        raise bad_input(
            "explain",
            "an exported model, which gives final boxes only",
            "a model of masu",
            "take the .safetensors file that it was exported from",
        )
    if most < 1:
        raise bad_input("most", f"{most}", "1 or more images", "4 is usual")
    report = None
    chosen: list[tuple[Path, Target | None, list[Fate]]]
    if isinstance(source, Dataset):
        report = funnel(detector, source, progress=progress)
        chosen = [
            (source[i].image, source[i].target, [fate for fate in report.fates if fate.image == i])
            for i in _most_lost(report, most)
        ]
        if not chosen:
            raise bad_input(source.root, "no labelled objects", "objects to follow", "give a single image")
    else:
        chosen = [(source, None, [])]
    photographs = [_walked(detector, path, target, own) for path, target, own in chosen]
    pyramid = pyramid_of(detector.config)
    values = {
        "report": report,
        "model": type(detector).__name__,
        "kind": detector.kind,
        "names": detector.names,
        "photographs": photographs,
        "data": {
            "names": list(detector.names),
            "kind": detector.kind,
            "sizes": [list(sizes) for sizes in pyramid.anchor_sizes],
            "labelled": report is not None,
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
        objects=None if report is None else len(shown),
        lost=None if report is None else sum(fate.stage != "found" for fate in shown),
    )


def _most_lost(report: FunnelReport, most: int) -> list[int]:
    """Positions of the images that lost most objects, the most first; of equal ones the first."""
    lost = Counter({fate.image: 0 for fate in report.fates})
    lost.update(fate.image for fate in report.fates if fate.stage != "found")
    return sorted(lost, key=lambda i: -lost[i])[:most]


def _walked(detector: Detector, path: Path, target: Target | None, own: list[Fate]) -> dict[str, Any]:
    folded = on_cpu(detector).folded()
    with torch.inference_mode():
        pixels = read_pixels(path, detector.input.channels)
        raw = folded([pixels])
        return photograph(detector, raw, trace(folded, raw)[0], path, target, own)
