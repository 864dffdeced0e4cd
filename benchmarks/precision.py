"""Seconds per training step in fp32 and in bf16, by turns: whether bf16 pays on this machine.

python -m benchmarks.precision               # a few minutes on two idle cores
python -m benchmarks.precision --only small
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import torch

import masu
from benchmarks.measure import Pair, alternate, describe_machine
from benchmarks.networks import MOBILE, R50, labelled_photographs, pretrained_like
from masu.detectors.detector import Detector
from masu.ops.nms import compiled
from masu.precision import networks_in
from masu.words import Precision

NAMES = [f"class {i}" for i in range(6)]
DETECTORS: dict[str, Callable[[], Detector]] = {
    "small": lambda: masu.build("faster_rcnn_lite0_fpn", NAMES),
    "small_one_stage": lambda: masu.build("retinanet_lite0_fpn", NAMES),
    "mobilenet": lambda: pretrained_like(MOBILE, min_size=480, max_size=640)[1],
    "resnet50": lambda: pretrained_like(R50, min_size=480, max_size=640)[1],
}
"""The small ones at their own 320 pixels, torchvision's at 480 × 640; two photographs a step."""


def main() -> None:
    """Print one line per detector."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=DETECTORS, default=list(DETECTORS), metavar="NAME")
    chosen = parser.parse_args().only
    print(describe_machine())
    cpuinfo = Path("/proc/cpuinfo")
    known = set(re.findall(r"avx512_bf16|amx_bf16", cpuinfo.read_text() if cpuinfo.exists() else ""))
    print(f"instructions for bf16: {', '.join(sorted(known)) or 'none'}")
    print("\n| network | fp32 | bf16 | fp32 ÷ bf16 |\n|" + " --- |" * 4)
    compiled()
    for name in chosen:
        fp32, bf16 = alternate(both(DETECTORS[name]()))
        assert bf16 is not None
        print(f"| {name} | {fp32 / 1e3:.3f} s | {bf16 / 1e3:.3f} s | {fp32 / bf16:.2f}× |", flush=True)


def both(detector: Detector) -> Pair:
    """A step in fp32, and the same in bf16; the learning rate is 0, so that every step does the same work."""
    images, targets = labelled_photographs()
    detector.train()
    optimizer = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], lr=0.0, momentum=0.9)

    def step(precision: Precision) -> None:
        optimizer.zero_grad()
        with networks_in(precision, images[0].device):
            losses = detector.losses(detector(images), targets)
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()

    return Pair(lambda: step("fp32"), lambda: step("bf16"), None)


if __name__ == "__main__":
    main()
