"""A step of training, from images to better weights; read :meth:`Learner.step` from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from masu.data.loading.loader import Batch, micro_batches
from masu.detectors.detector import Detector
from masu.devices import moved
from masu.precision import loss_scaler, networks_in
from masu.processes import Processes
from masu.records import Target
from masu.training.average import Average
from masu.training.nonfinite import NotFinite, not_finite
from masu.training.recipe import TrainSettings, learning_rate, make_optimizer, step_policy


class Step(NamedTuple):
    """What came of a step.

    Attributes:
        losses: terms of its loss, the same in all processes.
        rate: its learning rate.
        bad: why it was left out, or None.
    """

    losses: dict[str, Tensor]
    rate: float
    bad: NotFinite | None


class Learner:
    """A detector in training, and what its steps change beside it.

    Args:
        detector: on its device.
        settings: resolved ones.
        processes: that make every step together.

    Attributes:
        optimizer: of the detector.
        scaler: of its losses, in fp16.
        average: of its weights; None where the settings want none.
    """

    def __init__(self, detector: Detector, settings: TrainSettings, processes: Processes) -> None:
        self.detector, self.settings, self.processes = detector, settings, processes
        self.device = next(detector.parameters()).device
        self.optimizer = make_optimizer(detector, settings)
        self.scaler = loss_scaler(settings.precision, self.device)
        self.average = Average(detector, settings.average) if settings.average else None

    @property
    def judged(self) -> Detector:
        """The detector that is evaluated and saved."""
        return self.detector if self.average is None else self.average.detector

    def step(self, batch: Batch, images: float, epoch: int, number: int, done: float) -> Step:
        """Learn from a batch.

        Args:
            batch: its images, or those of them that this process reads.
            images: how many there are in all processes.
            epoch: from 0.
            number: of the step, from 0; with the seed it decides what is drawn.
            done: share of the training before the step.
        """
        settings, detector, scaler = self.settings, self.detector, self.scaler
        rate = learning_rate(settings, number, done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        seed = settings.seed * 1_000_003 + number
        draw = torch.rand((), generator=torch.Generator().manual_seed(seed % 2**64)).item()
        policy = step_policy(settings, detector.input, done, draw)
        may_skip = settings.on_nonfinite == "skip" or scaler.is_enabled()
        before = [kept.clone() for kept in detector.buffers()] if may_skip else []

        detector.zero_grad()
        losses: dict[str, Tensor] = {}
        for rows, place in self._parts(batch):
            generator = torch.Generator(self.device).manual_seed((seed + (place << 40)) % 2**64)
            seen = [moved(batch.images[i], self.device) for i in rows] or [self._blank()]
            targets = [batch.targets[i] for i in rows] or [Target(torch.zeros(0, 4), torch.zeros(0))]
            with networks_in(settings.precision, self.device):
                terms = detector.loss_terms(detector(seen, policy), targets, generator)
            share = len(rows) / images
            torch.autograd.backward(scaler.scale(torch.stack(list(terms.values())).sum() * share))
            for name, value in terms.items():
                losses[name] = losses.get(name, torch.zeros_like(value)) + value.detach() * share
        self._sum_over_processes(losses, len(batch) / images)

        scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(detector.parameters(), settings.clip_norm)
        bad = not_finite(losses, norm, batch, epoch, scaler.get_scale(), self.processes)
        if bad is None:
            scaler.step(self.optimizer)
            scaler.update()
            if self.average is not None:
                self.average.update(number)
        else:
            if may_skip:
                for earlier, now in zip(before, detector.buffers(), strict=True):
                    now.copy_(earlier)
            scaler.update(None if bad.overflow else scaler.get_scale())
        return Step(losses, rate, bad)

    def _parts(self, batch: Batch) -> Iterator[tuple[list[int], int]]:
        """Rows of the batch that are looked at together, and the place of the first as it was planned."""
        found = False
        for part in micro_batches(batch.planned, self.processes.world * self.settings.accumulate):
            rows = [i for i, place in enumerate(batch.places) if place in part]
            if rows:
                found = True
                yield rows, part.start
        if not found:
            yield [], 0  # another process has all images: this one takes part with a gradient of zeros

    def _blank(self) -> Tensor:
        channels = self.detector.input.channels or 3
        return torch.zeros((channels, 32, 32), dtype=torch.uint8, device=self.device)

    def _sum_over_processes(self, losses: dict[str, Tensor], share: float) -> None:
        """Add up gradients and loss terms; of what normalisation keeps the mean over images is taken."""
        norms = [m for m in self.detector.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
        statistics = [t for m in norms for t in (m.running_mean, m.running_var) if t is not None]
        if self.processes.world > 1:
            for kept in statistics:
                kept.mul_(share)
        found = [p.grad for p in self.detector.parameters() if p.grad is not None]
        self.processes.sum_tensors([*found, *losses.values(), *statistics])
