"""What is served: models by name, each with its version, its thresholds and one way to ask it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from masu.drafts.model import version_of
from masu.errors import bad_input, listed
from masu.model_path import model_file
from masu.ranges import IMAGE_SIZE
from masu.runtime import ENGINES, Model
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold
from masu.way import refuse_other_size

Array = np.ndarray[Any, Any]

_WARMING = (320, 320)  # pixels of a picture that nobody sees


class Predicts(Protocol):
    """What is asked: an open detector, or an exported file."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Scores from which to show detections, by class."""

    def predict(
        self, images: Any, threshold: Threshold | None = None, batch_size: int = 1, *, margins: bool = False
    ) -> Any:
        """What is found in images."""


Given = str | os.PathLike[str] | Predicts
"""A path, or what is open."""


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in one picture, best score first.

    Attributes:
        size: height and width of the picture.
        boxes: ``(k, 4)`` float32 x1 y1 x2 y2 in its pixels.
        scores: ``(k,)`` float32.
        labels: ``(k,)`` int64.
        names: ``k`` class names.
    """

    size: tuple[int, int]
    boxes: Array
    scores: Array
    labels: Array
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Served:
    """A model under its name; any number of threads may ask it.

    Attributes:
        name: in addresses and answers.
        version: the name of its file and the start of its checksum.
        network: what is asked.
        threshold: where a request names none.
    """

    name: str
    version: str
    network: Predicts
    threshold: Threshold

    @property
    def names(self) -> tuple[str, ...]:
        """Class names; labels index them."""
        return self.network.names

    @property
    def thresholds(self) -> dict[str, float]:
        """The score of each class from which it is shown."""
        if isinstance(self.threshold, Mapping):
            return {name: self.threshold.get(name, DEFAULT_THRESHOLD) for name in self.names}
        return dict.fromkeys(self.names, float(self.threshold))

    @property
    def has_margins(self) -> bool:
        """Whether it can enlarge boxes: not where it looks otherwise than when margins were measured."""
        return not self.otherwise and bool(self.measured("margins"))

    @property
    def otherwise(self) -> str:
        """How :meth:`measured` was measured where the model looks otherwise now; else empty."""
        otherwise: str = getattr(self.network, "otherwise", "")
        return otherwise

    def measured(self, what: str) -> Mapping[str, float]:
        """What the model carries of single classes: its ``"thresholds"`` or its ``"margins"``."""
        said = getattr(self.network, "description", self.network)
        measured: Mapping[str, float] = getattr(said, what, {})
        return measured

    def find(self, picture: Array, threshold: Threshold | None = None, margins: bool = False) -> Found:
        """What is in a picture.

        Args:
            picture: ``(H, W, 3)`` uint8.
            threshold: smallest score; None: :attr:`threshold`.
            margins: enlarge boxes by the model's margins.

        Raises:
            InputError: a threshold out of range or of an unknown class, margins that the model lacks.
        """
        (found,) = self.network.predict(
            [picture], self.threshold if threshold is None else threshold, margins=margins
        )
        boxes, scores, labels = (np.asarray(one) for one in (found.boxes, found.scores, found.labels))
        return Found((picture.shape[0], picture.shape[1]), boxes, scores, labels, tuple(found.names))


def opened(
    models: Given | Sequence[Given] | Mapping[str, Given],
    *,
    threshold: Threshold | None = None,
    image_size: int | None = None,
    tta: bool = False,
    device: str = "cpu",
    trust_code: bool = False,
) -> tuple[Served, ...]:
    """Models, each open, under a name of its own and warm.

    Args:
        models: paths of models of masu, of exported files or of runs, or open detectors; several in a list,
            or by name, which ``cells=PATH`` gives as well.
        threshold: smallest score where a request names none; None: the model's own, 0.5 for a class without.
        image_size: shorter side that networks are to see, in pixels; None: the model's own.
        tta: look at every picture mirrored, too.
        device: of models of masu.
        trust_code: open ``.pt2`` files, which can run any code.

    Raises:
        TypeError: with ``image_size`` or ``tta``, for what is open and no detector of masu.
        InputError: no model, two of one name, a file that cannot be opened, a threshold or size out of range,
            another size than that of an exported file, a model of other images than RGB photographs.
    """
    if image_size is not None:
        IMAGE_SIZE.check("image_size", image_size)
    named = _named(models)
    if not named:
        raise bad_input("models", "none", "one to serve")
    made = [_opened(name, one, threshold, image_size, tta, device, trust_code) for name, one in named]
    names = [one.name for one in made]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        fix = "name them: cells=runs/a/best.safetensors, or in Python {'cells': …}"
        raise bad_input("models", f"{listed(twice)} twice", "a name of its own for each", fix)
    for one in made:
        one.find(np.zeros((*_WARMING, 3), np.uint8))
    return tuple(made)


def _named(models: Given | Sequence[Given] | Mapping[str, Given]) -> list[tuple[str | None, Given]]:
    """Models, with the names that they were given; ``cells=PATH`` has one where no file is called so."""
    if isinstance(models, Mapping):
        return list(models.items())
    several = list(models) if isinstance(models, Sequence) and not isinstance(models, str) else [models]
    made: list[tuple[str | None, Given]] = []
    for one in several:
        name, equals, path = one.partition("=") if isinstance(one, str) else ("", "", "")
        if isinstance(one, str) and name and equals and not os.path.exists(one):
            made.append((name, path))
        else:
            made.append((None, one))
    return made


def _opened(
    name: str | None,
    given: Given,
    threshold: Threshold | None,
    image_size: int | None,
    tta: bool,
    device: str,
    trust_code: bool,
) -> Served:
    if isinstance(given, str | os.PathLike):
        file = model_file(given)
        network = _of_file(file, device, trust_code)
        version = version_of(file)
        name = name or version.rpartition("-")[0]
    else:
        network, name = given, name or "model"
        version = name
    if not name or any(not letter.isprintable() or letter in "/\\?#%" for letter in name):
        raise bad_input("name of a model", f"{name!r:.60}", "one without / \\ ? # %, as it is in addresses")
    if _channels(network) is not None:
        found = f"one of images of {_channels(network)} channels"
        raise bad_input(f"the model {name}", found, "one of RGB photographs")
    if threshold is None:
        threshold = dict(network.thresholds) or DEFAULT_THRESHOLD
    check_threshold(threshold, network.names)
    if image_size is not None:
        network = _sized(network, image_size)
    if tta:
        network = _looking_twice(network)
    elif hasattr(network, "prediction_network"):  # its weights are looked at once, not for every picture
        network = network.prediction_network()
    return Served(name, version, network, threshold)


def _sized(network: Any, image_size: int) -> Any:
    if isinstance(network, Model):
        refuse_other_size(network.description.min_size, image_size)
        return network
    from masu.detectors.sizing import with_image_size

    return with_image_size(network, image_size)


def _looking_twice(network: Any) -> Predicts:
    if isinstance(network, Model):
        return network.with_tta()
    from masu.detectors.tta import with_tta

    return with_tta(network)


def _of_file(file: Path, device: str, trust_code: bool) -> Any:
    if file.suffix in ENGINES and device in ("auto", "cpu"):
        return Model(file)
    try:
        from masu.exports.exported import open_detector
    except ModuleNotFoundError as error:
        found = f"a model that PyTorch runs, and no package {error.name}"
        raise bad_input(file, found, "an exported file (.onnx, .xml)", "or install PyTorch") from None
    return open_detector(file, trust_code=trust_code, device=device)


def _channels(network: Any) -> int | None:
    said = getattr(network, "description", None) or getattr(network, "input", None)
    channels: int | None = getattr(said, "channels", None)
    return channels
