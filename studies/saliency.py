"""How faithful each kind of saliency map is, and what it costs: docs/saliency.md.

    python -m studies.saliency MODEL DATA
    python -m studies.saliency MODEL DATA --images 2  # for the seconds, on an idle machine

Two detections of each of ten test images, the best and the weakest of at least 0.3. First how the score
follows each map, then how the box does: there deletion and insertion are means of the IoU of the network's
box, anchor or RoI fixed, with the detection's. The seconds of CPU are those of the map alone.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import masu
from masu.data.pixels.images import read_pixels
from masu.detectors.evidence import Answer, evidence
from masu.explanation import attribution
from masu.explanation.attribution import by_gradient, by_occlusion
from masu.explanation.faithfulness import Scene, faithfulness, middle, scene
from masu.ops.images import batch_images

THRESHOLD = 0.3
OCCLUSIONS = (50, 200)
FEWER = (4, 2, 1)

Rows = dict[str, list[tuple[float, float, float]]]


def main() -> None:
    """Print a row per kind of map: deletion, insertion, how often it beats the middle of the box, seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=10)
    options = parser.parse_args()
    detector = masu.load(options.model)
    data = masu.read_dataset(options.data, "test")
    of_score: Rows = defaultdict(list)
    of_box: Rows = defaultdict(list)
    left = []
    for index in range(0, len(data), -(-len(data) // options.images)):
        image = read_pixels(data[index].image).float() / 255
        found = detector.predict([image], threshold=THRESHOLD)[0]
        for which in sorted({0, len(found) - 1}) if len(found) else ():
            place = scene(detector, image, found.boxes[which], int(found.labels[which]))
            left.append(place.ends[1])
            maps = {"middle of the box": middle}
            maps["gradient"] = lambda p: by_gradient(detector, p)[0]
            for passes in FEWER:
                maps[f"gradient, {passes} passes"] = lambda p, n=passes: _gradient(p, n)
            for masks in OCCLUSIONS:
                maps[f"occlusion, {masks} masks"] = lambda p, n=masks: _occlusion(p, n)
            _add(of_score, place, maps)
            answer = evidence(detector.prediction_network().detector, image, place.box, place.label)[1]
            boxed = _Boxed(detector, image, place.blank, place.window, place.box, place.label, answer)
            maps = {"middle of the box": middle}
            maps["gradient of the score"] = lambda p: by_gradient(detector, p)[0]
            maps["gradient of the box"] = lambda p: by_gradient(detector, p, answers=2)[1]
            _add(of_box, boxed, maps)
    print(f"{len(left)} detections; largest score with the window wiped out {max(left):.3f}")
    _print(of_score)
    print("of the box:")
    _print(of_box)


@dataclass(frozen=True, eq=False)
class _Boxed(Scene):
    """A scene whose score is how well the network's box fits the detection's."""

    answer: Answer

    @torch.no_grad()
    def score(self, images: Sequence[Tensor]) -> list[float]:
        policy = self.detector.input
        return [float(self.answer(batch_images([image], policy).pixels)[0, 1]) for image in images]


def _add(rows: Rows, place: Scene, maps: dict[str, Callable[[Scene], Tensor]]) -> None:
    for name, make in maps.items():
        start = time.process_time()
        values = make(place)
        seconds = time.process_time() - start
        tested = faithfulness(place, values)
        rows[name].append((tested.deletion, tested.insertion, seconds))


def _print(rows: Rows) -> None:
    plain = torch.tensor(rows["middle of the box"])
    for name, figures in rows.items():
        of = torch.tensor(figures)
        better = (of[:, 1] - of[:, 0] > plain[:, 1] - plain[:, 0]).sum()
        deletion, insertion, seconds = of.mean(dim=0).tolist()
        print(
            f"| {name} | {deletion:.3f} | {insertion:.3f} | {insertion - deletion:.3f} | "
            f"{int(better)} of {len(of)} | {seconds:.2f} s |"
        )


def _gradient(place: Scene, passes: int) -> Tensor:
    usual, attribution.GRADIENTS = attribution.GRADIENTS, passes
    try:
        return by_gradient(place.detector, place)[0]
    finally:
        attribution.GRADIENTS = usual


def _occlusion(place: Scene, masks: int) -> Tensor:
    attribution.MASKS = masks
    return by_occlusion(place)


if __name__ == "__main__":
    main()
