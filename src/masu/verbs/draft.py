"""Draft: what a model finds in photographs without labels, in the form of a labelling tool."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from masu.data.audit.labelled import labelled
from masu.data.formats.writing import refuse_target
from masu.data.pixels.pictures import find_images, passed_over
from masu.drafts.beside import DIALECTS, file_beside, has_room, sharing, write_beside
from masu.drafts.draft import Draft, draft_of
from masu.drafts.folder import form_of, write_folder
from masu.errors import InputError, bad_input, listed
from masu.evaluation.predictions import AnyDetector, predictions
from masu.ranges import BATCH_SIZE
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold
from masu.verbs.evaluate import refuse_path
from masu.words import DRAFT_TOOLS


@dataclass(frozen=True)
class Drafted:
    """What :func:`draft` did.

    Attributes:
        tool: whose form it is.
        out: the folder that was written; None where the files lie beside the photographs.
        version: of the model.
        images: photographs that were drafted.
        boxes: boxes in them.
        empty: photographs in which nothing was found.
        labelled: photographs that were left out, since they have labels or a file of the tool already.
        faults: one line for each photograph that could not be read or would share its file with another one,
            and for labels that could not be read.
        lost: one sentence for each thing that the form cannot hold.
        passed_over: films and pictures in the folders of a kind that masu does not read.
    """

    tool: str
    out: Path | None
    version: str
    images: int
    boxes: int
    empty: int
    labelled: int
    faults: tuple[str, ...]
    lost: tuple[str, ...]
    passed_over: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them; paths are strings."""
        return asdict(self) | {
            "out": None if self.out is None else str(self.out),
            "faults": list(self.faults),
            "lost": list(self.lost),
            "passed_over": [str(path) for path in self.passed_over],
        }


