"""What box voting gains: AP of the same models with and without it.

    python -m studies.voting runs/tta --cells BCCD --cards CARDS/images

The models are those of ``studies.tta``, trained for about 480 steps in bf16 where they are not there yet.
Prints the table of ``docs/models.md``: AP without voting, and what each σ adds; of AP50 what 0.025 adds, and
how many times the processor time of 20 photographs it takes, the median of seven turns.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

import masu
from masu.detectors.faster_rcnn import FasterRCNN
from studies.tta import models, seconds

SIGMAS = (0.0, 0.01, 0.025, 0.05)
TURNS = 7


def main() -> None:
    asked = models(__doc__)
    print(
        "| set | seed | AP50 | AP | "
        + " | ".join(f"σ = {sigma}" for sigma in SIGMAS[1:])
        + " | AP50 | time |"
    )
    print("| --- " * (5 + len(SIGMAS)) + "|")
    for name, seed, path, test in asked:
        detector = masu.load(path)
        assert isinstance(detector, FasterRCNN)
        config, networks = detector.config, []
        for sigma in SIGMAS:
            detector.config = replace(config, rois=replace(config.rois, vote_sigma=sigma))
            networks.append(detector.prediction_network())
        plain, *others = (masu.evaluate(network, test) for network in networks)
        turns = [[seconds(network, test) for network in (networks[2], networks[0])] for _ in range(TURNS)]
        time = statistics.median(voting / without for voting, without in turns)
        gains = (f"{one.ap - plain.ap:+.4f}" for one in others)
        values = (
            f"{plain.ap50:.3f}",
            f"{plain.ap:.3f}",
            *gains,
            f"{others[1].ap50 - plain.ap50:+.4f}",
            f"{time:.3f}×",
        )
        print(f"| {name} | {seed} | {' | '.join(values)} |", flush=True)


if __name__ == "__main__":
    main()
