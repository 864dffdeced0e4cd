"""A detector that sees images at another size than the one that it was trained at."""

from __future__ import annotations

from masu.detectors.predict import Predictor
from masu.detectors.tiling import AnyPredictor
from masu.ranges import IMAGE_SIZE


def with_image_size(detector: AnyPredictor, size: int) -> AnyPredictor:
    """The same detector, with images and tiles brought to another size.

    Smaller objects become visible, in a time that grows with the square of the size. Very large objects may
    become larger than any that it learnt. Thresholds, calibrated scores and margins that the model carries
    were measured at its own size.

    Args:
        detector: of masu; it stays as it is. A model that is saved keeps its size.
        size: shorter side of the network's input in pixels; the longer one is limited in proportion.

    Returns:
        A detector of the same kind.

    Raises:
        TypeError: for what finds nothing, such as a path.
        InputError: for a size out of range, and for an exported file, whose graph has its size built in.
    """
    if not isinstance(detector, Predictor):
        raise TypeError(
            f"with_image_size: found a value of type {type(detector).__name__}, wanted a detector; "
            "masu.load opens one"
        )
    IMAGE_SIZE.check("image_size", size)
    return detector.with_image_size(size)
