"""Networks for tests that need no training."""

import torch


def spread(detector):
    """A two-stage detector with random heads whose scores and boxes differ as those of a trained one do."""
    with torch.no_grad():
        detector.rpn.head.objectness.weight.mul_(50)
        detector.rpn.head.deltas.weight.mul_(5)
        detector.predictor.scores.weight.mul_(10)
        detector.predictor.deltas.weight.mul_(5)
    return detector.eval()
