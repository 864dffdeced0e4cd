"""Check: find the faults of a data set before anything is trained on it, and write it without them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from masu.data.audit.checks import Finding, Looked, find_faults
from masu.data.audit.mending import mend
from masu.data.audit.strays import find_strays, find_unread
from masu.data.dataset import Dataset, part_name
from masu.data.fitting import Box, measured
from masu.data.formats import formats, read_annotations
from masu.data.formats.writing import refuse_place, refuse_target, write_dataset
from masu.data.kinds import KINDS, Kind
from masu.data.pixels.pictures import DECODER_ERRORS, open_picture
from masu.detectors.zoo import ARCHITECTURES, DEFAULT
from masu.drafts.folder import form_of
from masu.errors import bad_input
from masu.json_text import to_json
from masu.ops.images import InputPolicy
from masu.pages.page import put_page, render
from masu.pages.pictures import Mark, Shown, embedded
from masu.ranges import IMAGE_SIZE
from masu.training.recipe import TrainSettings
from masu.verbs.reading import Counter, Progress, looked_at, quiet
from masu.verbs.wrong_labels import (
    TITLES,
    LabelReview,
    WrongLabel,
    review_labels,
    settings_for,
    write_suggestions,
)

MOST_PICTURES = 12
"""Pictures of each kind on the page."""

MOST_LABELS = 200
"""Labels that are probably wrong, with a picture each, on the page."""

MOST_ROWS = 200
"""Places of each kind in the page's tables."""

_LOOKING = "looking at images"
_SHOWN_SIDE = 400
_LABEL, _SEEN = "label", "seen"


