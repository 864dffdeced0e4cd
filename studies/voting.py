"""What box voting gains: AP of the same models with and without it.

    python -m studies.voting runs/tta --cells BCCD --cards CARDS/images

The models are those of ``studies.tta``, trained for about 480 steps in bf16 where they are not there yet.
Prints the table of ``docs/models.md``: AP without voting, and what each σ adds; of AP50 what 0.025 adds.
"""

from __future__ import annotations

from dataclasses import replace

import masu
from masu.detectors.faster_rcnn import FasterRCNN
from studies.tta import models

SIGMAS = (0.0, 0.01, 0.025, 0.05)


def main() -> None:
    asked = models(__doc__)
    print("| set | seed | AP50 | AP | " + " | ".join(f"σ = {sigma}" for sigma in SIGMAS[1:]) + " | AP50 |")
    print("| --- " * (4 + len(SIGMAS)) + "|")
    for name, seed, path, test in asked:
        detector = masu.load(path)
        assert isinstance(detector, FasterRCNN)
        scored, config = [], detector.config
        for sigma in SIGMAS:
            detector.config = replace(config, rois=replace(config.rois, vote_sigma=sigma))
            scored.append(masu.evaluate(detector, test))
        plain, *others = scored
        gains = (f"{one.ap - plain.ap:+.4f}" for one in others)
        values = f"{plain.ap50:.3f}", f"{plain.ap:.3f}", *gains, f"{others[1].ap50 - plain.ap50:+.4f}"
        print(f"| {name} | {seed} | {' | '.join(values)} |", flush=True)


if __name__ == "__main__":
    main()
