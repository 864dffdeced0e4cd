"""How to train, as one plain dataclass, and what follows from it: optimizer, learning rate, image size."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

import torch

from masu import ranges
from masu.data.loading.callables import variation
from masu.data.loading.transforms import Augmentation
from masu.detectors.box_loss import NAMES as BOX_LOSSES
from masu.detectors.detector import Detector
from masu.detectors.zoo import ARCHITECTURES, DEFAULT, SMALL
from masu.devices import FUSED
from masu.errors import bad_input, counted
from masu.ops.images import InputPolicy
from masu.tiles import Tiles
from masu.words import Anchors, ImageSize, OnNonfinite, OptimizerName, Precision, Schedule

EPOCHS = 20
"""Passes over the data where neither epochs nor a time budget are given."""

EVALUATIONS = 20
"""Evaluations in a training, at most, where nothing else was asked for."""

GROWN_AT = 0.7
"""Share of the training after which images have their full size."""

SPARE = 1.5
"""Photographs are read with so many times the pixels that the network sees: it shrinks them without a filter,
in training as in prediction, and what it sees should not be smoother here than there."""

SIZE_STEP = 32
"""Pixels; image sizes in training are multiples of this, so that few shapes occur."""


@dataclass(frozen=True)
class TrainSettings:
    """How to train; written to ``RUN/settings.json`` with every None resolved that the architecture decides.

    Attributes:
        architecture: a name that ``masu models`` lists.
        weights: where to start: ``"auto"``, ``"imagenet"``, ``"none"`` (see :func:`masu.build`), a model file
            of masu or ``torchvision/NAME``. Of a model with other classes everything is taken over that
            fits, classes by their names.
        backbone: another backbone, see :func:`masu.nets.backbones.backbone`; None: the architecture's own.
        frozen_stride: backbone stages whose maps have at most this stride are not trained; None: the
            architecture's own with pretrained weights, else 0.
        frozen_norms: keep the backbone's normalisation constant; None: with pretrained weights.
        channels: None: RGB photographs. A number: images of so many channels, mean and deviation measured
            from the data.
        image_size: shorter side in pixels that the network sees; None: the architecture's own, or that of a
            tile; ``"auto"``: more where the objects are small (:mod:`masu.training.image_size`).
        tiles: side in pixels of the squares that larger pictures are cut into, see
            :mod:`masu.data.loading.crops`; stored in the model, which finds objects in tiles then. None: no
            picture is cut.
        overlap: share of its side that a tile has in common with the next one when objects are found.
        anchors: ``"model"``: the architecture's own; ``"auto"``: sizes and ratios fitted to the data.
        box_loss: ``smooth_l1``, ``l1``, ``l2`` or ``giou``; None: the architecture's own.
        epochs: passes over the training images; None: 20, or as many as the time budget allows.
        time_budget: seconds of training, evaluation not counted, to which the schedule is fitted.
        batch_size: images per step.
        precision: what the networks compute in while training: ``"fp32"``, ``"bf16"``, ``"fp16"``, or
            ``"auto"``: bf16 where the device has instructions for it. Weights, boxes, losses and evaluation
            are fp32 in any case.
        accumulate: parts into which a batch is cut to save memory; their gradients are added up.
        optimizer: ``"sgd"`` with momentum 0.9, or ``"adamw"``; None: the architecture's own.
        learning_rate: largest learning rate; None: the architecture's own.
        weight_decay: pull of the weights towards zero; None: 1e-4 (SGD), 0.05 (AdamW).
        schedule: ``"cosine"`` down to zero or ``"constant"``, both after the warm-up; ``"one-cycle"``: up
            over the first quarter, then down by a cosine.
        warmup_steps: steps over which the learning rate rises from zero, at most a tenth of the run.
        average: share of the old weights in the running average of weights that is evaluated and saved; 0
            evaluates and saves the weights themselves.
        clip_norm: largest norm of a step's gradient.
        grow_from: images are at first this share of their full size and grow until 70 % of the training;
            1 trains at full size throughout.
        size_range: smallest and largest share of that size, drawn anew for every step.
        balance: show images with rare classes more than once in an epoch, see
            :mod:`masu.data.loading.repeats`.
        augmentation: random changes of the training images: an ``Augmentation``; any callable ``(image,
            target) -> (image, target)`` on a tensor ``(C, H, W)`` and a :class:`masu.Target`; a transform of
            ``torchvision.transforms.v2``; or a ``Compose`` of albumentations. None: no changes.
        evaluate_every: epochs between evaluations on the validation images; None: at the end of an epoch,
            but at most 20 in a run, so that few images are not evaluated more than they are trained on. The
            last epoch always is one.
        patience: evaluations without a better AP after which training stops; None: never.
        on_nonfinite: what a loss or gradient that is not finite does: ``"stop"`` the training, or ``"skip"``
            the step.
        seed: start of all randomness.
    """

    architecture: str = DEFAULT
    weights: str = "auto"
    backbone: str | None = None
    frozen_stride: int | None = None
    frozen_norms: bool | None = None
    channels: int | None = None
    image_size: int | ImageSize | None = None
    tiles: int | None = None
    overlap: float = Tiles.overlap
    anchors: Anchors = "model"
    box_loss: str | None = None
    epochs: int | None = None
    time_budget: float | None = None
    batch_size: int = 2
    precision: Precision = "fp32"
    accumulate: int = 1
    optimizer: OptimizerName | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    schedule: Schedule = "cosine"
    warmup_steps: int = 100
    average: float | None = None
    clip_norm: float = 10.0
    grow_from: float | None = None
    size_range: tuple[float, float] = (1.0, 1.0)
    balance: bool = False
    augmentation: Augmentation | Callable[..., Any] | None = field(default_factory=Augmentation)
    evaluate_every: int | None = None
    patience: int | None = None
    on_nonfinite: OnNonfinite = "stop"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            wanted = f"one of {', '.join(ARCHITECTURES)}"
            raise bad_input("--architecture", f"{self.architecture!r}", wanted, code="unknown-name")
        for option, value, span in (
            ("--epochs", self.epochs, ranges.EPOCHS),
            ("--eval-every", self.evaluate_every, ranges.EPOCHS),
            ("--patience", self.patience, ranges.EPOCHS),
            ("--batch-size", self.batch_size, ranges.BATCH_SIZE),
            ("--accumulate", self.accumulate, ranges.BATCH_SIZE),
            ("--channels", self.channels, ranges.CHANNELS),
            ("--image-size", None if self.image_size == "auto" else self.image_size, ranges.IMAGE_SIZE),
            ("--tiles", self.tiles, ranges.TILE_SIDE),
            ("--overlap", self.overlap, ranges.OVERLAP),
            ("--frozen-stride", self.frozen_stride, ranges.FROZEN_STRIDE),
            ("--lr", self.learning_rate, ranges.LEARNING_RATE),
            ("--time-budget", self.time_budget, ranges.SECONDS),
            ("--seed", self.seed, ranges.SEED),
            ("--weight-decay", self.weight_decay, ranges.WEIGHT_DECAY),
            ("--warmup-steps", self.warmup_steps, ranges.STEPS),
            ("--clip-norm", self.clip_norm, ranges.CLIP_NORM),
        ):
            if value is not None:
                span.check(option, value)
        if self.image_size == "auto" and self.tiles is not None:
            found, fix = "auto together with --tiles", "leave it out: a tile is seen at its own size"
            raise bad_input("--image-size", found, "a number", fix)
        if self.accumulate > self.batch_size:
            raise bad_input(
                "--accumulate",
                f"{self.accumulate} parts of a batch of {counted(self.batch_size, 'image')}",
                f"at most {self.batch_size}",
                "lower it, or raise --batch-size",
            )
        for name, kinds in (
            ("optimizer", OptimizerName),
            ("schedule", Schedule),
            ("anchors", Anchors),
            ("precision", Precision),
            ("on_nonfinite", OnNonfinite),
        ):
            value = getattr(self, name)
            if value is not None and value not in get_args(kinds):
                option, wanted = f"--{name.replace('_', '-')}", " or ".join(get_args(kinds))
                raise bad_input(option, f"{value!r}", wanted, code="unknown-name")
        if self.box_loss is not None and self.box_loss not in BOX_LOSSES:
            raise bad_input(
                "--box-loss", f"{self.box_loss!r}", f"one of {', '.join(BOX_LOSSES)}", code="unknown-name"
            )
        if self.weights == "none" and (self.frozen_stride or self.frozen_norms):
            option = "--frozen-stride" if self.frozen_stride else "--frozen-norms"
            raise bad_input(option, "with --weights none", "trained weights to keep", "leave it out")
        if self.average is not None and not 0 <= self.average < 1:
            raise bad_input("--average", f"{self.average}", "a number from 0 and below 1")
        if self.grow_from is not None and not 0 < self.grow_from <= 1:
            raise bad_input("--grow-from", f"{self.grow_from}", "a number above 0 and at most 1")
        object.__setattr__(self, "size_range", tuple(self.size_range))
        if not 0 < self.size_range[0] <= self.size_range[1]:
            raise bad_input("--size-range", f"{self.size_range}", "two rising numbers above 0")
        if self.augmentation is not None:
            variation(self.augmentation)  # refuses what is none

    @property
    def tiling(self) -> Tiles | None:
        """How pictures are cut, as the model has it."""
        return None if self.tiles is None else Tiles(self.tiles, self.overlap)

    def described(self) -> dict[str, Any]:
        """The settings as JSON has them; an augmentation of the user's own by its name and ``repr``."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        given = self.augmentation
        return said | {"augmentation": None if given is None else variation(given).described()}

    def resolved(self) -> TrainSettings:
        """The same with each None replaced by what the architecture says."""
        small = self.architecture in SMALL
        optimizer = self.optimizer or ("adamw" if small else "sgd")
        if optimizer == "adamw":
            rate, decay = (5e-4 if small else 2e-4), 0.05
        else:
            rate, decay = (0.004 if small else 0.00125) * self.batch_size, 1e-4
        return replace(
            self,
            optimizer=optimizer,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            weight_decay=decay if self.weight_decay is None else self.weight_decay,
            epochs=EPOCHS if self.epochs is None and self.time_budget is None else self.epochs,
            average=(0.98 if small else 0.0) if self.average is None else self.average,
            grow_from=(0.6 if small else 1.0) if self.grow_from is None else self.grow_from,
        )


