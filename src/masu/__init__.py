"""masu: train, explain and ship object detectors on the computer you have.

The names in ``__all__`` and in ``masu.ops.__all__`` are the public interface; nothing else is. They are
resolved at first use, so that ``import masu`` itself costs nothing and ``masu --help`` opens without loading
PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from masu import ops
    from masu.bulk.job import detect_bulk
    from masu.data.formats import read_dataset
    from masu.data.loading.transforms import Augmentation
    from masu.detectors.as_torchvision import to_torchvision, to_torchvision_state_dict
    from masu.detectors.build import build, from_torchvision, load, save, store_thresholds
    from masu.detectors.sizing import with_image_size
    from masu.detectors.tiling import tiled
    from masu.detectors.tta import with_tta
    from masu.errors import InputError
    from masu.explanation.saliency import saliency
    from masu.exports.exported import open_detector
    from masu.films.source import frames
    from masu.films.track_scores import evaluate_tracks
    from masu.films.watching import watch
    from masu.records import Detection, Detections, Target
    from masu.training.recipe import TrainSettings
    from masu.verbs.anchors import anchors
    from masu.verbs.backend import backend
    from masu.verbs.calibrate import calibrate
    from masu.verbs.check import check
    from masu.verbs.compare import compare
    from masu.verbs.convert import convert
    from masu.verbs.demo import demo
    from masu.verbs.detect import detect
    from masu.verbs.draft import draft
    from masu.verbs.evaluate import evaluate
    from masu.verbs.explain import explain
    from masu.verbs.export import export
    from masu.verbs.film import detect_film
    from masu.verbs.funnel import funnel
    from masu.verbs.label import label
    from masu.verbs.models import models
    from masu.verbs.serve import serve
    from masu.verbs.train import train
    from masu.verbs.tune import tune

__all__ = [
    "Augmentation",
    "Detection",
    "Detections",
    "InputError",
    "Target",
    "TrainSettings",
    "anchors",
    "backend",
    "build",
    "calibrate",
    "check",
    "compare",
    "convert",
    "demo",
    "detect",
    "detect_bulk",
    "detect_film",
    "draft",
    "evaluate",
    "evaluate_tracks",
    "explain",
    "export",
    "frames",
    "from_torchvision",
    "funnel",
    "label",
    "load",
    "models",
    "open_detector",
    "ops",
    "read_dataset",
    "saliency",
    "save",
    "serve",
    "store_thresholds",
    "tiled",
    "to_torchvision",
    "to_torchvision_state_dict",
    "train",
    "tune",
    "watch",
    "with_image_size",
    "with_tta",
]

_HOME = {
    "Augmentation": "masu.data.loading.transforms",
    "Detection": "masu.records",
    "Detections": "masu.records",
    "InputError": "masu.errors",
    "Target": "masu.records",
    "TrainSettings": "masu.training.recipe",
    "anchors": "masu.verbs.anchors",
    "backend": "masu.verbs.backend",
    "build": "masu.detectors.build",
    "calibrate": "masu.verbs.calibrate",
    "check": "masu.verbs.check",
    "compare": "masu.verbs.compare",
    "convert": "masu.verbs.convert",
    "demo": "masu.verbs.demo",
    "detect": "masu.verbs.detect",
    "detect_bulk": "masu.bulk.job",
    "detect_film": "masu.verbs.film",
    "draft": "masu.verbs.draft",
    "evaluate": "masu.verbs.evaluate",
    "evaluate_tracks": "masu.films.track_scores",
    "explain": "masu.verbs.explain",
    "export": "masu.verbs.export",
    "frames": "masu.films.source",
    "from_torchvision": "masu.detectors.build",
    "funnel": "masu.verbs.funnel",
    "label": "masu.verbs.label",
    "load": "masu.detectors.build",
    "models": "masu.verbs.models",
    "open_detector": "masu.exports.exported",
    "ops": "masu.ops",
    "read_dataset": "masu.data.formats",
    "saliency": "masu.explanation.saliency",
    "save": "masu.detectors.build",
    "serve": "masu.verbs.serve",
    "store_thresholds": "masu.detectors.build",
    "tiled": "masu.detectors.tiling",
    "to_torchvision": "masu.detectors.as_torchvision",
    "to_torchvision_state_dict": "masu.detectors.as_torchvision",
    "train": "masu.verbs.train",
    "tune": "masu.verbs.tune",
    "watch": "masu.films.watching",
    "with_image_size": "masu.detectors.sizing",
    "with_tta": "masu.detectors.tta",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'masu' has no attribute {name!r}; it has {', '.join(__all__)}")
    home = importlib.import_module(_HOME[name])
    return home if home.__name__ == f"masu.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
