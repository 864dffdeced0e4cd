"""Pretrain a small architecture on made-up scenes; masu installs the result.

    npm pack @lobehub/fluent-emoji-3d@1.1.0 && tar xzf lobehub-fluent-emoji-3d-1.1.0.tgz
    python -m studies.pretrain package/assets faster_rcnn_lite0_fpn --precision bf16

The ImageNet backbone stays as it is, so that the file holds nothing of it. A two-stage detector learns to
tell all the things apart, with one box for all of them; a one-stage one only things from background. What is
kept: pyramid and first head, of one stage without the branch for classes; of two stages the box head and
its box layer too. 8,000 steps took 22 minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from masu.detectors.build import build, configuration
from masu.detectors.faster_rcnn import FasterRCNN, FasterRCNNConfig
from masu.detectors.pretrained import file_of, shipped
from masu.nets.heads import BoxPredictor
from masu.precision import networks_in
from masu.records import Target
from studies.scenes import Scenes

IMAGES = 4
"""Scenes in a step."""

HIDDEN = (256, 256)
"""Widths of the box head: half of those that the architecture has (``masu.detectors.pretrained``)."""

SIZES = ((320, 416), (416, 320), (320, 320))

Made = list[tuple[Tensor, Tensor, Tensor]]
"""Pixels, boxes and labels of each scene of a step."""


class Steps(IterableDataset[Made]):
    """The scenes of every step, drawn in a process of their own.

    Args:
        scenes: draws one.
        one_class: every thing has label 0.
    """

    def __init__(self, scenes: Scenes, one_class: bool) -> None:
        self.scenes, self.one_class = scenes, one_class

    def __iter__(self) -> Iterator[Made]:
        draw = np.random.default_rng(0)
        while True:
            size = SIZES[draw.integers(len(SIZES))]
            made = [self.scenes.scene(draw, *size) for _ in range(IMAGES)]
            yield [(image, t.boxes, t.labels * (not self.one_class)) for image, t in made]


def main() -> None:
    """Train and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("things", type=Path, help="folder of pictures with transparency")
    parser.add_argument("architecture")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--out", type=Path, help="default: where masu looks for it")
    options = parser.parse_args()

    scenes = Scenes(options.things)
    torch.manual_seed(0)
    names = [str(number) for number in range(len(scenes.things))]
    config = configuration(options.architecture)
    two_stages = isinstance(config, FasterRCNNConfig)
    if isinstance(config, FasterRCNNConfig):
        config = replace(config, rois=replace(config.rois, hidden=HIDDEN))
    detector = build(config, names if two_stages else ["thing"], "imagenet")
    if isinstance(detector, FasterRCNN):
        detector.predictor = BoxPredictor(HIDDEN[-1], len(names), class_agnostic=True)
    for name, parameter in detector.named_parameters():
        parameter.requires_grad_("backbone." not in name)
    trained = [p for p in detector.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=0.02)

    detector.train()
    started, sums = time.perf_counter(), {"loss": 0.0}
    steps = DataLoader(Steps(scenes, not two_stages), batch_size=None, num_workers=1, prefetch_factor=8)
    for step, batch in zip(range(options.steps), steps, strict=False):
        targets = [Target(boxes, labels) for _, boxes, labels in batch]
        for group in optimizer.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * step / options.steps))
            group["lr"] = 6e-4 * min((step + 1) / 100, 1) * cosine
        with networks_in(options.precision, torch.device("cpu")):
            raw = detector([image for image, _, _ in batch])
            losses = detector.losses(raw, targets, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        nn.utils.clip_grad_norm_(trained, 10.0)
        optimizer.step()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        if (step + 1) % 100 == 0:
            means = "  ".join(f"{name} {total / 100:.3f}" for name, total in sums.items() if total)
            print(f"step {step + 1}  {means}  {time.perf_counter() - started:.0f} s", flush=True)
            sums = {}
    print(shipped(detector, options.out or file_of(detector.config)))


if __name__ == "__main__":
    main()