def settings_of_run(file: Path) -> TrainSettings:
    """The settings of a run's ``settings.json``; an augmentation of the user's own becomes masu's default.

    Raises:
        InputError: for a file that is none, or settings that this masu does not understand.
    """
    known = {one.name for one in fields(TrainSettings)}
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        own = {name: value for name, value in said.items() if name in known}
        drawn = own.pop("augmentation")
        if drawn is None or set(drawn) == {one.name for one in fields(Augmentation)}:
            own["augmentation"] = None if drawn is None else Augmentation(**drawn)
        return TrainSettings(**own)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        found = f"settings that cannot be read ({error})"
        raise bad_input(file, found, "those of a run", "name another run") from None


def progress(settings: TrainSettings, step: int, steps_per_epoch: int, seconds: float) -> float:
    """Share of the training that is done, by steps or by the clock, whichever is further."""
    by_steps = 0.0 if settings.epochs is None else step / (settings.epochs * steps_per_epoch)
    by_clock = 0.0 if settings.time_budget is None else seconds / settings.time_budget
    return max(by_steps, by_clock)


def evaluates(settings: TrainSettings, epoch: int, begun: float, done: float) -> bool:
    """Whether an epoch ends with an evaluation.

    Args:
        settings: resolved ones.
        epoch: its number, from 0.
        begun: share of the training before it.
        done: share of the training after it.
    """
    if done >= 1:
        return True
    if settings.evaluate_every is not None:
        return (epoch + 1) % settings.evaluate_every == 0
    past, now = (int(EVALUATIONS * share + 1e-9) for share in (begun, done))
    return now > past


