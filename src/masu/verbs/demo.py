"""Demo: the whole job — data, training, scores, pictures — from what is installed, without a download."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from masu.data.formats import Dataset, Sample, read_dataset
from masu.data.loading.transforms import Augmentation
from masu.data.pixels.images import read_image
from masu.detectors.build import load
from masu.errors import bad_input
from masu.evaluation.evaluate import evaluate
from masu.evaluation.metrics import Metrics
from masu.evaluation.predictions import AnyDetector
from masu.pages.page import put_page
from masu.pages.pictures import Mark, Shown, embedded
from masu.training.recipe import TrainSettings
from masu.training.train import train
from masu.verbs.demo_page import DemoPage, Picture, render_page
from masu.verbs.demo_scenes import NAMES, make_scenes
from masu.verbs.detect import detect

SCENE_SIZE = 240
"""Shorter side in pixels at which the network sees a scene: about its own."""

_SHOWN = 9  # test scenes on the page
_THRESHOLD = 0.5


@dataclass(frozen=True)
class DemoResult:
    """What :func:`demo` reached, and where it is.

    Attributes:
        ap50: average precision at IoU 0.50 on the test scenes.
        ap: average precision on the test scenes, mean over IoU 0.50 … 0.95.
        seconds: the whole demo, from making the scenes to the page.
        page: the HTML page to open.
        folder: what was made: ``data/``, ``run/`` (the model), ``found/`` (pictures) and the page.
    """

    ap50: float | None
    ap: float | None
    seconds: float
    page: Path
    folder: Path

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them; paths are strings."""
        return asdict(self) | {"page": str(self.page), "folder": str(self.folder)}


def demo(
    out: str | os.PathLike[str] = "demo",
    *,
    epochs: int = 6,
    time_budget: float = 120.0,
    scenes: tuple[int, int, int] = (360, 60, 60),
    seed: int = 0,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> DemoResult:
    """Make a data set, train the default architecture on it, score it on unseen scenes and write a page.

    Args:
        out: folder for everything. One in which a demo was stopped goes on; a finished one is refused.
        epochs: passes over the training scenes, fewer where the time is up before.
        time_budget: seconds of training, so that the whole demo takes about as long on any computer.
        scenes: number of scenes to train with, to choose the best epoch by, and to test with.
        seed: start of all randomness, of scenes and training.
        report: told of each part, ``{"event": "part", "part": "training"}``, and of all that
            :func:`masu.train` reports.

    Returns:
        The figures reached, and where the page is.

    Raises:
        InputError: without scikit-learn, for a folder with an earlier demo or one that cannot be written, and
            for settings that :func:`make_scenes` or :class:`masu.TrainSettings` refuses.
        KeyboardInterrupt: when training was stopped by Ctrl-C.
    """
    report = report or (lambda _: None)
    started = time.perf_counter()
    out = Path(out)
    data_folder, run, found = out / "data", out / "run", out / "found"
    file = out / "index.html"
    if file.exists():
        raise bad_input(out, "an earlier demo", "a new folder", "choose another one (--out)")
    # digits are no longer themselves in a mirror
    augmentation = Augmentation(horizontal_flip=0.0, vertical_flip=0.0)
    settings = TrainSettings(
        epochs=epochs,
        time_budget=time_budget,
        seed=seed,
        augmentation=augmentation,
        image_size=SCENE_SIZE,
    )

    report({"event": "part", "part": "making the scenes"})
    if not data_folder.exists():
        make_scenes(data_folder, *scenes, seed)
    data, val, test = (read_dataset(data_folder, split) for split in ("train", "val", "test"))
    if (len(data), len(val), len(test)) != scenes or data.names != NAMES:
        raise bad_input(data_folder, "another data set", f"{scenes} scenes of a demo", "choose another --out")

    report({"event": "part", "part": "training"})
    begun = any((run / f"{name}.safetensors").exists() for name in ("resume", "resume-before"))
    trained = train(data, val, settings, run, report=report, resume=begun)
    if trained.interrupted:
        raise KeyboardInterrupt

    report({"event": "part", "part": "scoring on the test scenes"})
    detector = load(trained.best)
    metrics = evaluate(detector, test)
    if not isinstance(metrics, Metrics):
        raise TypeError(f"demo: found {type(metrics).__name__}, wanted the metrics of a detector")

    report({"event": "part", "part": "drawing the test scenes"})
    detect(detector, [image for image, _ in test], threshold=_THRESHOLD, out=found)
    seconds = time.perf_counter() - started
    page = DemoPage(
        metrics=metrics,
        history=trained.history,
        pictures=_pictures(detector, list(test.take(range(min(_SHOWN, len(test)))))),
        threshold=_THRESHOLD,
        architecture=settings.architecture,
        images=(len(data), len(val), len(test)),
        objects=(_objects(data), _objects(val), _objects(test)),
        seconds=seconds,
        training_seconds=trained.seconds,
        threads=torch.get_num_threads(),
        model_bytes=trained.best.stat().st_size,
    )
    put_page(file, render_page(page))
    return DemoResult(metrics.ap50, metrics.ap, seconds, file, out)


def _objects(data: Dataset) -> int:
    return len(data.boxes)


def _pictures(detector: AnyDetector, samples: Sequence[Sample]) -> tuple[Picture, ...]:
    """The scenes with what is there and what was found, and both in words."""
    pictures = []
    for image, target in samples:
        found = detector.predict([read_image(image)], threshold=_THRESHOLD)[0]
        there = tuple(sorted(detector.names[label] for label in target.labels.tolist()))
        names = tuple(sorted(found.names))
        marks = [Mark(box, "object") for box in target.boxes.tolist()]
        marks += [Mark(one.box, "found", f"{one.name} {one.score:.2f}") for one in reversed(list(found))]
        said = f"There: {', '.join(there) or 'no digit'}. Found: {', '.join(names) or 'nothing'}."
        alt = f"Test scene {image.name}. {said}"
        with Image.open(image) as picture:
            scene = Shown(image.name, embedded(picture, quality=85), picture.size, tuple(marks), alt)
        pictures.append(Picture(scene, there, names))
    return tuple(pictures)
