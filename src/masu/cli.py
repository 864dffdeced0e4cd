"""The command line: parse, call a verb, print. PyTorch is imported only by the verbs that need it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from masu import __version__
from masu.errors import InputError, listed

if TYPE_CHECKING:
    from masu.data.formats import Dataset

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main() -> NoReturn:
    """Run ``masu``; bad input gives one line on stderr and exit code 2."""
    try:
        sys.exit(cli.main(prog_name="masu", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "masu"
        _fail(f"{error.format_message()} See '{command} --help'.")
    except (click.Abort, KeyboardInterrupt):
        click.echo("masu: stopped", err=True)
        sys.exit(130)
    except (InputError, OSError) as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    who = f" in process {_rank()}" if _rank() else ""
    click.echo(f"masu: error{who}: {' '.join(message.split())}", err=True)
    sys.exit(2)


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, message="masu %(version)s")
def cli() -> None:
    """Train, explain and ship object detectors on the computer you have.

    Start with `masu demo`, or with your own labelled photographs: `masu train PHOTOS`.
    """


@cli.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--val", type=click.Path(path_type=Path), help="Validation data. Default: a split of DATA.")
@click.option("--split", help="Split to train on. Default: train, where DATA has splits.")
@click.option("--val-split", help="Split to validate on. Default: val; without one, a fifth is held back.")
@click.option("--model", "architecture", help="Architecture, see `masu models`. Default: the small one.")
@click.option("--backbone", help="Another backbone: efficientnet_lite2, timm/NAME … Default: the model's.")
@click.option(
    "--weights",
    default="auto",
    show_default=True,
    help="auto, imagenet, none, a model file (its classes may be others) or torchvision/NAME.",
)
@click.option("--frozen-stride", type=int, help="Keep backbone stages up to this stride; 0 trains all.")
@click.option("--frozen-norms/--trained-norms", default=None, help="Keep or train normalisation.")
@click.option("--channels", type=int, help="Images of so many channels, as they are. Default: RGB.")
@click.option("--anchors", default="model", show_default=True, help="model, or auto: fitted to the data.")
@click.option("--box-loss", help="smooth_l1, l1, l2 or giou. Default: the architecture's.")
@click.option("--epochs", type=int, help="Passes over the training images. Default: 20, or --time-budget.")
@click.option("--time-budget", help="Training time such as 90s, 10m, 1h; the schedule is fitted to it.")
@click.option("--precision", default="fp32", show_default=True, help="Of the networks: fp32, bf16 or fp16.")
@click.option("--accumulate", type=int, default=1, show_default=True, help="Parts of a batch, saves memory.")
@click.option("--patience", type=int, help="Stop after so many evaluations without a better AP.")
@click.option(
    "--batch-size", type=int, default=2, show_default=True, help="Images per step, of all processes."
)
@click.option("--image-size", type=int, help="Shorter side in pixels. Default: the architecture's.")
@click.option("--optimizer", help="sgd or adamw. Default: the architecture's.")
@click.option("--lr", type=float, help="Largest learning rate. Default: the architecture's.")
@click.option("--schedule", default="cosine", show_default=True, help="cosine, one-cycle or constant.")
@click.option("--flip-vertical", is_flag=True, help="Also flip upside down (cells, aerial pictures).")
@click.option("--no-flip", is_flag=True, help="Never flip (letters, digits, signs).")
@click.option("--eval-every", type=int, default=1, show_default=True, help="Epochs between evaluations.")
@click.option(
    "--on-nonfinite", default="stop", show_default=True, help="stop, or skip: steps without finite loss."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Start of all randomness.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run. Default: runs/train-N.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--workers", type=int, default=0, show_default=True, help="Processes that read ahead.")
@click.option("--track", help="Also send the figures to tensorboard, wandb or mlflow.")
@click.option(
    "--max-bad", default="5%", show_default=True, help="Faulty images or objects to skip before refusing."
)
@click.option("--strict", is_flag=True, help="Refuse at the first fault; as --max-bad 0.")
@click.option("--format", "form", help="Format of DATA: see `masu check --help`. Default: found by looking.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
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
    time_budget: str | None,
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
    max_bad: str,
    strict: bool,
    form: str | None,
    as_json: bool,
) -> int:
    """Train a detector on DATA: Pascal VOC, COCO, YOLO, CSV, LabelMe or a folder with metadata.jsonl."""
    from masu.data.transforms import Augmentation
    from masu.detectors.zoo import DEFAULT
    from masu.nets.imagenet import installed
    from masu.terminal import TrainingDisplay
    from masu.verbs.recipe import TrainSettings
    from masu.verbs.start import backbone_of
    from masu.verbs.tracking import Tracking
    from masu.verbs.train import train as run

    if no_flip and flip_vertical:
        raise InputError("--flip-vertical: found together with --no-flip, wanted one of them")
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
        time_budget=None if time_budget is None else _seconds(time_budget),
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
    if weights == "auto" and not installed(backbone_of(settings)):
        raise InputError(
            f"--weights: found no installed weights for {backbone_of(settings)}, wanted a choice: "
            "--weights imagenet downloads them, --weights none starts from random ones, "
            "--weights FILE from a model"
        )
    if out is None:
        if resume:
            raise InputError("--resume: found no --out, wanted the folder of the run to go on with")
        out = next(p for i in range(1, 10_000) if not (p := Path(f"runs/train-{i}")).exists())
    training, validation = _training_data(data, split, val, val_split, seed, form)
    _print_faults(training, validation)
    classes = ", ".join(training.names[:8]) + (" …" if len(training.names) > 8 else "")
    _note(
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
            max_bad=0.0 if strict else _share(max_bad, "--max-bad"),
        )
    if result.interrupted:
        _note(
            f"stopped; {result.last} holds what was learnt. "
            f"Go on with the same command plus --out {out} --resume"
        )
        return 130
    _note(f"{result.best} after {result.seconds:.0f} s of training; open {out / 'report.html'}")
    best = max(result.history, key=lambda row: row.get("ap") or row.get("ar100") or -1.0)
    if as_json and not _rank():
        click.echo(json.dumps({"best": str(result.best), "seconds": result.seconds, **best}))
    return 0


def _training_data(
    data: Path, split: str | None, val: Path | None, val_split: str | None, seed: int, form: str | None
) -> tuple[Dataset, Dataset]:
    from masu.data.formats import read_dataset, splits

    known = splits(data, form)
    training = read_dataset(data, split or ("train" if "train" in known else None), form=form)
    if val is not None:
        return training, read_dataset(val, val_split, names=training.names)
    chosen = val_split or next((name for name in ("val", "valid", "validation") if name in known), None)
    if chosen is not None:
        return training, read_dataset(data, chosen, names=training.names, form=form)
    import torch

    if len(training) < 2:
        raise InputError(
            f"{data}: found {len(training)} image, wanted at least 2, one of them for validation"
        )
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(seed)).tolist()
    held = max(len(training) // 5, 1)
    _note(f"{data}: no validation split, {held} of {len(training)} images are held back for it")
    return training.take(sorted(order[held:])), training.take(sorted(order[:held]))


@cli.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--split", help="Split to evaluate on. Default: test, else val, where DATA has splits.")
@click.option("--batch-size", type=int, default=1, show_default=True, help="Images at once.")
@click.option(
    "--funnel",
    "with_funnel",
    is_flag=True,
    help="Also which stage lost each object; images one by one.",
)
@click.option("--format", "form", help="Format of DATA. Default: found by looking.")
@click.option("--report", "page", type=click.Path(path_type=Path), help="Write a page about the errors.")
@click.option("--store-thresholds", is_flag=True, help="Write each class's best threshold into MODEL.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON object.")
def evaluate(
    model: Path,
    data: Path,
    split: str | None,
    batch_size: int,
    with_funnel: bool,
    form: str | None,
    page: Path | None,
    store_thresholds: bool,
    as_json: bool,
) -> int:
    """COCO AP of MODEL on DATA, over all and per class; average recall for a proposal generator.

    With --report or --store-thresholds also the threshold with the largest F1 of each class, and what kinds
    of errors are made and cost. Choose thresholds with --split val: on a test split they flatter it.
    """
    from masu.data.formats import read_dataset
    from masu.terminal import counter, print_errors, print_funnel, print_metrics
    from masu.verbs.error_page import write_page
    from masu.verbs.error_report import error_report, refuse
    from masu.verbs.evaluate import score
    from masu.verbs.exported import open_detector
    from masu.verbs.funnel import funnel
    from masu.verbs.processes import joined

    detector = open_detector(model)
    if page is not None or store_thresholds:
        refuse(detector, model, page, store_thresholds)
    chosen = _test_split(data, split, form)
    names = detector.names if detector.kind == "detector" else None
    dataset = read_dataset(data, chosen, names=names, form=form)
    _print_faults(dataset)
    size, lost = _positive(batch_size, "--batch-size"), None
    with joined() as processes, counter("evaluating") as progress:
        if not with_funnel:
            scored = score(detector, dataset, batch_size=size, progress=progress, processes=processes)
        elif processes.world > 1:
            raise InputError(f"--funnel: found {processes.world} processes, wanted one")
        else:
            lost = funnel(detector, dataset, progress=progress)
            scored = lost.scored
    if _rank():
        return 0
    for fault in scored.metrics.faults:
        _note(fault)
    report = None
    if page is not None or store_thresholds:
        # thresholds that are about to be replaced are not worth a look
        report = error_report(scored, None if store_thresholds else detector.thresholds)
    if as_json:
        figures = scored.metrics.as_dict() | ({} if report is None else report.as_dict())
        click.echo(json.dumps(figures if lost is None else figures | {"funnel": lost.as_dict()}))
    else:
        print_metrics(scored.metrics.as_dict())
        if lost is not None:
            print_funnel(lost)
        if report is not None:
            print_errors(report)
    if report is None:
        return 0
    if page is not None:
        where = f"{data.resolve().name}, split {chosen}" if chosen else data.resolve().name
        write_page(report, page, model.name, where, detector.input.channels)
        _note(f"open {page}")
    if store_thresholds:
        from masu.detectors.build import store_thresholds as store

        store(model, report.best_thresholds())
        _note(f"{model} now holds the thresholds {_scores(report.best_thresholds())}")
        if chosen not in ("val", "valid", "validation"):
            where = f"the split {chosen}" if chosen else "all of the data"
            _note(f"chosen on {where}, whose figures they flatter; --split val keeps a test split honest")
    return 0


@cli.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True)
@click.option("--threshold", type=float, help="Smallest score, 0 to 1. Default: the model's own, or 0.5.")
@click.option("--format", "form", help="json, csv, coco or parquet. Default: json; parquet with ray.")
@click.option("--out", help="Folder for results and drawn pictures; for parquet also s3://bucket/folder.")
@click.option("--batch-size", type=int, default=1, show_default=True, help="Images at once.")
@click.option(
    "--engine", default="local", show_default=True, help="local: one process. ray: many, over Ray Data."
)
@click.option("--workers", type=int, help="Processes of --engine ray. Default: one per core.")
def detect(
    model: Path,
    sources: tuple[str, ...],
    threshold: float | None,
    form: str | None,
    out: str | None,
    batch_size: int,
    engine: Any,
    workers: int | None,
) -> int:
    """Find objects in SOURCES: image files, folders, globs. Without --out the result goes to stdout.

    A model has thresholds of its own, per class, after `masu evaluate --store-thresholds`.
    --format parquet is for very many images: it goes on where it was stopped, and SOURCES may also be URLs
    such as s3://bucket/folder and lists of paths (.txt).
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"--threshold: found {threshold}, wanted a number from 0 to 1")
    _positive(batch_size, "--batch-size")
    if form == "parquet" or engine != "local":
        return _detect_bulk(model, sources, threshold, form, out, batch_size, engine, workers)
    if workers is not None:
        raise InputError("--workers: found with --engine local, wanted --engine ray; leave it out")
    from masu.terminal import counter
    from masu.verbs.detect import detect as run
    from masu.verbs.exported import open_detector

    detector = open_detector(model)
    if threshold is None and detector.thresholds:
        _note(f"the model's thresholds: {_scores(detector.thresholds)}")
    with counter("detecting") as progress:
        report = run(
            detector,
            sources,
            threshold=detector.thresholds if threshold is None else threshold,
            format=form or "json",
            out=out,
            batch_size=batch_size,
            progress=progress,
        )
    if out is None:
        click.echo(report.text, nl=False)
    else:
        _note(
            f"{report.detections} objects in {report.images} images; results in {report.file}, "
            f"pictures in {Path(out) / 'pictures'}"
        )
    for fault in report.faults:
        click.echo(f"masu: error: {fault}", err=True)
    return 2 if report.faults else 0


