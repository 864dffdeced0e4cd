"""torchgeo: its detection task on a detector of masu."""

from torchgeo.trainers import ObjectDetectionTask

import masu


def as_task(detector, **settings):
    """For ``Trainer().fit(as_task(detector), datamodule)``; labels count from 1."""
    task = ObjectDetectionTask(backbone="resnet18", num_classes=len(detector.names) + 1, **settings)
    task.model = masu.to_torchvision(detector)  # in place of torchgeo's own
    return task
