"""Does ``masu check --model`` find wrong labels? Errors are put into labels and must come first in the list.

    python -m studies.labels --cells BCCD --cards CARDS/images                    # three sets, five seeds
    python -m studies.labels --cells BCCD --only "cells 0"                       # one of them

Wants cleanlab beside masu (``pip install cleanlab``). Each finished run is written to the file of
``--json`` at once, so that the command can be stopped and repeated.

In each set, of every 100 objects 5 are removed, 5 get another class, 5 are moved, and 5 boxes are added where
nothing is. Cross-fitted short trainings on these labels judge them. Counted is the share of errors among the
first 50 places of each list, for masu, for hotcoco's ``image_diagnostics`` and for cleanlab's ObjectLab, all
on the same predictions. What was wrong before counts as right, so that no figure is too good.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import masu
from masu.atomic import write_text
from masu.data.dataset import Dataset, Sample
from masu.data.fitting import measured
from masu.evaluation.doubts import find_doubts
from masu.evaluation.predictions import predictions
from masu.records import Detections, Target
from masu.training.cross_fitting import cross_fitted

SHARE = 0.05
"""Errors of each kind, of all objects."""

STEPS = 320
"""Of each training, a pass over the images more or less."""

FIRST = 50
"""Places of a list that are looked at."""


@dataclass(frozen=True)
class Error:
    """One error that was put in.

    Attributes:
        kind: ``missing``, ``wrong-class``, ``misplaced`` or ``spurious``.
        image: position in the data set.
        row: position among the labels of the image now; −1 for one that is missing.
        box: the true box; of a spurious one the box itself.
    """

    kind: str
    image: int
    row: int
    box: tuple[float, ...]


def with_errors(data: Dataset, seed: int) -> tuple[list[Target], list[Error]]:
    """The labels of a data set with errors, and what they are."""
    draw = np.random.default_rng(seed)
    objects = np.flatnonzero(data.flags == 0)
    count = max(round(SHARE * len(objects)), 1)
    chosen = draw.permutation(objects)[: 3 * count]
    removed, swapped, moved = (set(part.tolist()) for part in np.split(chosen, 3))
    added: dict[int, list[int]] = {}
    for image in draw.integers(len(data), size=count).tolist():
        added.setdefault(image, []).append(int(draw.choice(objects)))
    targets, errors = [], []
    for image, sample in enumerate(data):
        own = range(*data.objects(image).indices(len(data.boxes)))
        height, width = data.sizes[image].tolist()
        boxes, labels, ignored = [], [], []
        for row in own:
            box, label = data.boxes[row].astype(float), int(data.labels[row])
            if row in removed:
                errors.append(Error("missing", image, -1, tuple(box)))
                continue
            if row in swapped:
                others = [k for k in range(len(data.names)) if k != label]
                label = int(draw.choice(others))
                errors.append(Error("wrong-class", image, len(boxes), tuple(box)))
            if row in moved:
                errors.append(Error("misplaced", image, len(boxes), tuple(box)))
                box = _moved(draw, box, height, width)
            boxes.append(box)
            labels.append(label)
            ignored.append(bool(data.flags[row]))
        for like in added.get(image, ()):
            free = _free(draw, data.boxes[like].astype(float), sample.target, height, width)
            if free is not None:
                errors.append(Error("spurious", image, len(boxes), tuple(free)))
                boxes.append(free)
                labels.append(int(data.labels[like]))
                ignored.append(False)
        targets.append(Target(np.reshape(boxes, (-1, 4)), np.array(labels, int), np.array(ignored, bool)))
    return targets, errors


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    inside = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None).prod(1)
    return inside / ((box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - inside)


def _moved(draw: np.random.Generator, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """The box with its corners moved until its IoU with what it was is between 0.3 and 0.6."""
    sides = np.tile(box[2:] - box[:2], 2)
    for _ in range(1000):
        other = box + draw.normal(0, 0.3, 4) * sides
        other = np.clip(other, 0, (width, height, width, height))
        if (other[2:] - other[:2] > 2).all() and 0.3 < _overlap(box, other[None])[0] < 0.6:
            return other
    return box


def _free(
    draw: np.random.Generator, like: np.ndarray, target: Target, height: int, width: int
) -> np.ndarray | None:
    """A box of that size where no object is; None where there is no room."""
    sides = np.minimum(like[2:] - like[:2], (width, height))
    for _ in range(100):
        corner = draw.uniform(0, 1, 2) * ((width, height) - sides)
        box = np.concatenate([corner, corner + sides])
        if not len(target) or _overlap(box, target.boxes.numpy().astype(float)).max() < 0.1:
            return box
    return None


def judged(data: Dataset, targets: Sequence[Target], seed: int, steps: int) -> list[Detections]:
    """What detectors that have not seen an image find in it, trained on these labels."""
    wrong = measured(
        Dataset.of(
            [Sample(path, target) for path, target in zip(data.paths, targets, strict=True)], data.names
        )
    )
    augmentation = masu.Augmentation(horizontal_flip=0.0) if data.names[0] == "0" else masu.Augmentation()
    passes = max(round(steps / (len(data) * 2 / 3 / 2)), 1)
    settings = masu.TrainSettings(epochs=passes, precision="auto", seed=seed, augmentation=augmentation)
    found: dict[int, Detections] = {}
    for fold in cross_fitted(wrong, settings):
        files = [wrong.paths[int(image)] for image in fold.images]
        for one in predictions(fold.detector, files, [], threshold=None, batch_size=4, progress=None):
            found[int(fold.images[one.index])] = one.detections
    return [found[image] for image in range(len(data))]


def sets(options: argparse.Namespace, scenes: Path) -> Iterator[tuple[str, Dataset]]:
    """The sets by name, all their images."""
    from masu.verbs.demo_scenes import make_scenes

    make_scenes(scenes / "demo", 240, 2, 2, 0)
    for name, folder in (("cells", options.cells), ("cards", options.cards), ("demo", scenes / "demo")):
        if folder is not None:
            yield name, measured(masu.read_dataset(folder)).united()


Place = tuple[int, int | None, tuple[float, ...], str]
"""An entry of a list: image, position among its labels or None, box, kind."""


def by_masu(data: Dataset, targets: Sequence[Target], found: Sequence[Detections]) -> list[Place]:
    """The list of ``masu check --model``."""
    sizes = [(int(height), int(width)) for height, width in data.sizes.tolist()]
    return [(one.image, one.object, one.box, one.kind) for one in find_doubts(targets, found, sizes)]


def by_hotcoco(data: Dataset, targets: Sequence[Target], found: Sequence[Detections]) -> list[Place]:
    """hotcoco's ``label_errors``, the best score first."""
    from hotcoco import COCO, COCOeval

    objects, places = [], []
    for image, target in enumerate(targets):
        for row, (box, label) in enumerate(zip(target.boxes.tolist(), target.labels.tolist(), strict=True)):
            crowd = int(target.ignored[row])
            objects.append(_entry(image, box, label, id=len(objects) + 1, iscrowd=crowd))
            places.append(row)
    results = [
        _entry(image, box, label, score=score)
        for image, one in enumerate(found)
        for box, label, score in zip(
            one.boxes.tolist(), one.labels.tolist(), one.scores.tolist(), strict=True
        )
    ]
    said = {
        "images": [{"id": i, "width": w, "height": h} for i, (h, w) in enumerate(data.sizes.tolist())],
        "categories": [{"id": k, "name": name} for k, name in enumerate(data.names)],
        "annotations": objects,
    }
    with tempfile.TemporaryDirectory() as place:
        files = Path(place) / "objects.json", Path(place) / "results.json"
        for file, content in zip(files, (said, results), strict=True):
            file.write_text(json.dumps(content))
        labelled = COCO(str(files[0]))
        scored = COCOeval(labelled, labelled.load_res(str(files[1])), "bbox")
        scored.evaluate()
        errors = scored.image_diagnostics()["label_errors"]
    listed: list[Place] = []
    for error in sorted(errors, key=lambda one: -one["dt_score"]):
        x, y, width, height = results[error["dt_id"] - 1]["bbox"]
        wrong = error["type"] == "wrong_label"
        row = places[error["gt_id"] - 1] if wrong else None
        box = (x, y, x + width, y + height)
        listed.append((error["image_id"], row, box, "wrong-class" if wrong else "missing"))
    return listed


