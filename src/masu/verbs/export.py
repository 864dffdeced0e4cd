"""Export: write a detector as one file for another runtime, and prove that it gives the same answers."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from masu.atomic import put_together, workshop
from masu.data.dataset import Dataset
from masu.data.formats import read_annotations
from masu.data.pixels.pictures import UnreadableImageError
from masu.data.splits import evaluation_split, training_split
from masu.detectors.detector import Detector
from masu.errors import bad_input, counted
from masu.evaluation.evaluate import evaluate
from masu.exports.agreement import NOTHING, Agreement, agreement_of
from masu.exports.exported import ExportedDetector, as_floats
from masu.exports.inputs import graph_input
from masu.exports.ncnn import refuse_stages, write_ncnn
from masu.exports.needed import require_packages
from masu.exports.on_canvas import OnCanvas
from masu.exports.parts import canvas_for, partitioned
from masu.exports.pictures import made_picture
from masu.exports.quantize import MOST_IMAGES, SPARED, Array, quantize
from masu.exports.tflite import write_tflite
from masu.exports.write import SUFFIXES, describe, trace, write
from masu.ranges import AP_LOSS, CANVAS
from masu.records import Detections
from masu.seal import files_of
from masu.verbs.evaluate import refuse_path
from masu.verbs.reading import IN_MEMORY, Counter, looked_at, quiet, refuse_beside, tell_faults
from masu.words import ExportTarget

SHAPES = ((1, 300, 500), (2, 427, 640), (3, 200, 640), (1, 64, 48), (2, 240, 320))
"""Images, height and width of the batches that are compared; the graph is traced at another one."""

IN_PARTS = {"tflite": write_tflite, "ncnn": write_ncnn}
"""What writes the formats whose graphs have a canvas of one size."""

PHOTOGRAPHS = ((480, 640), (640, 480))
"""Heights and widths that such a file is for, where nothing else is said."""

ROUNDING = 0.004
"""Grey levels by which a resized pixel differs from one runtime to another, where all of them are right."""


@dataclass(frozen=True)
class Checked:
    """One batch that both ran.

    Attributes:
        shape: images, height, width.
        agreement: of the answers.
        ours: seconds an image of the detector in PyTorch.
        theirs: of the file in its runtime.
    """

    shape: tuple[int, int, int]
    agreement: Agreement
    ours: float
    theirs: float


@dataclass(frozen=True)
class ExportReport:
    """What :func:`export` wrote and measured.

    Attributes:
        file: the model.
        to: its format.
        bytes: of the file, or of both where weights lie beside it.
        checks: one per batch.
        ap: AP of the detector and of the file on the data given; None without.
        int8: whether it computes in 8 bits; the answers then differ.
        spared: its first convolutions that do not.
        seconds: for everything.
    """

    file: Path
    to: ExportTarget
    bytes: int
    checks: tuple[Checked, ...]
    ap: tuple[float, float] | None
    int8: bool
    spared: int
    seconds: float

    @property
    def agreement(self) -> Agreement:
        """Over all batches."""
        return sum((check.agreement for check in self.checks), NOTHING)

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON knows them."""
        return asdict(self) | {"file": str(self.file), "agreement": asdict(self.agreement)}


