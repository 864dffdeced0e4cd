"""torchvision: the training loop of its tutorials."""

import torch

import masu


def train(detector, loader, epochs=10):
    """Train a copy of the detector; ``loader`` gives lists of images and of torchvision's targets."""
    model = masu.to_torchvision(detector).train()
    weights = [x for x in model.parameters() if x.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=0.005, momentum=0.9, weight_decay=0.0005)
    for _ in range(epochs):
        for images, targets in loader:
            loss = sum(model(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.to_masu()
