"""DeepLabCut: a detector that finds the animals for a top-down pose model."""

from deeplabcut.pose_estimation_pytorch.models.detectors import BaseDetector
from deeplabcut.pose_estimation_pytorch.models.detectors.torchvision import TorchvisionDetectorAdaptor

import masu


class MasuDetector(TorchvisionDetectorAdaptor):
    """For DeepLabCut's runners of detectors; labels count from 1."""

    def __init__(self, detector):
        BaseDetector.__init__(self)
        self.model = masu.to_torchvision(detector)
        self.model.eager_outputs = lambda losses, detections: (losses, detections)