def _detect_bulk(
    model: Path,
    sources: tuple[str, ...],
    threshold: float | None,
    form: str | None,
    out: str | None,
    batch_size: int,
    engine: Any,
    workers: int | None,
) -> int:
    from masu.bulk.job import detect_bulk
    from masu.terminal import counter

    if form not in (None, "parquet"):
        raise InputError(f"--format: found {form} with --engine {engine}, wanted parquet; leave it out")
    if out is None:
        raise InputError("--out: found none, wanted a folder for the Parquet files, or s3://bucket/folder")
    if workers is not None:
        _positive(workers, "--workers")
    with counter("detecting") as progress:
        report = detect_bulk(
            model,
            sources,
            out,
            threshold=threshold,
            engine=engine,
            workers=workers,
            batch_size=batch_size,
            progress=progress,
        )
    resumed = f", {report.done_before} of them before" if report.done_before else ""
    _note(
        f"{report.images} images in {report.parts} parts in {report.out}{resumed}; now "
        f"{report.detections} objects found, {report.errors} images with an error in their row"
    )
    return 0


@cli.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", help="voc, yolo, labelme, coco, metadata or csv. Default: found by looking."
)
@click.option("--image-size", type=int, help="Shorter side that the network will see. Default: the model's.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page with pictures.")
@click.option("--fix", "fixed", type=click.Path(path_type=Path), help="Folder for a copy without faults.")
@click.option("--json", "as_json", is_flag=True, help="Print all findings as one JSON object.")
def check(
    data: Path, form: str | None, image_size: int | None, page: Path | None, fixed: Path | None, as_json: bool
) -> int:
    """Find the faults of DATA before training: damaged files, bad boxes, doubles, leaks between splits.

    Exit code 1 when there are errors, of which masu would leave something out or which deceive.
    """
    from masu.detectors.zoo import ARCHITECTURES, DEFAULT, pyramid_of
    from masu.terminal import counter, print_findings
    from masu.verbs.check import DataCheck, write_page

    policy = pyramid_of(ARCHITECTURES[DEFAULT]()).input
    if image_size is not None:
        policy = policy.of_size(_positive(image_size, "--image-size"))
    with counter("looking at images") as progress:
        found = DataCheck(data, form, policy, progress)
    if as_json:
        click.echo(json.dumps(found.report.as_dict()))
    else:
        print_findings(found.report)
    if page is not None:
        write_page(found.report, page)
        _note(f"open {page}")
    if fixed is not None:
        changes = found.write_mended(fixed)
        for change in changes[:20]:
            _note(change)
        more = ", 20 shown" if len(changes) > 20 else ""
        _note(f"{len(changes)} changes{more}; the mended copy and changes.json are in {fixed}")
    return 1 if found.report.errors else 0


