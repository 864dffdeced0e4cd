"""The pictures and numbers of docs/how-it-works.md: one photograph, followed from pixels to boxes.

    masu demo
    python -m studies.how_it_works demo

Needs nothing but the demo's model and one of its test scenes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import masu
from masu.data.pixels.images import read_image
from masu.detectors.detector import Detector
from masu.detectors.raw import Raw
from masu.detectors.targets import targets_at_network_size
from masu.detectors.trace import StageTrace, Trace, trace
from masu.drawing import Mark, class_colour, draw_marks, object_marks
from masu.ops.geometry import resize
from masu.records import IGNORE, OBJECT, Target

ENLARGED = 2
SHOWN = 40
"""Boxes of a picture; of hundreds one would see nothing."""
CROP = 96
BLUE, ORANGE, GREY = (86, 180, 233), (230, 159, 0), (150, 150, 150)


def main() -> None:
    """Draw everything; print the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("demo", type=Path, help="folder of masu demo")
    parser.add_argument("--scene", type=int, default=2, help="test scene")
    parser.add_argument("--out", type=Path, default=Path("docs/how-it-works"))
    options = parser.parse_args()
    detector = masu.load(options.demo / "run" / "best.safetensors")
    path, target = masu.read_dataset(options.demo / "data", "test", names=detector.names)[options.scene]
    image = read_image(path)
    with torch.inference_mode():
        network = detector.prediction_network().detector
        raw = network([image])
        traced = trace(network, raw)[0]
    options.out.mkdir(parents=True, exist_ok=True)
    story = Story(detector, image, target, raw, traced)
    for name, picture in story.pictures().items():
        picture.save(options.out / f"{name}.jpg", quality=85)
    print(json.dumps(story.numbers(), indent=1))


class Story:
    """One image and all that its trace says."""

    def __init__(self, detector: Detector, image: Tensor, target: Target, raw: Raw, traced: Trace) -> None:
        self.detector, self.target, self.raw, self.traced = detector, target, raw, traced
        height, width = image.shape[1:]
        photograph = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        self.photograph = photograph.resize((ENLARGED * width, ENLARGED * height), Image.Resampling.BICUBIC)
        self.drawn_size = torch.tensor((ENLARGED * height, ENLARGED * width))
        scaled = targets_at_network_size([target], raw.images)[0]
        self.labels = detector.assignment(raw.anchors, scaled).label

    def pictures(self) -> dict[str, Image.Image]:
        """Name and picture of each step."""
        first, second = self.traced.first, self.traced.last
        positive = torch.where(self.labels == OBJECT)[0]
        best = first.candidate_ranking.argsort(descending=True)
        survivors = best[first.rank[best] >= 0]
        return {
            "1-photograph": draw_marks(self.photograph, self._objects()),
            "2-objectness": self._heat(),
            "3-anchors": draw_marks(
                self.photograph, [*self._objects(), *self._boxes(self.raw.anchors[positive], BLUE)]
            ),
            "4-candidates": self._drawn(first.candidate_boxes[best[:SHOWN]]),
            "5-after-suppression": self._drawn(first.candidate_boxes[survivors[:SHOWN]]),
            "6-second-stage": self._crops(second.started[:SHOWN], _with_background(second)[:SHOWN]),
            "7-found": draw_marks(self.photograph, [*self._found(), *self._objects()]),
        }

    def numbers(self) -> dict[str, Any]:
        """The numbers that the page quotes."""
        first, second = self.traced.first, self.traced.last
        return {
            "network": list(self.raw.images.pixels.shape[2:]),
            "grids": [list(f.shape[2:]) for f in self.raw.features],
            "anchors": list(self.raw.counts),
            "objects": len(self.target),
            "positive": int((self.labels == OBJECT).sum()),
            "ignored": int((self.labels == IGNORE).sum()),
            "background": int((self.labels == 0).sum()),
            "decoded": len(first.candidate_boxes),
            "too_small": int(first.small.sum()),
            "suppressed": int((first.suppressor >= 0).sum()),
            "proposals": len(second.started),
            "scored": len(second.candidate_boxes),
            "suppressed_by_class": int((second.suppressor >= 0).sum()),
            "detections": len(self.traced.detections),
            "shown": len(self.traced.detections.above(0.5)),
        }

    def _objects(self) -> list[Mark]:
        boxes = self.target.boxes * ENLARGED
        return object_marks(Target(boxes, self.target.labels, self.target.ignored))

    def _boxes(self, boxes: Tensor, colour: tuple[int, int, int]) -> list[Mark]:
        """Marks of boxes that are in pixels of the network's input."""
        drawn = resize(boxes, self.traced.size, self.drawn_size)
        return [Mark(box, colour, thin=True) for box in drawn.tolist()]

    def _drawn(self, boxes: Tensor) -> Image.Image:
        return draw_marks(self.photograph, self._boxes(boxes, ORANGE))

    def _crops(self, boxes: Tensor, scores: Tensor) -> Image.Image:
        """The best proposals as the second stage judges them: class and score, or background."""
        names = (*self.detector.names, "nothing")
        sheet = Image.new("RGB", (CROP * 10, CROP * -(-len(boxes) // 10)), "white")
        drawn = resize(boxes, self.traced.size, self.drawn_size).tolist()
        for i, (box, row) in enumerate(zip(drawn, scores, strict=True)):
            crop = self.photograph.crop([round(side) for side in box]).resize((CROP - 4, CROP - 4))
            score, k = row.max(0)
            colour = GREY if int(k) == len(names) - 1 else class_colour(int(k))
            mark = Mark((0, 0, CROP - 4, CROP - 4), colour, names[int(k)], f"{float(score):.2f}")
            sheet.paste(draw_marks(crop, [mark]), (CROP * (i % 10) + 2, CROP * (i // 10) + 2))
        return sheet

    def _found(self) -> list[Mark]:
        found = self.traced.detections.above(0.5)
        rows = zip(
            found.boxes.tolist(), found.labels.tolist(), found.names, found.scores.tolist(), strict=True
        )
        return [
            Mark([ENLARGED * side for side in box], class_colour(k), name, f"{score:.2f}")
            for box, k, name, score in rows
        ]

    def _heat(self) -> Image.Image:
        """The largest objectness of every cell, level by level, light where it is high."""
        height, width = self.traced.size.tolist()
        padded = self.raw.images.pixels.shape[2:]
        tiles: list[Image.Image] = []
        levels = torch.split(self.traced.first.ranking[:, 0].sigmoid(), list(self.raw.counts))
        for scores, feature in zip(levels, self.raw.features, strict=True):
            rows, columns = feature.shape[2:]
            cells = scores.reshape(rows, columns, -1).amax(2)
            tile = Image.fromarray((cells * 255).round().to(torch.uint8).numpy())
            tile = tile.resize((padded[1], padded[0]), Image.Resampling.NEAREST)
            tiles.append(tile.crop((0, 0, width, height)))
        return _side_by_side(tiles)


def _with_background(second: StageTrace) -> Tensor:
    """``(P, K + 1)`` scores of each proposal, background last."""
    assert second.background is not None
    return torch.cat([second.ranking, second.background[:, None]], dim=1)


def _side_by_side(tiles: Sequence[Image.Image], gap: int = 6) -> Image.Image:
    sheet = Image.new("L", (sum(t.width + gap for t in tiles) - gap, tiles[0].height), 255)
    left = 0
    for tile in tiles:
        sheet.paste(tile, (left, 0))
        left += tile.width + gap
    return sheet


if __name__ == "__main__":
    main()