def _entry(image: int, box: Sequence[float], label: int, **more: Any) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    sides = x2 - x1, y2 - y1
    return {
        "image_id": image,
        "category_id": label,
        "bbox": [x1, y1, *sides],
        "area": sides[0] * sides[1],
        **more,
    }


def by_objectlab(data: Dataset, targets: Sequence[Target], found: Sequence[Detections]) -> list[Place]:
    """cleanlab's scores of boxes for its three kinds of error, all in one list, the lowest first."""
    from cleanlab.object_detection import rank

    labels = [{"bboxes": target.boxes.numpy(), "labels": target.labels.numpy()} for target in targets]
    rows, results = [], []
    for one in found:
        of_class = [np.flatnonzero(one.labels.numpy() == k) for k in range(len(data.names))]
        boxes = np.concatenate([one.boxes.numpy(), one.scores.numpy()[:, None]], 1)
        result = np.empty(len(of_class), object)
        result[:] = [boxes[own] for own in of_class]
        results.append(result)
        rows.append(np.concatenate(of_class))
    listed: list[tuple[float, Place]] = []
    for kind, scores in (
        ("missing", rank.compute_overlooked_box_scores(labels=labels, predictions=results)),
        ("misplaced", rank.compute_badloc_box_scores(labels=labels, predictions=results)),
        ("wrong-class", rank.compute_swap_box_scores(labels=labels, predictions=results)),
    ):
        for image, own in enumerate(scores):
            for row, score in enumerate(np.asarray(own, float)):
                if not np.isfinite(score):
                    continue
                if kind == "missing":
                    box = tuple(found[image].boxes[int(rows[image][row])].tolist())
                    listed.append((score, (image, None, box, kind)))
                else:
                    listed.append((score, (image, row, (), kind)))
    return [place for _, place in sorted(listed, key=lambda one: one[0])]