@cli.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--model", "architecture", help="Architecture, see `masu models`. Default: the small one.")
@click.option("--split", help="Split to look at. Default: train, where DATA has splits.")
@click.option("--image-size", type=int, help="Shorter side that the network sees. Default: the model's.")
@click.option("--format", "form", help="Format of DATA. Default: found by looking.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page with pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON object.")
def anchors(
    data: Path,
    architecture: str | None,
    split: str | None,
    image_size: int | None,
    form: str | None,
    page: Path | None,
    as_json: bool,
) -> int:
    """How well a model's anchors cover the objects of DATA, and which anchors would cover them better.

    At the scale and on the grid that the network sees. `masu train --anchors auto` uses the fitted ones.
    """
    from masu.data.formats import read_dataset, splits
    from masu.detectors.zoo import DEFAULT
    from masu.terminal import print_anchors
    from masu.verbs.anchors import anchor_report, write_page

    chosen = split or ("train" if "train" in splits(data, form) else None)
    dataset = read_dataset(data, chosen, form=form)
    _print_faults(dataset)
    size = None if image_size is None else _positive(image_size, "--image-size")
    report = anchor_report(dataset, architecture or DEFAULT, size)
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        print_anchors(report)
    if page is not None:
        write_page(report, page)
        _note(f"open {page}")
    return 0


