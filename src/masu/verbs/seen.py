"""Whether a model is measured on images that it learned from, as far as its file says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from masu.data.splits import TRAIN, TRAINVAL, VAL


def said_of_seen(trained_on: Mapping[str, str | None], root: Path, split: str | None) -> str | None:
    """That figures flatter a model, since it learned from the images on which they are measured.

    A model file knows the name of its data set's folder and the splits, not the images. So this is said of
    data of the same name, and not that it is so.

    Args:
        trained_on: see :attr:`masu.detectors.detector.Detector.trained_on`.
        root: folder of the data.
        split: that is measured on; None for all images.

    Returns:
        One sentence; None where nothing speaks for it.
    """
    if not trained_on or trained_on.get("data") != root.resolve().name:
        return None
    name, learned = trained_on["data"], trained_on.get("split")
    if learned is None and split is None:
        held = trained_on.get("val_split") == "held back"
        rest = ", four of five images of it" if held else ""
        return (
            f"the model was trained on a data set of this name, {name}{rest}: if these are the same images, "
            "the figures flatter it; measure on images that it has not seen"
        )
    if split is not None and split in (learned, *((TRAIN, VAL) if learned == TRAINVAL else ())):
        return (
            f"the model was trained on the split {learned} of a data set of this name, {name}: if these are "
            "the same images, the figures flatter it; measure on another split"
        )
    return None