@dataclass(frozen=True)
class CheckReport:
    """What :func:`check` found.

    Attributes:
        root: the data set's folder.
        format: of the data set.
        images: pictures by split.
        objects: objects by split.
        names: class names.
        findings: everything found, the worst kinds first.
        seconds: time it took.
        review: labels that are probably wrong; None where none were judged.
    """

    root: Path
    format: str
    images: dict[str, int]
    objects: dict[str, int]
    names: tuple[str, ...]
    findings: tuple[Finding, ...]
    seconds: float
    review: LabelReview | None = None

    @property
    def errors(self) -> int:
        """Findings of kinds that are errors."""
        return sum(KINDS[finding.kind].severity == "error" for finding in self.findings)

    def by_kind(self) -> list[tuple[str, Kind, list[Finding]]]:
        """Kinds that were found, the worst first, each with its findings."""
        groups = [(name, kind, [f for f in self.findings if f.kind == name]) for name, kind in KINDS.items()]
        return [group for group in groups if group[2]]

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON knows them."""
        return {
            "format": self.format,
            "images": self.images,
            "objects": self.objects,
            "names": list(self.names),
            "errors": self.errors,
            "findings": [
                {
                    "kind": finding.kind,
                    "severity": KINDS[finding.kind].severity,
                    "file": str(finding.file),
                    "where": finding.where,
                    "found": finding.found,
                    "fix": KINDS[finding.kind].fix,
                    "split": finding.split,
                    "image": None if finding.image is None else str(finding.image),
                    "boxes": [list(map(float, box)) for box in finding.boxes],
                }
                for finding in self.findings
            ],
            "seconds": self.seconds,
            "label_review": None if self.review is None else self.review.as_dict(),
        }


class DataCheck:
    """A data set that was read and looked at; reports, pages and mended copies are made of it.

    Args:
        path: data set.
        form: its format; default: found by looking.
        policy: how the network will see the images.
        counter: shows how far reading, looking and comparing are.
        images: another folder that holds the images.

    Raises:
        InputError: as of :func:`masu.data.formats.read_annotations`.
    """

    def __init__(
        self,
        path: Path,
        form: str | None,
        policy: InputPolicy,
        counter: Counter = quiet,
        images: Path | None = None,
    ) -> None:
        started = time.perf_counter()
        with counter("reading annotations"):
            annotations = read_annotations(path, form, images)
            unread = find_unread(annotations)
            self.strays = find_strays(path, annotations)
        self.annotations = annotations
        with counter(_LOOKING) as progress:
            self.looked = Looked.of(_in_order(measured(annotations)), progress)
        data = self.looked.data
        order = {name: rank for rank, name in enumerate(KINDS)}
        told = {*unread, *annotations.drafts}
        unlabelled = [file for file in self.strays if file not in told]
        with counter("comparing images") as progress:
            findings = find_faults(self.looked, policy, unlabelled, unread, progress)
        parts = data.parts()
        self.report = CheckReport(
            root=data.root,
            format=data.form,
            images={part_name(split, parts): len(part) for split, part in parts.items()},
            objects={part_name(split, parts): len(part.boxes) for split, part in parts.items()},
            names=data.names,
            findings=tuple(sorted(findings, key=lambda finding: order[finding.kind])),
            seconds=time.perf_counter() - started,
        )

    def review_labels(
        self,
        model: str | os.PathLike[str] | TrainSettings,
        *,
        time_budget: float | None = None,
        epochs: int | None = None,
        device: str = "auto",
        counter: Counter = quiet,
    ) -> None:
        """Add the labels that are probably wrong to the report.

        Args: as of :func:`masu.verbs.wrong_labels.review_labels`.

        Raises:
            InputError: as of :func:`masu.verbs.wrong_labels.review_labels`.
        """
        settings = settings_for(model)
        data = looked_at(self.annotations, None, settings.channels, counter)
        self.judged = data
        review = review_labels(
            data, settings, time_budget=time_budget, epochs=epochs, device=device, counter=counter
        )
        self.report = replace(self.report, review=review)

    def write_suggestions(self, out: Path, tool: str) -> list[str]:
        """See :func:`masu.verbs.wrong_labels.write_suggestions`; without a doubtful label writes nothing."""
        review = self.report.review
        assert review is not None, "the labels are reviewed first"
        return write_suggestions(out, tool, self.judged, review) if review.labels else []

    def write_mended(self, out: Path) -> list[str]:
        """Write a copy without what :func:`masu.data.audit.mending.mend` can decide, and ``changes.json``.

        In the format of the data set, or COCO where masu cannot write that; the original stays untouched.
        Images without annotation are copied, too.

        Args:
            out: new or empty folder.

        Returns:
            What was changed, one sentence each, and what the format cannot hold.
        """
        mended, changes = mend(self.looked)
        form = mended.form if formats()[mended.form].write is not None else "coco"
        rows = [{"file": str(c.file), "where": c.where, "done": c.done} for c in changes]
        text = to_json(rows, indent=1, ensure_ascii=False).encode(errors="backslashreplace").decode()
        lost = write_dataset(out, form, mended, self.strays, more={"changes.json": text})
        said = [
            ": ".join(part for part in (str(c.file) if c.file.name else "", c.where, c.done) if part)
            for c in changes
        ]
        return [*said, *lost]


def _in_order(data: Dataset) -> Dataset:
    """The images split by split, so that what two splits share is told of the first."""
    if not data.splits:
        return data
    first = np.where(data.members.any(0), data.members.argmax(0), len(data.splits))
    return data.take(np.argsort(first, kind="stable"))


def check(
    data: str | os.PathLike[str],
    form: str | None = None,
    policy: InputPolicy | None = None,
    *,
    images: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    report: str | os.PathLike[str] | None = None,
    fix: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    model: str | os.PathLike[str] | TrainSettings | None = None,
    time_budget: float | None = None,
    epochs: int | None = None,
    suggestions: str | os.PathLike[str] | None = None,
    to: str = "labelme",
    device: str = "auto",
) -> CheckReport:
    """Find the faults of labelled images before anything is trained on them.

    Damaged files, bad boxes, doubles, similar class names, leaks between splits, and more.

    Args:
        data: where the data set is, in any format that masu reads.
        form: its format; default: found by looking.
        policy: how the network will see the images; default: as the default architecture does.
        images: another folder that holds the images.
        image_size: shorter side in pixels that the network will see, in the place of the policy's.
        report: also write a page with pictures of the places.
        fix: also write a copy without what masu can decide, and ``changes.json``, into this new folder; the
            original stays untouched.
        progress: called with (images looked at, images in total).
        model: also find labels that are probably wrong. Detectors are trained as this run was (its folder or
            model file), or as this architecture is by default, each on a part of the images, and judge the
            others. They are in ``review``.
        time_budget: seconds of these trainings together; default: two minutes.
        epochs: passes over the images of each of these trainings, in the place of a time budget.
        suggestions: also write the images with doubtful labels as drafts into this new folder, see
            :func:`masu.verbs.wrong_labels.write_suggestions`.
        to: the labelling tool that these are for.
        device: where they compute.

    Returns:
        All findings; ``errors`` counts those of which masu would leave something out or which deceive.

    Raises:
        InputError: for data that cannot be read, or a folder for the copy that is not empty.
    """
    refuse_outs(None if fix is None else Path(fix), None if suggestions is None else Path(suggestions), to)
    for name, given in (("suggestions", suggestions), ("time_budget", time_budget), ("epochs", epochs)):
        if given is not None and model is None:
            raise bad_input(name, "without a model", "one that judges", "give model=, too")
    found = DataCheck(
        Path(data),
        form,
        policy or network_policy(image_size),
        quiet if progress is None else partial(_looking, progress),
        None if images is None else Path(images),
    )
    if model is not None:
        found.review_labels(model, time_budget=time_budget, epochs=epochs, device=device)
    if report is not None:
        write_page(found.report, Path(report))
    if suggestions is not None:
        found.write_suggestions(Path(suggestions), to)
    if fix is not None:
        found.write_mended(Path(fix))
    return found.report


@contextmanager
def _looking(progress: Progress, title: str) -> Iterator[Progress]:
    """A :data:`Counter` that hands on how many images were looked at."""
    with quiet(title) as nothing:
        yield progress if title == _LOOKING else nothing


def refuse_outs(fix: Path | None, suggestions: Path | None, to: str) -> None:
    """Refuse folders that cannot be written, before anything is read.

    Raises:
        InputError: for one that holds something, the same for both, or a tool that masu does not know.
    """
    if fix is not None:
        refuse_place(fix)
    if suggestions is None:
        return
    refuse_target(suggestions, form_of(to))
    if fix is not None and os.path.realpath(fix) == os.path.realpath(suggestions):
        raise bad_input("--suggestions", f"the folder of --fix, {fix}", "another one")


def network_policy(image_size: int | None = None) -> InputPolicy:
    """How the default architecture sees images, or one whose shorter side has other pixels."""
    policy = ARCHITECTURES[DEFAULT]().pyramid.input
    if image_size is None:
        return policy
    IMAGE_SIZE.check("image_size", image_size)
    return policy.of_size(image_size)


def write_page(report: CheckReport, file: Path) -> None:
    """The report as one HTML file that needs nothing else, with pictures of the places."""
    groups = [
        (
            name,
            kind,
            findings,
            [(f, shown) for f in findings[:MOST_PICTURES] if (shown := _pictures(f))],
        )
        for name, kind, findings in report.by_kind()
    ]
    labels = () if report.review is None else report.review.labels
    doubtful = [(label, _picture_of_label(label)) for label in labels[:MOST_LABELS]]
    text = render(
        "check.html.j2",
        {"within": partial(_within, report.root)},
        report=report,
        groups=groups,
        most=MOST_ROWS,
        doubtful=doubtful,
        kinds=TITLES,
    )
    put_page(file, text)


def _within(root: Path, text: object) -> str:
    """A path, or a sentence with paths, without the data set's folder before the names of its files."""
    folder = f"{root}{os.sep}"
    return str(text).replace(folder, "") if len(folder) > 2 else str(text)


