"""torchvision: the training loop of its tutorials."""

import torch

import masu


def train(detector, loader, epochs=10, learning_rate=0.005):
    """Train a copy; ``loader`` gives lists of images and targets. One stage without warm-up: 0.001."""
    model = masu.to_torchvision(detector).train()
    weights = [x for x in model.parameters() if x.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=learning_rate, momentum=0.9, weight_decay=0.0005)
    for _ in range(epochs):
        for images, targets in loader:
            loss = sum(model(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.to_masu()
