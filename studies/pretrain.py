"""Pretrain pyramid and first head of a small architecture on made-up scenes; masu installs the result.

    npm pack @lobehub/fluent-emoji-3d@1.1.0 && tar xzf lobehub-fluent-emoji-3d-1.1.0.tgz
    python -m studies.pretrain package/assets faster_rcnn_lite0_fpn

The ImageNet backbone stays as it is, so that the file holds nothing of it. A two-stage detector learns to
tell all the things apart, a one-stage one only things from background. 1,900 steps take about 20 minutes on
one core.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from masu.detectors.build import build
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.pretrained import file_of, shipped
from masu.records import Target
from studies.scenes import Scenes

IMAGES = 4
"""Scenes in a step."""

SIZES = ((320, 416), (416, 320), (320, 320))


class AnyClass(nn.Module):
    """A box predictor with one box for all classes.

    Args:
        in_features: width of the box head's output.
        classes: ``K``.
    """

    def __init__(self, in_features: int, classes: int) -> None:
        super().__init__()
        self.scores, self.deltas = nn.Linear(in_features, classes + 1), nn.Linear(in_features, 4)
        self.classes = classes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :class:`masu.nets.heads.BoxPredictor`."""
        return self.scores(x), self.deltas(x)[:, None].expand(-1, self.classes, -1)


def main() -> None:
    """Train and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("things", type=Path, help="folder of pictures with transparency")
    parser.add_argument("architecture")
    parser.add_argument("--steps", type=int, default=1900)
    parser.add_argument("--out", type=Path, help="default: where masu looks for it")
    options = parser.parse_args()

    scenes = Scenes(options.things)
    torch.manual_seed(0)
    names = [str(number) for number in range(len(scenes.things))]
    detector = build(options.architecture, names, "imagenet")
    if isinstance(detector, FasterRCNN):
        predictor = AnyClass(detector.config.rois.hidden[-1], len(names))
        detector.add_module("predictor", predictor)
    else:
        detector = build(options.architecture, ["thing"], "imagenet")
    for name, parameter in detector.named_parameters():
        parameter.requires_grad_("backbone." not in name)
    trained = [p for p in detector.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=0.02)

    draw = np.random.default_rng(0)
    detector.train()
    started, sums = time.perf_counter(), {"loss": 0.0}
    for step in range(options.steps):
        size = SIZES[draw.integers(len(SIZES))]
        batch = [scenes.scene(draw, *size) for _ in range(IMAGES)]
        targets = [target for _, target in batch]
        if len(detector.names) == 1:
            targets = [Target(t.boxes, torch.zeros_like(t.labels)) for t in targets]
        for group in optimizer.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * step / options.steps))
            group["lr"] = 6e-4 * min((step + 1) / 100, 1) * cosine
        raw = detector([image for image, _ in batch])
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