def _pictures(finding: Finding) -> list[Shown]:
    """The place of a finding, of two pictures that are alike both; nothing where there is nothing to see."""
    if finding.image is None:
        return []
    kinds = [(_LABEL, _SEEN)[number % 2] for number in range(len(finding.boxes))]
    files = [finding.image, *([] if finding.other is None else [finding.other])]
    shown = [_part_of(file, finding.boxes, kinds, f"{file.name}: {finding.found}") for file in files]
    return [one for one in shown if one is not None]


def _picture_of_label(label: WrongLabel) -> Shown | None:
    """The label's box and what was seen there."""
    if label.kind == "missing":
        return _part_of(label.image, [label.box], [_SEEN], label.found)
    seen = [] if label.moved is None else [label.moved]
    return _part_of(label.image, [label.box, *seen], [_LABEL, *[_SEEN] * len(seen)], label.found)


def _part_of(file: Path, boxes: Sequence[Box], kinds: Sequence[str], alt: str) -> Shown | None:
    """The surroundings of boxes in a picture; None where it cannot be read."""
    try:
        with open_picture(file) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
    except (*DECODER_ERRORS, Image.DecompressionBombError):
        return None
    window = _around(boxes, picture.size)
    part = picture.crop(window)
    left, top = window[:2]
    marks = tuple(
        Mark(_inside(box, left, top, part.size), kind) for box, kind in zip(boxes, kinds, strict=True)
    )
    return Shown(file.name, embedded(part, side=_SHOWN_SIDE, quality=80), part.size, marks, alt)


def _inside(box: Box, left: int, top: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box in pixels of a part of the picture: what is outside is just outside, a point can be seen."""
    x1, x2 = sorted(min(max(x - left, -9.0), size[0] + 9.0) for x in (box[0], box[2]))
    y1, y2 = sorted(min(max(y - top, -9.0), size[1] + 9.0) for y in (box[1], box[3]))
    wide, tall = (3.0 if far - near < 2 else 0.0 for near, far in ((x1, x2), (y1, y2)))
    return x1 - wide, y1 - tall, x2 + wide, y2 + tall


def _around(boxes: Sequence[Box], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A window of the picture, in pixels, with the boxes in its middle; the whole without any."""
    width, height = size
    if not boxes:
        return 0, 0, width, height
    x = [min(max(value, 0.0), width) for box in boxes for value in (box[0], box[2])]
    y = [min(max(value, 0.0), height) for box in boxes for value in (box[1], box[3])]
    half = max(max(x) - min(x), max(y) - min(y), 0.1 * max(size)) * 0.75
    across, down = (min(x) + max(x)) / 2, (min(y) + max(y)) / 2
    left, top = max(int(across - half), 0), max(int(down - half), 0)
    right, bottom = min(int(across + half) + 1, width), min(int(down + half) + 1, height)
    return min(left, width - 1), min(top, height - 1), max(right, left + 1), max(bottom, top + 1)
