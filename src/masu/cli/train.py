"""``masu train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from masu import ranges
from masu.cli.notes import note, print_faults, print_result, rank
from masu.cli.options import DATA, IMAGES, form_of, json_of
from masu.cli.values import Number, Share, Time, refuse_idle
from masu.errors import bad_input
from masu.json_text import to_json


@click.command(short_help="Train a detector on labelled images.")
@DATA
@click.option("--val", type=click.Path(path_type=Path), help="Validation data. Default: a split of DATA.")
@click.option("--split", help="Split to train on. Default: train, else trainval, where DATA has them.")
@click.option("--val-split", help="Split to validate on. Default: val; without one, a fifth is held back.")
@click.option("--model", "architecture", help="Architecture, see `masu models`. Default: the small one.")
@click.option("--backbone", help="Another backbone: efficientnet_lite2, timm/NAME … Default: the model's.")
@click.option(
    "--weights",
    default="auto",
    show_default=True,
    help="auto, imagenet, none, a model file (its classes may be others) or torchvision/NAME.",
)
@click.option(
    "--frozen-stride",
    type=Number(ranges.FROZEN_STRIDE),
    help="Keep backbone stages up to this stride; 0 trains all.",
)
@click.option("--frozen-norms/--trained-norms", default=None, help="Keep or train normalisation.")
@click.option(
    "--channels", type=Number(ranges.CHANNELS), help="Images of so many channels, as they are. Default: RGB."
)
@click.option("--anchors", default="model", show_default=True, help="model, or auto: fitted to the data.")
@click.option("--box-loss", help="smooth_l1, l1, l2 or giou (FCOS: giou). Default: the architecture's.")
@click.option(
    "--epochs",
    type=Number(ranges.EPOCHS),
    help="Passes over the training images. Default: 20, or --time-budget.",
)
@click.option(
    "--time-budget", type=Time(), help="Training time such as 90s, 10m, 1h; the schedule is fitted to it."
)
@click.option("--precision", default="fp32", show_default=True, help="Of the networks: fp32, bf16 or fp16.")
@click.option(
    "--accumulate",
    type=Number(ranges.BATCH_SIZE),
    default=1,
    show_default=True,
    help="Parts of a batch, saves memory.",
)
@click.option(
    "--patience", type=Number(ranges.EPOCHS), help="Stop after so many evaluations without a better AP."
)
@click.option(
    "--batch-size",
    type=Number(ranges.BATCH_SIZE),
    default=2,
    show_default=True,
    help="Images per step, of all processes.",
)
@click.option(
    "--image-size",
    type=Number(ranges.IMAGE_SIZE),
    help="Shorter side in pixels. Default: the architecture's.",
)
@click.option("--optimizer", help="sgd or adamw. Default: the architecture's.")
@click.option(
    "--lr", type=Number(ranges.LEARNING_RATE), help="Largest learning rate. Default: the architecture's."
)
@click.option("--schedule", default="cosine", show_default=True, help="cosine, one-cycle or constant.")
@click.option("--flip-vertical", is_flag=True, help="Also flip upside down (cells, aerial pictures).")
@click.option("--no-flip", is_flag=True, help="Never flip (letters, digits, signs).")
@click.option(
    "--eval-every",
    type=Number(ranges.EPOCHS),
    default=1,
    show_default=True,
    help="Epochs between evaluations.",
)
@click.option(
    "--on-nonfinite", default="stop", show_default=True, help="stop, or skip: steps without finite loss."
)
@click.option(
    "--seed", type=Number(ranges.SEED), default=0, show_default=True, help="Start of all randomness."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run. Default: runs/train-N.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option(
    "--workers", type=Number(ranges.READERS), default=0, show_default=True, help="Processes that read ahead."
)
@click.option("--track", help="Also send the figures to tensorboard, wandb or mlflow.")
@click.option(
    "--max-bad",
    type=Share(),
    default="5%",
    show_default=True,
    help="Faulty images or objects to skip before refusing.",
)
@click.option("--strict", is_flag=True, help="Refuse at the first fault; as --max-bad 0.")
@form_of("DATA")
@IMAGES
@json_of("the result")
def train(
    data: Path,
    val: Path | None,
    split: str | None,
    val_split: str | None,
    architecture: str | None,
    backbone: str | None,
    weights: str,
    frozen_stride: int | None,
    frozen_norms: bool | None,
    channels: int | None,
    anchors: Any,
    box_loss: str | None,
    epochs: int | None,
    time_budget: float | None,
    precision: Any,
    accumulate: int,
    patience: int | None,
    batch_size: int,
    image_size: int | None,
    optimizer: Any,
    lr: float | None,
    schedule: Any,
    flip_vertical: bool,
    no_flip: bool,
    eval_every: int,
    on_nonfinite: Any,
    seed: int,
    out: Path | None,
    resume: bool,
    workers: int,
    track: Any,
    max_bad: float,
    strict: bool,
    form: str | None,
    images: Path | None,
    as_json: bool,
) -> int:
    """Train a detector on DATA: Pascal VOC, COCO, YOLO, CSV, LabelMe or a folder with metadata.jsonl."""
    from masu.data.loading.transforms import Augmentation
    from masu.detectors.zoo import DEFAULT
    from masu.terminal import TrainingDisplay, counter
    from masu.training.recipe import TrainSettings
    from masu.training.tracking import Tracking, check_tracker
    from masu.training.train import train as run
    from masu.verbs.reading import training_and_validation
    from masu.verbs.train import prepared

    if strict:
        refuse_idle("--max-bad", "together with --strict, which decides", "one of them")
    if no_flip and flip_vertical:
        raise bad_input("--flip-vertical", "together with --no-flip", "one of them", code="unknown-name")
    settings = TrainSettings(
        architecture=architecture or DEFAULT,
        backbone=backbone,
        weights=weights,
        frozen_stride=frozen_stride,
        frozen_norms=frozen_norms,
        channels=channels,
        anchors=anchors,
        box_loss=box_loss,
        image_size=image_size,
        epochs=epochs,
        time_budget=time_budget,
        precision=precision,
        accumulate=accumulate,
        patience=patience,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=lr,
        schedule=schedule,
        augmentation=Augmentation(
            horizontal_flip=0.0 if no_flip else 0.5, vertical_flip=0.5 if flip_vertical else 0.0
        ),
        evaluate_every=eval_every,
        on_nonfinite=on_nonfinite,
        seed=seed,
    )
    check_tracker(track)
    out = prepared(settings, out, resume)
    most_bad = 0.0 if strict else max_bad
    training, validation = training_and_validation(
        data,
        split,
        val,
        val_split,
        seed=seed,
        form=form,
        images=images,
        max_bad=most_bad,
        channels=channels,
        counter=counter,
        tell=note,
    )
    print_faults(training, validation)
    classes = ", ".join(training.names[:8]) + (" …" if len(training.names) > 8 else "")
    note(
        f"{len(training)} training and {len(validation)} validation images, "
        f"{len(training.names)} classes: {classes}"
    )
    with TrainingDisplay() as display, Tracking(track, out, display.report) as tracking:
        result = run(
            training,
            validation,
            settings,
            out,
            report=tracking.report,
            resume=resume,
            workers=workers,
            max_bad=most_bad,
        )
    if result.interrupted:
        note(
            f"stopped; {result.last} holds what was learnt. "
            f"Go on with the same command plus --out {out} --resume"
        )
        return 130
    note(f"{result.best} after {result.seconds:.0f} s of training; open {out / 'report.html'}")
    best = max(result.history, key=lambda row: row.get("ap") or row.get("ar100") or -1.0)
    if as_json and not rank():
        print_result(
            to_json(
                {
                    "best": str(result.best),
                    "seconds": result.seconds,
                    "split": training.split,
                    "val_split": validation.split,
                    **best,
                }
            )
        )
    return 0
