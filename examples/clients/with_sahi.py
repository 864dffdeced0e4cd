"""SAHI: large pictures in slices."""

from sahi import AutoDetectionModel
from sahi.predict import get_sliced_prediction

import masu


def as_sahi(detector, threshold=0.5):
    """The detector as one of SAHI's models."""
    return AutoDetectionModel.from_pretrained(
        "torchvision",
        model=masu.to_torchvision(detector),
        category_mapping={str(i): name for i, name in enumerate(detector.names, 1)},
        confidence_threshold=threshold,
    )


def in_slices(detector, picture, side=512):
    """``object_prediction_list`` of a file or ``(H, W, 3)`` array, large and small objects alike."""
    return get_sliced_prediction(picture, as_sahi(detector), slice_height=side, slice_width=side)
