"""Anchors: how well a detector's anchors cover the objects of a data set, and which would do better."""

from __future__ import annotations

import os

from masu.data.dataset import Dataset
from masu.detectors.build import configuration
from masu.detectors.zoo import DEFAULT
from masu.evaluation.anchors import AnchorReport, anchor_report, check_has_anchors
from masu.verbs.reading import IN_MEMORY, refuse_beside, to_train_on, warn_of_faults


def anchors(
    data: str | os.PathLike[str] | Dataset,
    architecture: str | None = None,
    *,
    split: str | None = None,
    image_size: int | None = None,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
) -> AnchorReport:
    """How well an architecture's anchors cover the objects, and anchors that are fitted to them.

    At the scale and on the grid that the network sees. ``masu.train(data, anchors="auto")`` uses the fitted
    ones.

    Args:
        data: where the data set is, or one from :func:`masu.read_dataset`.
        architecture: see :func:`masu.models`; default: the small one.
        split: of a path; default: train, else trainval, where it has splits.
        image_size: shorter side in pixels that the network sees; default: the architecture's.
        form: format of the data at a path; default: found by looking.
        images: another folder that holds the images of a path.

    Returns:
        ``own`` and ``fitted``: how many objects have an anchor, by size of object and level.

    Raises:
        TypeError: for ``split``, ``form`` or ``images`` beside a ``Dataset``.
        InputError: for data that cannot be read or hold no objects, an unknown architecture or one without
            anchors, or a size out of range.
    """
    architecture = architecture or DEFAULT
    check_has_anchors(configuration(architecture), architecture)
    if isinstance(data, Dataset):
        refuse_beside(IN_MEMORY, "anchors", split=split, form=form, images=images)
    else:
        data = to_train_on(data, split, form=form, images=images)
        warn_of_faults(data)
    return anchor_report(data, architecture, image_size)