def export(
    detector: Detector,
    out: str | os.PathLike[str],
    *,
    to: ExportTarget = "onnx",
    data: str | os.PathLike[str] | Dataset | None = None,
    split: str | None = None,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    int8: bool | Dataset | None = None,
    max_ap_loss: float = 0.01,
    canvas: tuple[int, int] | None = None,
    counter: Counter = quiet,
    report: Callable[[str], None] = lambda said: None,
) -> ExportReport:
    """Write a detector as one file and compare it with the detector; a file that differs is not kept.

    Near-ties alone (see :class:`Agreement`) are no difference: ``report`` is told their number.

    Args:
        detector: any detector of masu; it is left as it was, on its device too.
        out: the file to write; its suffix must be that of the format. An older one is replaced.
        to: ``"onnx"``, ``"openvino"`` (``.xml`` with its ``.bin``), ``"torch"`` (``torch.export``), or in
            parts on a canvas of one size: ``"tflite"`` (LiteRT) and, for detectors of one stage, ``"ncnn"``
            (``.ncnn.param`` with its ``.bin``).
        data: images for the comparison, and AP against AP: where a data set is, or one from
            :func:`masu.read_dataset`; default: two made pictures, and no AP.
        split: of ``data`` at a path; default: test, else val, where it has splits.
        form: format of ``data`` at a path; default: found by looking.
        images: another folder that holds the images of ``data`` at a path.
        int8: compute in 8 bits, convolutions and matrix products: true, calibrated on the training split of
            ``data`` at a path, or the images to calibrate on. This changes answers, so that AP on ``data``
            alone decides. With ``to="onnx"`` only.
        max_ap_loss: largest AP that may be lost on ``data``.
        canvas: height and width of the network's input with ``to="tflite"`` or ``"ncnn"``, rounded up to what
            the model takes; larger images are made smaller to fit. Default: the smallest that all images of
            ``data`` fit on, without it photographs of 480×640 and 640×480.
        counter: shows how far each part is: reading, writing, comparing, evaluating.
        report: told what is being done, of near-ties, of faults of the data and of images that cannot be
            read, those to calibrate on among them.

    Returns:
        The file, how far it agrees with the detector, and the times of both.

    Raises:
        TypeError: for ``split``, ``form`` or ``images`` without a path, or ``int8=True`` beside a
            ``Dataset``.
        InputError: an unknown format or wrong suffix, packages that are missing, or a file whose answers
            differ from the detector's.
    """
    started = time.perf_counter()
    refuse_path(detector, "export")
    out = Path(out)
    refuse_target(out, to, int8=int8 not in (None, False), data=data is not None, canvas=canvas)
    if to == "ncnn":
        refuse_stages(detector)
    require_packages(to)
    AP_LOSS.check("max_ap_loss", max_ap_loss)
    channels = detector.input.channels
    calibration = int8 if isinstance(int8, Dataset) else None
    if data is None or isinstance(data, Dataset):
        beside = "no data" if data is None else IN_MEMORY
        refuse_beside(beside, "export", split=split, form=form, images=images)
    if data is not None and not isinstance(data, Dataset):
        with counter("reading annotations"):
            source = read_annotations(data, form, images)
        if int8 is True:
            calibration = looked_at(source, training_split(None, source.splits, data), channels, counter)
        data = looked_at(source, evaluation_split(split, source.splits, data), channels, counter)
        tell_faults(report, data, *([] if calibration is None else [calibration]))
    elif int8 is True:
        raise TypeError(
            "export: found int8=True beside a Dataset, wanted the images to calibrate on; write "
            "int8=masu.read_dataset(path, split='train')"
        )
    detector = copy.deepcopy(detector).cpu().eval()
    pictures = _pictures(detector, data)
    description, network = describe(detector), detector.prediction_network().detector
    whole = detector.with_tiles(None)
    twin: Detector | OnCanvas = whole
    out.parent.mkdir(parents=True, exist_ok=True)
    with workshop(out) as folder:
        written = folder / out.name
        report(f"tracing the network, writing {to}")
        with counter("tracing and writing"):
            if to in IN_PARTS:
                made, parts = partitioned(network, _canvas(detector, canvas, data))
                IN_PARTS[to](description, made, parts, written)
                twin = OnCanvas(whole, made)
            else:
                write(trace(network), description, to, written)
        spared, ap = 0, None
        if calibration is not None and data is not None:
            spared, ap = _to_eight_bits(written, detector, calibration, data, max_ap_loss, report, counter)
        exported = ExportedDetector(written, trust_code=True)
        report("comparing with the detector")
        graph = exported.with_tiles(None)
        checks: list[Checked] = []
        with counter("comparing") as progress:
            for number, shape in enumerate(SHAPES, start=1):
                checks.append(_check(whole, twin, graph, pictures, shape, explain=calibration is None))
                progress(number, len(SHAPES))
        if calibration is None:
            _refuse_differences(checks, to)
            _tell_near_ties(checks, report)
            if data is not None:
                ap = _ap(detector, data, report, counter), _ap(exported, data, report, counter)
        if ap is not None:
            _refuse_loss(ap, max_ap_loss)
        files = list(reversed(files_of(written)))
        size = sum(file.stat().st_size for file in files)
        del exported, graph
        put_together(files, out.parent)
    return ExportReport(
        out, to, size, tuple(checks), ap, calibration is not None, spared, time.perf_counter() - started
    )


