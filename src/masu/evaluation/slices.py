"""Figures of parts of the data: of each folder, of dark and bright images, of those with many objects.

A part has fewer images than the whole, and so a wider interval: it shows whether a low figure means anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from masu.data.pixels.images import displayable, read_pixels
from masu.errors import bad_input, listed
from masu.evaluation.evaluate import Scored
from masu.evaluation.metrics import Interval, Metrics, Slice
from masu.evaluation.overlaps import Array
from masu.evaluation.resampling import Figure, Judged, image_weights, interval, judged

MOST = 40
"""Parts of one kind: folders beyond that, those with fewest images, are one."""


def slices(scored: Scored, kinds: Sequence[str], root: Path, channels: int | None) -> list[Slice]:
    """The figures of each part of the data.

    Args:
        scored: a detector's figures, not a proposal generator's.
        kinds: of ``SLICES``.
        root: folder of the data, from which folders are named.
        channels: of the images where they are no RGB photographs.
    """
    if not kinds:
        return []
    whole = judged(scored.targets, scored.found, scored.names, scored.metrics.max_detections)
    objects = np.array([int((~target.ignored).sum()) for target in scored.targets])
    rows = []
    for kind in kinds:
        if kind in OF_OBJECTS:
            rows += OF_OBJECTS[kind](scored, whole)
            continue
        for name, mine in OF_IMAGES[kind](scored, root, channels).items():
            part, count = whole.of(mine), int(objects[mine].sum())
            rows.append(_slice(kind, name, len(mine), count, part, _figures(part), Figure("ap")))
    return rows


def check_kinds(kinds: Sequence[str]) -> None:
    """Refuse what parts nothing.

    Raises:
        InputError: for a word that is none of ``SLICES``.
    """
    for kind in kinds:
        if kind not in SLICES:
            raise bad_input("--by", repr(kind), f"one of {listed(SLICES)}", code="unknown-name")


def _figures(part: Judged) -> dict[Figure, Array]:
    """Each figure of all its images, then of the draws."""
    if not part.rankings:
        return {}
    weights = np.ones((1, part.images))
    if part.images > 1:
        weights = np.concatenate([weights, image_weights(part.images)])
    return part.figures(weights)


def _slice(
    kind: str, name: str, images: int, objects: int, part: Judged, figures: dict[Figure, Array], ap: Figure
) -> Slice:
    def values(figure: Figure) -> tuple[float | None, Interval | None]:
        drawn = figures.get(figure)
        if drawn is None:
            return None, None
        point = float(drawn[0])
        return point, interval(drawn[1:], point, part.images_with(figure)) if len(drawn) > 1 else None

    return Slice(kind, name, images, objects, *values(ap), *values(Figure("ap50", ap.of)))


def _by_class(scored: Scored, whole: Judged) -> list[Slice]:
    assert isinstance(scored.metrics, Metrics)
    figures = _figures(whole)
    return [
        _slice("class", name, whole.images_of(name), row.objects, whole, figures, Figure("ap", name))
        for name, row in scored.metrics.per_class.items()
    ]


def _by_size(scored: Scored, whole: Judged) -> list[Slice]:
    parts = []
    for size in ("small", "medium", "large"):
        part = whole.of_size(size)
        images = part.images_of(None)
        parts.append(_slice("size", size, images, part.objects, part, _figures(part), Figure("ap")))
    return parts


def _folders(scored: Scored, root: Path, channels: int | None) -> dict[str, Array]:
    folders = np.array([Path(os.path.relpath(path.parent, root)).as_posix() for path in scored.paths])
    names, counts = np.unique(folders, return_counts=True)
    kept = sorted(names[np.argsort(-counts, kind="stable")][:MOST].tolist())
    parts = {name: np.flatnonzero(folders == name) for name in kept}
    others = np.flatnonzero(~np.isin(folders, kept))
    return parts | ({"all others": others} if len(others) else {})


def _brightness(scored: Scored, root: Path, channels: int | None) -> dict[str, Array]:
    means = [float(displayable(read_pixels(path, channels)).float().mean()) / 255 for path in scored.paths]
    return _thirds(np.array(means), ("dark", "medium", "bright"), "{:.2f}")


def _crowding(scored: Scored, root: Path, channels: int | None) -> dict[str, Array]:
    counts = np.array([float((~target.ignored).sum()) for target in scored.targets])
    return _thirds(counts, ("few", "some", "many"), "{:.0f}")


def _thirds(values: Array, names: Sequence[str], form: str) -> dict[str, Array]:
    """The images of each third of the values, with its range; equal values go together."""
    third = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values, side="left")
    parts = {}
    for k in np.unique(third).tolist():
        mine = np.flatnonzero(third == k)
        low, high = (form.format(end) for end in (values[mine].min(), values[mine].max()))
        parts[f"{names[k]} ({low} to {high})" if low != high else f"{names[k]} ({low})"] = mine
    return parts


OF_OBJECTS: dict[str, Callable[[Scored, Judged], list[Slice]]] = {"class": _by_class, "size": _by_size}
"""What parts the objects."""

OF_IMAGES: dict[str, Callable[[Scored, Path, int | None], dict[str, Array]]] = {
    "folder": _folders,
    "brightness": _brightness,
    "crowding": _crowding,
}
"""What parts the images: the name of each part, and which images are in it."""

SLICES = (*OF_OBJECTS, *OF_IMAGES)