def precision(listed: Sequence[Place], errors: Sequence[Error], first: int = FIRST) -> float:
    """The share of the first places of a list that are about an error, each error counted once."""
    left, hits = list(errors), 0
    for image, row, box, _ in listed[:first]:
        for error in left:
            same = error.image == image and (error.row >= 0) == (row is not None)
            if same and (row == error.row if row is not None else _iou(box, error.box) >= 0.5):
                left.remove(error)
                hits += 1
                break
    return hits / first


def _iou(a: Sequence[float], b: Sequence[float]) -> float:
    return float(_overlap(np.array(a), np.array([b]))[0])


Lister = Callable[[Dataset, Sequence[Target], Sequence[Detections]], list[Place]]
LISTS: dict[str, Lister] = {"masu": by_masu, "hotcoco": by_hotcoco, "ObjectLab": by_objectlab}


def measure(name: str, data: Dataset, seed: int) -> dict[str, Any]:
    """One set and seed: the precision of each list, of everything and of each kind."""
    targets, errors = with_errors(data, seed)
    found = judged(data, targets, seed, STEPS)
    return figures(name, data, seed, targets, errors, found)


def figures(
    name: str,
    data: Dataset,
    seed: int,
    targets: Sequence[Target],
    errors: Sequence[Error],
    found: Sequence[Detections],
) -> dict[str, Any]:
    """The figures of one run."""
    row: dict[str, Any] = {"set": name, "seed": seed, "errors": len(errors)}
    for who, lister in LISTS.items():
        listed = lister(data, targets, found)
        row[who] = precision(listed, errors)
        for kind in ("missing", "wrong-class", "misplaced", "spurious"):
            own = [error for error in errors if error.kind == kind]
            row[f"{who} {kind}"] = precision([one for one in listed if one[3] == kind], own)
    sizes = [(int(height), int(width)) for height, width in data.sizes.tolist()]
    likely = sum(one.likelihood >= 0.5 for one in find_doubts(targets, found, sizes))
    row["likely"] = likely
    row["likely right"] = precision(by_masu(data, targets, found), errors, max(likely, 1)) if likely else None
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The table of docs/data.md: means over the seeds."""
    lines = ["| set | errors | " + " | ".join(LISTS) + " | listed by masu from 0.5 | right among these |"]
    lines.append("|" + " --- |" * (len(LISTS) + 4))
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        cells = [f"{statistics.mean(row[who] for row in own):.2f}" for who in LISTS]
        likely = statistics.mean(row["likely"] for row in own)
        right = statistics.mean(row["likely right"] for row in own if row["likely"])
        errors = statistics.mean(row["errors"] for row in own)
        lines.append(f"| {name} | {errors:.0f} | {' | '.join(cells)} | {likely:.0f} | {right:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=Path, help="the blood cells, BCCD")
    parser.add_argument("--cards", type=Path, help="the playing cards, their folder images")
    parser.add_argument("--only", default="", help="runs whose set and seed match")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("docs/labels.json"))
    options = parser.parse_args()
    rows = json.loads(options.json.read_text()) if options.json.exists() else []
    done = {(row["set"], row["seed"]) for row in rows}
    with tempfile.TemporaryDirectory() as scenes:
        for name, data in sets(options, Path(scenes)):
            for seed in range(options.seeds):
                if (name, seed) in done or not re.search(options.only, f"{name} {seed}"):
                    continue
                rows.append(measure(name, data, seed))
                rows.sort(key=lambda row: (row["set"], row["seed"]))
                write_text(options.json, "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    print(table(rows))


if __name__ == "__main__":
    main()
