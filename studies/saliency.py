"""How faithful each kind of saliency map is, and what it costs: docs/saliency.md.

    python -m studies.saliency MODEL DATA
    python -m studies.saliency MODEL DATA --images 2  # for the seconds, on an idle machine
    python -m studies.saliency MODEL DATA --images 20 --quick

Two detections of each of ten test images, the best and the weakest of at least 0.3. First how the score
follows each map, then how the box does: there deletion and insertion are means of the IoU of the network's
box, anchor or RoI fixed, with the detection's. ``--quick``: only the score, and its gradient map. Beside how
often a map is better than the middle of the box stands how probable at least as many are for a coin, then how
often it is better by more than both margins; for comparison also of the middle times random details, which
knows only the box. The seconds of CPU are those of the map alone.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import masu
from masu.data.pixels.images import read_pixels
from masu.detectors.evidence import Answer, evidence
from masu.explanation import attribution
from masu.explanation.attribution import by_gradient, by_occlusion
from masu.explanation.faithfulness import Scene, details, faithfulness, margins, middle, scene
from masu.ops.images import batch_images

THRESHOLD = 0.3
OCCLUSIONS = (50, 200)
FEWER = (4, 2, 1)

Rows = dict[str, list[tuple[float, float, float, bool]]]


def main() -> None:
    """Print a row per kind of map: deletion, insertion, how often it beats the middle of the box, seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    detector = masu.load(options.model)
    data = masu.read_dataset(options.data, "test")
    of_score: Rows = defaultdict(list)
    of_box: Rows = defaultdict(list)
    left = []
    generator = torch.Generator().manual_seed(1)
    for index in range(0, len(data), -(-len(data) // options.images)):
        image = read_pixels(data[index].image).float() / 255
        found = detector.predict([image], threshold=THRESHOLD)[0]
        for which in sorted({0, len(found) - 1}) if len(found) else ():
            place = scene(detector, image, found.boxes[which], int(found.labels[which]))
            left.append(place.ends[1])
            maps = {"middle of the box": middle}
            maps["middle, random details"] = lambda p: middle(p) * details(middle(p), generator)
            maps["gradient"] = lambda p: by_gradient(detector, p)[0]
            for passes in () if options.quick else FEWER:
                maps[f"gradient, {passes} passes"] = lambda p, n=passes: _gradient(p, n)
            for masks in () if options.quick else OCCLUSIONS:
                maps[f"occlusion, {masks} masks"] = lambda p, n=masks: _occlusion(p, n)
            _add(of_score, place, maps)
            if options.quick:
                continue
            answer = evidence(detector.prediction_network().detector, image, place.box, place.label)[1]
            boxed = _Boxed(detector, image, place.blank, place.window, place.box, place.label, answer)
            maps = {"middle of the box": middle}
            maps["gradient of the score"] = lambda p: by_gradient(detector, p)[0]
            maps["gradient of the box"] = lambda p: by_gradient(detector, p, answers=2)[1]
            _add(of_box, boxed, maps)
    print(f"{len(left)} detections; largest score with the window wiped out {max(left):.3f}")
    _print(of_score)
    if of_box:
        print("of the box:")
        _print(of_box)


@dataclass(frozen=True, eq=False)
class _Boxed(Scene):
    """A scene whose score is how well the network's box fits the detection's."""

    answer: Answer

    @torch.no_grad()
    def score(self, images: Iterable[Tensor]) -> list[float]:
        policy = self.detector.input
        return [float(self.answer(batch_images([image], policy).pixels)[0, 1]) for image in images]


def _add(rows: Rows, place: Scene, maps: dict[str, Callable[[Scene], Tensor]]) -> None:
    of_middle = faithfulness(place, middle(place))
    beyond = None
    for name, make in maps.items():
        start = time.process_time()
        values = make(place)
        seconds = time.process_time() - start
        tested = faithfulness(place, values)
        trusted = False
        if name != "middle of the box" and tested.gain > max(of_middle.gain, 0):
            beyond = beyond or margins(place, of_middle)
            trusted = tested.gain > max(of_middle.gain + beyond.middle, beyond.random)
        rows[name].append((tested.deletion, tested.insertion, seconds, trusted))


def _print(rows: Rows) -> None:
    plain = torch.tensor(rows["middle of the box"])
    for name, figures in rows.items():
        of = torch.tensor(figures)
        better = int((of[:, 1] - of[:, 0] > plain[:, 1] - plain[:, 0]).sum())
        coin = sum(math.comb(len(of), heads) for heads in range(better, len(of) + 1)) / 2 ** len(of)
        deletion, insertion, seconds, _ = of.mean(dim=0).tolist()
        print(
            f"| {name} | {deletion:.3f} | {insertion:.3f} | {insertion - deletion:.3f} | "
            f"{better} of {len(of)} | {coin:.4f} | {int(of[:, 3].sum())} | {seconds:.2f} s |"
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