def refuse_target(
    out: Path, to: str, *, int8: bool, data: bool, canvas: tuple[int, int] | None = None
) -> None:
    """Refuse, before anything is read, a format or a file that cannot be written.

    Args:
        out: the file to write.
        to: its format.
        int8: whether it is to compute in 8 bits.
        data: whether there are labelled images.
        canvas: height and width, where they were asked for.

    Raises:
        InputError: an unknown format, a file of another suffix or a folder of that name, 8 bits without
            the format and the data that they need, or a canvas where there is none or out of range.
    """
    if to not in get_args(ExportTarget):
        raise bad_input("--to", f"{to!r}", f"one of {', '.join(get_args(ExportTarget))}", code="unknown-name")
    if not out.name.endswith(SUFFIXES[to]):
        raise bad_input(out, f"the suffix {out.suffix!r}", f"{SUFFIXES[to]} for --to {to}", "rename it")
    if canvas is not None:
        if to not in IN_PARTS:
            raise bad_input("--canvas", f"--to {to}, which takes images of any size", " or ".join(IN_PARTS))
        for side in canvas:
            CANVAS.check("--canvas", side)
    if out.is_dir():
        raise bad_input(out, "a folder", "a file to write", "choose another --out")
    if int8 and (to != "onnx" or not data):
        found = f"--to {to}" if to != "onnx" else "no --data"
        raise bad_input("--int8", found, "--to onnx and --data to measure the loss of AP on")


