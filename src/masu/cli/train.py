"""``masu train``."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from masu import __version__, ranges
from masu.cli.config import as_toml, read_config
from masu.cli.exit_codes import DONE, STOPPED
from masu.cli.grammar import Decorator, option, section, verb
from masu.cli.notes import detail, note, print_faults, quiet, rank, working
from masu.cli.options import ARCHITECTURE, DATA, DEVICE, form_of, images_of, json_of
from masu.cli.schema import print_json
from masu.cli.values import ImageSize, Number, Share, Span, Time, Word, refuse_idle
from masu.errors import bad_input, counted
from masu.words import ANCHORS, BOX_LOSSES, ON_NONFINITE, OPTIMIZERS, PRECISIONS, SCHEDULES, STARTS, TRACKERS

if TYPE_CHECKING:
    from masu.training.recipe import TrainSettings


def _number(name: str, span: ranges.Range, said: str, default: float | None = None, *names: str) -> Decorator:
    return option(
        name, *names, type=Number(span), default=default, show_default=default is not None, help=said
    )


def _word(name: str, words: tuple[str, ...], said: str, default: str | None = None) -> Decorator:
    return option(name, type=Word(words), default=default, show_default=default is not None, help=said)


@verb(short_help="Train a detector on labelled images.")
@DATA
@option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=read_config,
    help="TOML file of these options, such as RUN/config.toml; the command line wins.",
)
@section("Data")
@option("--val", type=click.Path(path_type=Path), help="Validation data. Default: a split of DATA.")
@option("--split", help="Split to train on. Default: train, else trainval, where DATA has them.")
@option("--val-split", help="Split to validate on. Default: val; without one, a fifth is held back.")
@form_of("DATA")
@images_of("DATA and --val")
@option(
    "--max-bad",
    type=Share(),
    default="5%",
    show_default=True,
    help="Faulty images or objects to skip before refusing.",
)
@option("--strict", is_flag=True, help="Refuse at the first fault; as --max-bad 0.")
@option("--balance", is_flag=True, help="Show images with rare classes more often.")
@section("Model")
@ARCHITECTURE
@option("--backbone", help="Another backbone: efficientnet_lite2, timm/NAME … Default: the model's.")
@option(
    "--weights",
    default="auto",
    show_default=True,
    help="auto, imagenet, none, a model file (its classes may be others) or torchvision/NAME.",
)
@option(
    "--image-size",
    type=ImageSize(),
    help="Shorter side in pixels; auto: larger for small objects. Default: the architecture's, or a tile's.",
)
@_number("--tiles", ranges.TILE_SIDE, "Cut larger pictures into squares of so many pixels a side.")
@_number("--overlap", ranges.OVERLAP, "Share of a tile that the next one has too.", 0.2)
@_number("--channels", ranges.CHANNELS, "Images of so many channels, as they are. Default: RGB.")
@_word("--anchors", ANCHORS, "auto: fitted to the data.", "model")
@_word("--box-loss", BOX_LOSSES, "Default: the architecture's; FCOS has giou alone.")
@_number("--frozen-stride", ranges.FROZEN_STRIDE, "Keep backbone stages up to this stride; 0 trains all.")
@option("--frozen-norms/--trained-norms", default=None, help="Keep or train normalisation.")
@section("Schedule")
@_number("--epochs", ranges.EPOCHS, "Passes over the training images. Default: 20, or --time-budget.")
@option(
    "--time-budget", type=Time(), help="Training time such as 90s, 10m, 1h; the schedule is fitted to it."
)
@_number("--batch-size", ranges.BATCH_SIZE, "Images per step, of all processes.", 2)
@_number("--accumulate", ranges.BATCH_SIZE, "Parts of a batch, saves memory.", 1)
@_word("--optimizer", OPTIMIZERS, "Default: the architecture's.")
@_number(
    "--lr", ranges.LEARNING_RATE, "Largest learning rate. Default: the architecture's.", None, "learning_rate"
)
@_word("--schedule", SCHEDULES, "Of the learning rate.", "cosine")
@_number("--warmup-steps", ranges.STEPS, "Steps over which the learning rate rises.", 100)
@_number("--weight-decay", ranges.WEIGHT_DECAY, "Default: 0.0001 (sgd), 0.05 (adamw).")
@_number("--clip-norm", ranges.CLIP_NORM, "Largest norm of a step's gradient.", 10.0)
@_number(
    "--average",
    ranges.SHARE,
    "Old weights' share of their average. Default: the architecture's.",
)
@_word("--precision", PRECISIONS, "Of the networks; auto: bf16 where the device has it.", "fp32")
@_word("--on-nonfinite", ON_NONFINITE, "What a step without finite loss does.", "stop")
@_number(
    "--eval-every",
    ranges.EPOCHS,
    "Epochs between evaluations. Default: at most 20 in a run.",
    None,
    "evaluate_every",
)
@_number("--patience", ranges.EPOCHS, "Stop after so many evaluations without a better AP.")
@_number("--seed", ranges.SEED, "Start of all randomness.", 0)
@section("Variation of the images")
@option("--no-flip", is_flag=True, help="Never flip (letters, digits, signs); as --horizontal-flip 0.")
@option(
    "--flip-vertical",
    is_flag=True,
    help="Also flip upside down (cells, aerial pictures); as --vertical-flip 0.5.",
)
@_number("--horizontal-flip", ranges.SHARE, "Share of the images that are mirrored.", 0.5)
@_number("--vertical-flip", ranges.SHARE, "Share of the images that are turned upside down.", 0.0)
@_number("--photometric", ranges.SHARE, "Share of the images whose colours and brightness change.", 0.5)
@option("--scale", type=Span(), default="0.75..1.33", show_default=True, help="Smallest and largest zoom.")
@_number("--grow-from", ranges.GROWN, "Share of the image size to begin with. Default: the architecture's.")
@option(
    "--size-range",
    type=Span(),
    default="1..1",
    show_default=True,
    help="Smallest and largest share of the image size, drawn for every step.",
)
@section("Run")
@option("--out", type=click.Path(path_type=Path), help="Folder of the run. Default: runs/train-N.")
@option("--resume", is_flag=True, help="Go on with the run in --out; one that is finished is left as it is.")
@option("--keep-checkpoint", is_flag=True, help="Keep what --resume needs when the training is finished.")
@DEVICE
@_number("--workers", ranges.READERS, "Processes that read ahead.", 0)
@option("--log-to", old="--track", type=Word(TRACKERS), help="Also send the figures there.")
@json_of("the result")
def train(
    data: Path,
    val: Path | None,
    split: str | None,
    val_split: str | None,
    form: str | None,
    images: Path | None,
    max_bad: float,
    strict: bool,
    no_flip: bool,
    flip_vertical: bool,
    out: Path | None,
    resume: bool,
    keep_checkpoint: bool,
    device: str,
    workers: int,
    log_to: Any,
    as_json: bool,
    **values: Any,
) -> int:
    """Train a detector on DATA, labelled images of any format that masu reads.

    RUN/config.toml, which every run writes, gives the same run again: masu train --config RUN/config.toml
    """
    from masu.detectors.zoo import DEFAULT
    from masu.terminal import TrainingDisplay
    from masu.training.tracking import Tracking, check_tracker
    from masu.training.train import train as run
    from masu.verbs.reading import training_and_validation
    from masu.verbs.train import prepared

    if strict:
        refuse_idle("--max-bad", "together with --strict, which decides", "one of them")
        max_bad = 0.0
    if no_flip and flip_vertical:
        raise bad_input("--flip-vertical", "together with --no-flip", "one of them")
    if no_flip:
        refuse_idle("--horizontal-flip", "together with --no-flip, which decides", "one of them")
        values["horizontal_flip"] = 0.0
    if flip_vertical:
        refuse_idle("--vertical-flip", "together with --flip-vertical, which decides", "one of them")
        values["vertical_flip"] = 0.5
    if values["tiles"] is None:
        refuse_idle("--overlap", "without --tiles, which it is about", "both")
    settings = _settings(values | {"architecture": values["architecture"] or DEFAULT})
    for name, value in settings.resolved().described().items():
        detail(f"{name}: {value}")
    check_tracker(log_to)
    out = prepared(settings, out, resume, device)
    beside = {
        "data": data,
        "val": val,
        "split": split,
        "val_split": val_split,
        "form": form,
        "images": images,
        "max_bad": max_bad,
        "keep_checkpoint": keep_checkpoint,
        "device": device,
        "workers": workers,
        "log_to": log_to,
    }
    config = _config(settings, beside)
    training, validation = training_and_validation(
        data,
        split,
        val,
        val_split,
        seed=settings.seed,
        form=form,
        images=images,
        max_bad=max_bad,
        channels=settings.channels,
        counter=working,
        tell=note,
    )
    print_faults(training, validation)
    classes = ", ".join(training.names[:8]) + (" …" if len(training.names) > 8 else "")
    note(
        f"{len(training)} training and {counted(len(validation), 'validation image')}, "
        f"{counted(len(training.names), 'class', 'classes')}: {classes}"
    )
    with TrainingDisplay(quiet=quiet()) as display, Tracking(log_to, out, display.report) as tracking:
        result = run(
            training,
            validation,
            settings,
            out,
            report=tracking.report,
            resume=resume,
            workers=workers,
            max_bad=max_bad,
            device=device,
            more={"config.toml": config},
            keep_checkpoint=keep_checkpoint,
        )
    if result.interrupted:
        note(
            f"stopped; {result.last} holds what was learnt. "
            f"Go on with the same command plus --out {out} --resume"
        )
        return STOPPED
    note(f"{result.best} after {result.seconds:.0f} s of training; open {out / 'report.html'}")
    best = max(result.history, key=lambda row: row.get("ap") or row.get("ar100") or -1.0)
    if as_json and not rank():
        print_json(
            "train",
            {
                **best,
                "best": str(result.best),
                "seconds": result.seconds,
                "split": training.split,
                "val_split": validation.split,
            },
        )
    return DONE


def _settings(values: dict[str, Any]) -> TrainSettings:
    """The settings of the options, whose names are those of the fields."""
    from masu.data.loading.transforms import Augmentation
    from masu.training.recipe import TrainSettings

    varied = {one.name: values.pop(one.name) for one in fields(Augmentation)}
    return TrainSettings(**values, augmentation=Augmentation(**varied))


def _config(settings: TrainSettings, beside: dict[str, Any]) -> str:
    """The text of ``RUN/config.toml``: every option by its name, with what the architecture decided."""
    values = settings.resolved().described()
    values |= beside | values.pop("augmentation")
    named = settings.weights in STARTS or settings.weights.startswith("torchvision/")
    for name in ("data", "val", "images", *(() if named else ("weights",))):
        if values[name] is not None:
            path = os.fspath(values[name])
            values[name] = os.path.abspath(path) if os.path.exists(path) else path
    spelt = {one.name: one.opts[0].removeprefix("--") for one in click.get_current_context().command.params}
    spoken = {spelt[name]: value for name, value in values.items() if name in spelt}
    return as_toml(spoken, f"masu {__version__}; the same run again: masu train --config THIS_FILE")