@cli.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--to", "target", required=True, help="coco, voc, yolo or csv.")
@click.option("--format", "form", help="Format of IN. Default: found by looking.")
@click.option("--split-by", help="Share all pictures out anew: 80/20 or 80/10/10 (train/val/test).")
@click.option("--seed", type=int, default=0, show_default=True, help="Of --split-by.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def convert(
    source: Path, out: Path, target: str, form: str | None, split_by: str | None, seed: int, as_json: bool
) -> int:
    """Write the data set IN anew in the folder OUT, in another format or with other splits."""
    from masu.terminal import counter
    from masu.verbs.convert import convert as run

    with counter("looking at pictures") as progress:
        done = run(source, out, target, source_form=form, split_by=split_by, seed=seed, progress=progress)
    for sentence in (*done.faults[:20], *done.lost):
        _note(sentence)
    if len(done.faults) > 20:
        _note(f"{len(done.faults)} faults in the source, 20 shown; see all with 'masu check {source}'")
    if as_json:
        click.echo(json.dumps(done.as_dict()))
    parts = ", ".join(
        f"{split} {images} images with {done.objects[split]} objects" for split, images in done.images.items()
    )
    _note(f"{done.source_format} to {done.format}: {parts}; in {out}")
    return 0


@cli.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source", metavar="IMAGE|DATA", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="The page."
)
@click.option("--split", help="Split of DATA. Default: test, else val, where it has splits.")
@click.option("--images", type=int, default=4, show_default=True, help="Images of DATA on the page.")
@click.option("--format", "form", help="Format of DATA. Default: found by looking.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def explain(
    model: Path, source: Path, out: Path, split: str | None, images: int, form: str | None, as_json: bool
) -> int:
    """Write a page that follows boxes through every stage of MODEL, and lost objects to where they were lost.

    For a photograph, or for the images of labelled DATA that lost most objects.
    """
    from masu.data.formats import read_dataset
    from masu.data.pictures import IMAGE_SUFFIXES
    from masu.terminal import counter
    from masu.verbs.explain import explain as run
    from masu.verbs.exported import open_detector

    detector = open_detector(model)
    given: Any = source
    if source.suffix.lower() not in IMAGE_SUFFIXES:
        names = detector.names if detector.kind == "detector" else None
        given = read_dataset(source, _test_split(source, split, form), names=names, form=form)
        _print_faults(given)
    with counter("explaining") as progress:
        done = run(detector, given, out, most=_positive(images, "--images"), progress=progress)
    if as_json:
        click.echo(json.dumps(done.as_dict()))
    lost = "" if done.lost is None else f", {done.lost} of {done.objects} objects lost"
    _note(f"{len(done.images)} images, {done.detections} boxes{lost}; open {done.page}")
    return 0


