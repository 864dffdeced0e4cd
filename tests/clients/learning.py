"""Whether a detector has learnt: its loss before and after."""

import torch

import masu


def mean_loss(detector, pairs):
    """The mean loss of pictures in evaluation mode, always of the same anchors and proposals."""
    model = masu.to_torchvision(detector).eval()
    total = 0.0
    with torch.no_grad():
        for image, target in pairs:
            torch.manual_seed(0)
            losses, _ = model.losses_and_detections([image], [target])
            total += float(sum(losses.values()))
    return total / len(pairs)