def draft(
    detector: AnyDetector,
    photographs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    to: str,
    out: str | os.PathLike[str] | None = None,
    *,
    threshold: Threshold | None = None,
    version: str = "masu",
    labelled_too: bool = False,
    link: bool = False,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Drafted:
    """Write what a model finds as drafts for a labelling tool; labels that exist are never touched.

    Beside the photographs, drafts of another ``version`` that nobody has saved since are replaced. Drafts are
    left out of what is read as labels until somebody corrects or confirms them.

    Photographs that have labels, in any format that masu reads, are left out: those in a data set of the
    folders that are named, or with a file of the tool beside them.

    Args:
        detector: any masu detector.
        photographs: image files, folders and patterns such as ``shots/*.jpg``; one or a list.
        to: one of :data:`masu.words.DRAFT_TOOLS`. ``"labelstudio"`` are predictions, with ``config.xml``;
            ``"cvat"`` is CVAT for images 1.1, with ``labels.json``; ``"labelme"`` and ``"xanylabeling"`` are
            shapes with scores; ``"coco"`` has scores, ``"yolo"`` and ``"voc"`` have none. A list
            ``*.masu-drafts`` beside the labels of COCO, YOLO, VOC and CVAT says that they are drafts. Boxes
            are pixels of the upright photograph, rounded to 0.01, scores to 0.0001.
        out: new or empty folder, which also gets the photographs; it appears whole or not at all. Default,
            for ``"labelme"`` and ``"xanylabeling"`` alone: a file beside each photograph, as soon as it is
            drafted.
        threshold: lowest score, one number or one per class; default: the detector's own ``thresholds``, 0.5
            for a class without one.
        version: of the model, as Label Studio keeps it.
        labelled_too: draft photographs that have labels, too; into ``out`` alone.
        link: links to the photographs in ``out`` instead of copies.
        batch_size: images per prediction.
        progress: called with (photographs done, photographs in total).

    Returns:
        What was drafted, what was left out, and what the form cannot hold.

    Raises:
        InputError: for an unknown tool, an ``out`` that holds something, no photograph or none without
            labels, a threshold or batch size out of range, and as of
            :func:`masu.data.formats.writing.write_dataset`.
    """
    refuse_path(detector, "draft")
    check_place(to, out, labelled_too=labelled_too, link=link)
    folder = None if out is None else Path(out)
    if threshold is None:
        threshold = getattr(detector, "thresholds", None) or DEFAULT_THRESHOLD
    check_threshold(threshold, detector.names)
    BATCH_SIZE.check("batch_size", batch_size)
    sources = [photographs] if isinstance(photographs, str | os.PathLike) else list(photographs)
    paths = find_images(sources)
    kept, faults = (list(paths), ()) if labelled_too else _unlabelled(paths, sources)
    shared = {} if folder is not None else sharing(kept)
    if folder is None:
        kept = [path for path in kept if path not in shared and has_room(file_beside(path), version)]
    if not kept:
        raise _none_left(len(paths), shared)
    unread: list[str] = []
    done: list[Draft] = []
    taken = 0
    swept: set[Path] = set()
    for one in predictions(
        detector, kept, unread, threshold=threshold, batch_size=batch_size, progress=progress
    ):
        height, width = one.image.shape[-2:]
        made = draft_of(one.detections, (height, width), one.path)
        if folder is None:
            written = write_beside(made, DIALECTS[to], version, swept=one.path.parent in swept)
            swept.add(one.path.parent)
            if not written:  # since the start of this run
                taken += 1
                continue
        done.append(made)
    if not done and not taken:
        raise _none_readable(len(kept), unread)
    lost = [] if folder is None else write_folder(folder, to, done, detector.names, version, link=link)
    return Drafted(
        tool=to,
        out=folder,
        version=version,
        images=len(done),
        boxes=sum(len(made.boxes) for made in done),
        empty=sum(not made.boxes for made in done),
        labelled=len(paths) - len(kept) - len(shared) + taken,
        faults=(*faults, *(str(_of_shared(path, name)) for path, name in shared.items()), *unread),
        lost=tuple(lost),
        passed_over=tuple(passed_over(sources)),
    )


def check_place(
    to: str, out: str | os.PathLike[str] | None, *, labelled_too: bool = False, link: bool = False
) -> None:
    """Refuse a place that :func:`draft` does not write, with the arguments that it has there.

    Raises:
        InputError: as of :func:`draft`.
    """
    if to not in DRAFT_TOOLS:
        raise bad_input("--to", repr(to), f"one of {listed(DRAFT_TOOLS)}", code="unknown-name")
    if out is not None:
        refuse_target(Path(out), form_of(to))
        return
    if to not in DIALECTS:
        raise bad_input("--out", f"none with --to {to}", "a new folder", "name one")
    if labelled_too or link:
        thing = "--labelled-too" if labelled_too else "--link"
        raise bad_input(thing, "without --out", "a folder of their own for the drafts", "name one with --out")


def _unlabelled(
    paths: Sequence[Path], sources: Sequence[str | os.PathLike[str]]
) -> tuple[list[Path], tuple[str, ...]]:
    """The photographs without labels, and what of the labels could not be read."""
    known, faults = labelled(sources, paths)
    return [path for path in paths if path not in known], faults


def _of_shared(path: Path, other: str) -> InputError:
    found = f"{other} beside it, and {file_beside(path).name} would be the file of both"
    fix = "rename one of them, or write drafts into a folder of their own with --out"
    return bad_input(path, found, "a name of its own", fix)


def _none_left(count: int, shared: Mapping[Path, str]) -> InputError:
    for path, other in shared.items():
        return _of_shared(path, other)
    found = f"labels or drafts for all {count}"
    fix = "with --labelled-too they are drafted into --out all the same"
    return bad_input("photographs", found, "at least one without labels", fix, code="no-images")


def _none_readable(count: int, faults: Sequence[str]) -> InputError:
    found = f"none of {count} can be read; the first: {faults[0]}"
    return bad_input("photographs", found, "at least one that can be read", code="unreadable-image")