@cli.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", default="onnx", show_default=True, help="onnx, openvino or torch.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: beside MODEL.")
@click.option("--data", type=click.Path(path_type=Path), help="Labelled images: compares AP as well.")
@click.option("--split", help="Split of --data. Default: test, else val, where it has splits.")
@click.option("--format", "form", help="Format of --data. Default: found by looking.")
@click.option("--int8", is_flag=True, help="Compute in 8 bits, calibrated on the train split of --data.")
@click.option("--max-ap-loss", type=float, default=0.01, show_default=True, help="Most AP lost on --data.")
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as one JSON object.")
def export(
    model: Path,
    to: Any,
    out: Path | None,
    data: Path | None,
    split: str | None,
    form: str | None,
    int8: bool,
    max_ap_loss: float,
    as_json: bool,
) -> int:
    """Write MODEL as one file for ONNX Runtime, OpenVINO or torch.export, and compare its answers.

    A file whose detections differ from the model's is refused and not kept.
    """
    from masu.data.formats import read_dataset, splits
    from masu.detectors.build import load
    from masu.export.write import SUFFIXES
    from masu.terminal import print_export
    from masu.verbs.export import export as run

    detector = load(model)
    dataset = calibration = None
    if int8 and data is None:
        raise InputError(
            "--int8: found no --data, wanted labelled images to calibrate on and to measure AP with"
        )
    if data is not None:
        names = detector.names if detector.kind == "detector" else None
        dataset = read_dataset(data, _test_split(data, split, form), names=names, form=form)
        if int8:
            train = "train" if "train" in splits(data, form) else None
            calibration = read_dataset(data, train, names=names, form=form)
    file = out or model.with_suffix(SUFFIXES.get(to, ""))
    done = run(detector, file, to=to, data=dataset, int8=calibration, max_ap_loss=max_ap_loss, report=_note)
    if as_json:
        click.echo(json.dumps(done.as_dict()))
    else:
        print_export(done)
    return 0


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the list as one JSON object.")
def models(as_json: bool) -> int:
    """The architectures, with parameters and arithmetic."""
    from masu.terminal import print_models
    from masu.verbs.models import describe

    rows = describe()
    if as_json:
        click.echo(json.dumps({"models": rows}))
    else:
        print_models(rows)
    return 0


