"""Explain: a page that follows the boxes of a photograph, or of labelled images, through every stage."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from masu.data.dataset import Dataset
from masu.data.pixels.pictures import IMAGE_SUFFIXES
from masu.detectors.detector import Detector
from masu.evaluation.predictions import AnyDetector
from masu.explanation.explain import ExplainReport
from masu.explanation.explain import explain as write_explanation
from masu.pages.run_report import REPORT, is_run_report, refuse_run_report
from masu.verbs.evaluate import refuse_path
from masu.verbs.reading import IN_MEMORY, refuse_beside, to_measure_on


def explain(
    detector: Detector | AnyDetector,
    source: str | os.PathLike[str] | Dataset,
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    worst: int = 4,
    saliency: bool = False,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ExplainReport:
    """Write a page that shows every stage between a photograph and its boxes.

    Args:
        detector: a detector of masu; an exported file does not show its stages.
        source: an image file; or labelled images, as a path or from :func:`masu.read_dataset`: then the page
            starts with their funnel and shows the images that lost most objects.
        out: the page to write; default: ``report.html``, but ``explain.html`` in the folder of a run, whose
            own report stays.
        split: of labelled images at a path; default: test, else val, where they have splits.
        worst: images of a data set on the page: those that lost most objects.
        saliency: also show which pixels the best 20 boxes of each image rest on; each takes as long as about
            30 predictions.
        form: format of labelled images at a path; default: found by looking.
        images: another folder that holds the images of labelled data at a path.
        progress: called with (images done, in total), then, for each image on the page, with (saliency maps
            done, in total).

    Returns:
        What is on the page; ``faults`` also names what reading the data at a path has left out.

    Raises:
        TypeError: for ``split``, ``form`` or ``images`` beside a ``Dataset`` or a single image.
        InputError: for an exported model, an image or data that cannot be read, ``worst`` out of range, and
            as :func:`masu.funnel`.
    """
    refuse_path(detector, "explain")
    page = _free() if out is None else Path(out)
    refuse_run_report(page)
    if isinstance(source, Dataset) or shows_one(source):
        beside = IN_MEMORY if isinstance(source, Dataset) else "a single image"
        refuse_beside(beside, "explain", split=split, form=form, images=images)
        given = source if isinstance(source, Dataset) else Path(source)
        return write_explanation(detector, given, page, worst=worst, saliency=saliency, progress=progress)
    data = to_measure_on(source, split, form=form, images=images, channels=detector.input.channels)
    done = write_explanation(detector, data, page, worst=worst, saliency=saliency, progress=progress)
    return replace(done, faults=(*map(str, data.faults), *done.faults))


def _free() -> Path:
    page = Path(REPORT)
    return page.with_name("explain.html") if is_run_report(page) else page


def shows_one(source: str | os.PathLike[str]) -> bool:
    """Whether a path is that of one image, by its suffix, and not of labelled data."""
    return Path(source).suffix.lower() in IMAGE_SUFFIXES
