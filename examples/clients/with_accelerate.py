"""Accelerate: one process or several."""

import torch
from accelerate import Accelerator

import masu


def train(detector, loader, epochs=10):
    """Train a copy of the detector; every process gives it back, with the same weights."""
    accelerator = Accelerator()
    model = masu.to_torchvision(detector).train()
    weights = [x for x in model.parameters() if x.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=0.005, momentum=0.9)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for _ in range(epochs):
        for images, targets in loader:
            accelerator.backward(sum(model(images, targets).values()))
            optimizer.step()
            optimizer.zero_grad()
    return accelerator.unwrap_model(model).to_masu()