@cli.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def demo(out: Path, as_json: bool) -> int:
    """The whole job in minutes: make scenes of handwritten digits, train, evaluate, detect, show a page."""
    from masu.terminal import TrainingDisplay
    from masu.verbs.demo import demo as run

    _note("handwritten digits on photographs; a few minutes on two processors")
    with TrainingDisplay() as display:
        result = run(out, report=display.report)
    _note(f"AP50 {result.ap50:.3f}, AP {result.ap:.3f} on held-back scenes after {result.seconds:.0f} s")
    _note(f"open {result.page}")
    if as_json:
        click.echo(json.dumps(result.as_dict()))
    return 0


def _test_split(data: Path, split: str | None, form: str | None) -> str | None:
    from masu.data.formats import splits

    known = splits(data, form)
    return split or next((name for name in ("test", "val", "valid") if name in known), None)


def _seconds(text: str) -> float:
    """``90``, ``90s``, ``10m`` or ``1.5h`` in seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    try:
        return float(number) * {"s": 1, "m": 60, "h": 3600}[unit.lower()]
    except (ValueError, KeyError):
        raise InputError(f"--time-budget: found {text!r}, wanted a time such as 90s, 10m or 1h") from None


def _share(text: str, name: str) -> float:
    """``5%`` or ``0.05``."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"{name}: found {text!r}, wanted a share such as 5% or 0.05")
    return value


def _scores(thresholds: Mapping[str, float]) -> str:
    """``cat 0.41, dog 0.57``, of many the first."""
    return listed(f"{name} {score:.2f}" for name, score in thresholds.items())


def _positive(value: int, name: str) -> int:
    if value < 1:
        raise InputError(f"{name}: found {value}, wanted at least 1")
    return value


def _print_faults(*datasets: Dataset) -> None:
    faults = [fault for dataset in datasets for fault in dataset.faults]
    for fault in faults[:20]:
        _note(f"{fault}")
    if faults:
        _note(
            f"{len(faults)} faults in the data were skipped or clipped"
            + (", 20 shown" if len(faults) > 20 else "")
        )


def _note(message: str) -> None:
    if not _rank():
        click.echo(f"masu: {message}", err=True)


def _rank() -> int:
    """The number of this process among those that a launcher has started; only the first speaks."""
    return int(os.environ.get("RANK", "0")) if os.environ.get("WORLD_SIZE", "1") != "1" else 0
