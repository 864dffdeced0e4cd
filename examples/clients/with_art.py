"""Adversarial Robustness Toolbox: attacks and defences."""

import torch
from art.estimators.object_detection import PyTorchFasterRCNN

import masu


def as_estimator(detector, height, width):
    """ART's estimator: pictures ``(N, 3, H, W)`` float32 0..1, labels from 1."""
    model = masu.to_torchvision(detector)
    weights = [x for x in model.parameters() if x.requires_grad]
    return PyTorchFasterRCNN(
        model,
        input_shape=(3, height, width),
        optimizer=torch.optim.SGD(weights, lr=0.005, momentum=0.9),
        clip_values=(0, 1),
        device_type="cpu",
    )