def learning_rate(settings: TrainSettings, step: int, done: float) -> float:
    """Learning rate of a step.

    Args:
        settings: resolved ones.
        step: its number, from 0.
        done: share of the training before it.
    """
    assert settings.learning_rate is not None
    return settings.learning_rate * _warmup(settings, step, done) * _factor(settings.schedule, done)


def _warmup(settings: TrainSettings, step: int, done: float) -> float:
    """Linear rise (Goyal et al. 2017) over ``warmup_steps``, at most a tenth of the training."""
    return min(1.0, max((step + 1) / max(settings.warmup_steps, 1), 10 * done))


def _factor(schedule: Schedule, done: float) -> float:
    """Share of the largest learning rate (cosine: Loshchilov & Hutter 2017; one cycle: Smith 2018)."""
    if schedule == "constant":
        return 1.0
    if schedule == "one-cycle":
        rise = 0.25
        if done < rise:
            return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * done / rise))
        done = (done - rise) / (1 - rise)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def step_policy(settings: TrainSettings, policy: InputPolicy, done: float, draw: float) -> InputPolicy:
    """How the images of a step are brought to the network.

    Small images first cost less and teach the coarse things (Howard et al. 2018; Tan & Le 2021).

    Args:
        settings: resolved ones.
        policy: the model's own.
        done: share of the training before the step.
        draw: random number in 0..1.
    """
    assert settings.grow_from is not None
    smallest, largest = settings.size_range
    grown = 1 - (1 - settings.grow_from) * (1 - min(done / GROWN_AT, 1.0))  # exactly 1 at the end
    share = grown * (smallest + (largest - smallest) * draw)
    if share == 1.0:
        return policy
    size = max(round(policy.min_size * share / SIZE_STEP), 1) * SIZE_STEP
    return policy.of_size(size)


def read_at(settings: TrainSettings, policy: InputPolicy) -> int | None:
    """Pixels that the shorter side of a photograph needs, enlarged parts included; None: all that it has."""
    given = settings.augmentation
    enlarged = 1.0 if given is None else variation(given).enlarges
    if enlarged is None:
        return None
    return math.ceil(SPARE * policy.min_size * max(settings.size_range[1], 1.0) * enlarged)


def make_optimizer(detector: Detector, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimizer over all parameters that are trained, for resolved settings."""
    trained = [p for p in detector.parameters() if p.requires_grad]
    assert settings.weight_decay is not None
    if settings.optimizer == "adamw":
        fused = all(p.device.type in FUSED for p in trained)
        return torch.optim.AdamW(trained, lr=0.0, weight_decay=settings.weight_decay, fused=fused)
    return torch.optim.SGD(trained, lr=0.0, momentum=0.9, weight_decay=settings.weight_decay)
