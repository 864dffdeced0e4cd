"""masu: train, explain and ship object detectors on the computer you have.

The names in ``__all__`` and in ``masu.ops.__all__`` are the public interface; nothing else is. They are
resolved at first use, so that ``import masu`` itself costs nothing and ``masu --help`` opens without loading
PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from masu import ops
    from masu.data.formats import read_dataset
    from masu.data.loading.transforms import Augmentation
    from masu.detectors.as_torchvision import to_torchvision, to_torchvision_state_dict
    from masu.detectors.build import build, from_torchvision, load, save
    from masu.errors import InputError
    from masu.evaluation.evaluate import evaluate
    from masu.explanation.funnel import funnel
    from masu.explanation.saliency import saliency
    from masu.records import Detections, Target
    from masu.training.recipe import TrainSettings
    from masu.training.train import train
    from masu.verbs.detect import detect

__all__ = [
    "Augmentation",
    "Detections",
    "InputError",
    "Target",
    "TrainSettings",
    "build",
    "detect",
    "evaluate",
    "from_torchvision",
    "funnel",
    "load",
    "ops",
    "read_dataset",
    "saliency",
    "save",
    "to_torchvision",
    "to_torchvision_state_dict",
    "train",
]

_HOME = {
    "Augmentation": "masu.data.loading.transforms",
    "Detections": "masu.records",
    "InputError": "masu.errors",
    "Target": "masu.records",
    "TrainSettings": "masu.training.recipe",
    "build": "masu.detectors.build",
    "detect": "masu.verbs.detect",
    "evaluate": "masu.evaluation.evaluate",
    "from_torchvision": "masu.detectors.build",
    "funnel": "masu.explanation.funnel",
    "load": "masu.detectors.build",
    "ops": "masu.ops",
    "read_dataset": "masu.data.formats",
    "saliency": "masu.explanation.saliency",
    "save": "masu.detectors.build",
    "to_torchvision": "masu.detectors.as_torchvision",
    "to_torchvision_state_dict": "masu.detectors.as_torchvision",
    "train": "masu.training.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'masu' has no attribute {name!r}; it has {', '.join(__all__)}")
    home = importlib.import_module(_HOME[name])
    return home if home.__name__ == f"masu.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