def _canvas(detector: Detector, asked: tuple[int, int] | None, data: Dataset | None) -> tuple[int, int]:
    """Height and width of the network's input in a file of parts."""
    policy = detector.input
    if asked is not None:
        height, width = (-(-side // policy.divisor) * policy.divisor for side in asked)
        return height, width
    known = [] if data is None else [(h, w) for h, w in data.sizes.tolist() if h and w]
    tile = [] if policy.tiles is None else [(policy.tiles.side, policy.tiles.side)]
    return canvas_for(policy, [*(known or PHOTOGRAPHS), *tile])


def _to_eight_bits(
    file: Path,
    detector: Detector,
    calibration: Dataset,
    data: Dataset,
    most: float,
    report: Callable[[str], None],
    counter: Counter,
) -> tuple[int, tuple[float, float]]:
    """Quantise a file in place, sparing as few convolutions as the largest loss of AP allows.

    Returns:
        How many were spared, and AP of the detector and of the file.
    """
    single = file.rename(file.with_name(f"single-{file.name}"))
    images, own = _images(calibration, detector, report), _ap(detector, data, report, counter)
    spared, theirs = 0, 0.0
    for spared in SPARED:
        report(f"calibrating 8 bits, the first {spared} convolutions spared")
        with counter("calibrating"):
            quantize(single, images, file, spared)
        theirs = _ap(ExportedDetector(file), data, report, counter)
        if own - theirs <= most:
            break
    single.unlink()
    return spared, (own, theirs)


def _pictures(detector: Detector, data: Dataset | None) -> list[Tensor]:
    """Up to eight images of the data, or two made pictures."""
    channels = detector.input.channels
    if data is None:
        if channels is not None:
            raise bad_input("--data", "none", "images of the model's channels to compare with")
        return [made_picture(seed) for seed in range(2)]
    images: list[Tensor] = []
    for path, _ in data:
        try:
            images.append(graph_input(path, detector.input, len(images)))
        except UnreadableImageError:
            continue
        if len(images) == 8:
            break
    if not images:
        raise bad_input("--data", "no image that can be read", "at least one to compare with")
    return images


def _images(data: Dataset, detector: Detector, report: Callable[[str], None]) -> list[Array]:
    """Inputs of the graph: evenly spread images; ``report`` is told of those that cannot be read."""
    channels, images = detector.input.channels, []
    for number, index in enumerate(range(0, len(data), -(-len(data) // MOST_IMAGES))):
        try:
            image = graph_input(data[index].image, detector.input, number)
        except UnreadableImageError as error:
            report(str(error))
            continue
        images.append(image[None].permute(0, 2, 3, 1) if channels is None else as_floats(image[None]))
    return [image.contiguous().numpy() for image in images]


def _check(
    detector: Detector,
    beside: Detector | OnCanvas,
    exported: ExportedDetector,
    pictures: Sequence[Tensor],
    shape: tuple[int, int, int],
    *,
    explain: bool,
) -> Checked:
    """Run both on a batch; ``beside``: the detector as the file is meant to be; ``explain``: ask it which
    differences are ties within it."""
    count, height, width = shape
    batch = [_cut(pictures[i % len(pictures)], height, width, i) for i in range(count)]
    times = []
    for one in (beside, exported):
        started = time.perf_counter()
        try:
            answer = one.predict(batch, batch_size=count)
        except Exception as error:
            if one is beside:
                raise
            raise bad_input(
                "export",
                f"a file that its runtime cannot run at {counted(count, 'image')} of {height}×{width} "
                f"({' '.join(str(error).split())[:200]})",
                "one that runs at any size",
                "no file was written; please report it with --image-size and the versions of torch "
                "and of the runtime",
            ) from None
        times.append((answer, (time.perf_counter() - started) / count))
    (ours, our_time), (theirs, their_time) = times
    agreed = agreement_of(detector, ours, theirs)
    if explain and 0 < agreed.unmatched <= _unmatched_of_itself(detector, beside, batch, ours):
        agreed = replace(agreed, near_ties=agreed.near_ties + agreed.unmatched, unmatched=0)
    return Checked(shape, agreed, our_time, their_time)


def _unmatched_of_itself(
    detector: Detector, beside: Detector | OnCanvas, batch: Sequence[Tensor], answer: Sequence[Detections]
) -> int:
    """How many differences the detector shows to its own answer when images change by :data:`ROUNDING`.

    They come from ties within it, such as two proposals of which either may suppress the other.
    """
    generator, most = torch.Generator().manual_seed(0), 0
    for _ in range(3):
        moved = []
        for image in map(as_floats, batch):
            low, high = min(float(image.min()), 0.0), max(float(image.max()), 1.0)
            noise = ROUNDING / 255 * (high - low) * torch.randn(image.shape, generator=generator)
            moved.append((image + noise).clamp(low, high))
        again = beside.predict(moved, batch_size=len(batch))
        most = max(most, agreement_of(detector, answer, again).unmatched)
    return most


def _cut(picture: Tensor, height: int, width: int, seed: int) -> Tensor:
    """A part of the picture, mirrored outwards where it is too small."""
    down, across = -(-height // picture.shape[1]), -(-width // picture.shape[2])
    tiled = torch.cat([picture.flip(1) if i % 2 else picture for i in range(down)], 1)
    tiled = torch.cat([tiled.flip(2) if i % 2 else tiled for i in range(across)], 2)
    top, left = (tiled.shape[1] - height) * (seed % 3) // 2, (tiled.shape[2] - width) * (seed % 3) // 2
    return tiled[:, top : top + height, left : left + width].contiguous()


def _refuse_differences(checks: Sequence[Checked], to: str) -> None:
    for check in checks:
        agreed = check.agreement
        if not agreed.equal:
            n, height, width = check.shape
            raise bad_input(
                "export",
                f"{agreed.unmatched} differences, {agreed.near_ties} near-ties and {agreed.matched} "
                f"equals among {agreed.detections} detections between PyTorch and the {to} file at "
                f"{counted(n, 'image')} of {height}×{width}",
                f"no difference{('' if agreed.unmatched else ', and near-ties beside equals only')}",
                "no file was written; please report it with the versions of torch and of the runtime",
            )


def _tell_near_ties(checks: Sequence[Checked], report: Callable[[str], None]) -> None:
    agreed = sum((check.agreement for check in checks), NOTHING)
    if agreed.near_ties:
        report(
            f"warning: {counted(agreed.near_ties, 'near-tie')} among "
            f"{counted(agreed.detections, 'detection')}: where two candidates are equal but for rounding, "
            "the file may choose the other one"
        )


def _ap(
    detector: Detector | ExportedDetector, data: Dataset, report: Callable[[str], None], counter: Counter
) -> float:
    """AP on the data, of a proposal generator average recall."""
    which = "the file" if isinstance(detector, ExportedDetector) else "the detector"
    report(f"evaluating {which} on {len(data)} images")
    with counter("evaluating") as progress:
        metrics = evaluate(detector, data, progress=progress)
    if which == "the detector":  # of the file the same would be said again
        for fault in metrics.faults:
            report(fault)
    figure = getattr(metrics, "ap", None)
    return float(figure if figure is not None else getattr(metrics, "ar100", None) or 0.0)


def _refuse_loss(ap: tuple[float, float], most: float) -> None:
    own, theirs = ap
    if own - theirs > most:
        raise bad_input(
            "export",
            f"AP {theirs:.4f} of the file against {own:.4f} of the detector",
            f"a loss of at most {most:g} (--max-ap-loss)",
            "no file was written",
        )
