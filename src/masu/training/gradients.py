"""The gradient of a step: of the parts of a batch, here and in other processes, added up."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from masu.data.loading.loader import Batch, cut
from masu.detectors.detector import Detector
from masu.devices import moved
from masu.processes import Processes
from masu.records import Target
from masu.training.precision import networks_in
from masu.training.recipe import TrainSettings, step_policy


def gradients(
    detector: Detector,
    batch: Batch,
    images: float,
    settings: TrainSettings,
    number: int,
    done: float,
    processes: Processes,
    scaler: torch.amp.GradScaler,
) -> dict[str, Tensor]:
    """Leave the gradient of the mean loss of a batch in the parameters, times the scaler's scale.

    Args:
        detector: in training.
        batch: its images, or those of them that this process reads.
        images: how many there are in all processes.
        settings: say into how many parts a process cuts its own.
        number: of the step; with the seed it decides what is drawn.
        done: share of the training before the step.
        processes: that make the step together; all are left with the same gradient.
        scaler: of the losses whose gradient is taken; those returned are as they are.

    Returns:
        The terms of that loss, the same in all processes.
    """
    device = next(detector.parameters()).device
    start = settings.seed * 1_000_003 + number
    draw = torch.rand((), generator=torch.Generator().manual_seed(start % 2**64)).item()
    policy = step_policy(settings, detector.input, done, draw)
    detector.zero_grad()
    terms: dict[str, Tensor] = {}

    def add(rows: list[int], first: int) -> None:
        generator = torch.Generator(device).manual_seed((start + (first << 40)) % 2**64)
        share = len(rows) / images
        seen = [moved(batch.images[i], device) for i in rows] or [_blank(detector).to(device)]
        targets = [batch.targets[i] for i in rows] or [Target(torch.zeros(0, 4), torch.zeros(0))]
        with networks_in(settings.precision, device):
            losses = detector.loss_terms(detector(seen, policy), targets, generator)
        torch.autograd.backward(scaler.scale(torch.stack(list(losses.values())).sum() * share))
        for name, value in losses.items():
            terms[name] = terms.get(name, torch.zeros_like(value)) + value.detach() * share

    for part in cut(batch.planned, processes.world * settings.accumulate):
        rows = [i for i, place in enumerate(batch.places) if place in part]
        if rows:
            add(rows, part.start)
    if not terms:
        add([], 0)  # another process has all images: this one takes part with a gradient of zeros
    statistics = _running_statistics(detector)
    if processes.world > 1:
        for kept in statistics:
            kept.mul_(len(batch) / images)
    found = [p.grad for p in detector.parameters() if p.grad is not None]
    processes.sum_tensors([*found, *terms.values(), *statistics])
    return terms


def _blank(detector: Detector) -> Tensor:
    return torch.zeros((detector.input.channels or 3, 32, 32), dtype=torch.uint8)


def _running_statistics(detector: Detector) -> list[Tensor]:
    """What trained normalisation keeps of the images; of several processes the mean over images is kept."""
    norms = [m for m in detector.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    return [t for m in norms for t in (m.running_mean, m.running_var) if t is not None]
