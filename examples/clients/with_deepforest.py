"""DeepForest: a detector in place of its own."""

from deepforest.main import deepforest

import masu


def as_deepforest(detector, **settings):
    """For ``predict_image``, ``predict_tile``, ``evaluate`` and ``trainer.fit``; labels count from 1."""
    labels = {name: i for i, name in enumerate(detector.names, 1)}
    forest = deepforest(
        model=masu.to_torchvision(detector), config_args={"num_classes": len(labels), **settings}
    )
    forest.set_labels(labels)
    return forest
