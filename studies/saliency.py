"""How faithful each kind of saliency map is, and what it costs: docs/saliency.md.

    python -m studies.saliency MODEL DATA
    python -m studies.saliency MODEL DATA --images 2  # for the seconds, on an idle machine

Two detections of each of ten test images, the best and the weakest of at least 0.3. The seconds are those
of the map alone; testing it takes about 20 predictions more.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import torch

import masu
from masu.data.bands import read_pixels
from masu.verbs import attribution
from masu.verbs.attribution import by_gradient, by_occlusion
from masu.verbs.faithfulness import Scene, faithfulness, middle, scene

THRESHOLD = 0.3
OCCLUSIONS = (50, 200)


def main() -> None:
    """Print a row per kind of map: deletion, insertion, how often it beats the middle of the box, seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=10)
    options = parser.parse_args()
    detector = masu.load(options.model)
    data = masu.read_dataset(options.data, "test")
    rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    left = []
    for index in range(0, len(data), -(-len(data) // options.images)):
        image = read_pixels(data[index].image).float() / 255
        found = detector.predict([image], threshold=THRESHOLD)[0]
        for which in sorted({0, len(found) - 1}) if len(found) else ():
            place = scene(detector, image, found.boxes[which], int(found.labels[which]))
            left.append(place.ends[1])
            maps = {"middle of the box": middle}
            maps["gradient"] = lambda p: by_gradient(detector, p)
            for masks in OCCLUSIONS:
                maps[f"occlusion, {masks} masks"] = lambda p, n=masks: _occlusion(p, n)
            for name, make in maps.items():
                start = time.perf_counter()
                values = make(place)
                seconds = time.perf_counter() - start
                tested = faithfulness(place, values)
                rows[name].append((tested.deletion, tested.insertion, seconds))
    plain = torch.tensor(rows["middle of the box"])
    print(f"{len(plain)} detections; largest score with the window wiped out {max(left):.3f}")
    for name, figures in rows.items():
        of = torch.tensor(figures)
        better = (of[:, 1] - of[:, 0] > plain[:, 1] - plain[:, 0]).sum()
        deletion, insertion, seconds = of.mean(dim=0).tolist()
        print(
            f"| {name} | {deletion:.3f} | {insertion:.3f} | {insertion - deletion:.3f} | "
            f"{int(better)} of {len(of)} | {seconds:.2f} s |"
        )


def _occlusion(place: Scene, masks: int) -> torch.Tensor:
    attribution.MASKS = masks
    return by_occlusion(place)


if __name__ == "__main__":
    main()
