"""MAITE: a model that follows its protocol; detections of masu are its targets."""

import torch


class MaiteModel:
    """For ``maite.tasks.evaluate(model=MaiteModel(detector), ...)``."""

    def __init__(self, detector):
        self.metadata = {"id": "masu", "index2label": dict(enumerate(detector.names))}
        self.network = detector.prediction_network()

    def __call__(self, batch):
        """``(C, H, W)`` images, uint8 or float 0..1, to boxes, labels from 0, and scores."""
        return self.network.predict([torch.as_tensor(image) for image in batch])
