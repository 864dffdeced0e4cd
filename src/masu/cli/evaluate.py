"""``masu evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from masu import ranges
from masu.cli.exit_codes import DONE
from masu.cli.grammar import Option, option, verb
from masu.cli.notes import note, print_faults, processes_started, rank, working
from masu.cli.options import (
    CLASSES,
    DATA,
    DEVICE,
    EVALUATED_SPLIT,
    IMAGES,
    IMAGES_AT_ONCE,
    IOU,
    MODEL,
    NETWORK_SIZE,
    TRUST_CODE,
    TTA,
    form_of,
    json_of,
    tiles,
)
from masu.cli.schema import print_json
from masu.cli.values import Number, Page, Word, refuse_idle, said_of_thresholds, scores
from masu.errors import bad_input
from masu.words import CALIBRATIONS

_OF_MODELS = (
    "--funnel",
    "--store-thresholds",
    "--store-margins",
    "--calibrate",
    "--recall",
    "--precision",
    "--save-predictions",
    "--iou",
    "--tiles",
    "--overlap",
    "--image-size",
    "--tta",
    "--batch-size",
    "--device",
    "--trust-code",
)
"""Options that mean nothing beside saved predictions."""


@verb(short_help="Measure a model: AP, its errors, its losses by stage.")
@MODEL
@DATA
@EVALUATED_SPLIT
@CLASSES
@IOU
@option(
    "--max-detections",
    type=Number(ranges.MAX_DETECTIONS),
    help="Most boxes of an image; from 100 on also of a class in the figures. Default: the model's, and 100.",
)
@tiles
@NETWORK_SIZE
@TTA
@IMAGES_AT_ONCE
@option(
    "--funnel",
    "with_funnel",
    is_flag=True,
    help="Also which stage lost each object; images one by one.",
)
@DEVICE
@form_of("DATA")
@IMAGES
@option("--report", "page", type=Page(), help="Write a page about the errors.")
@option(
    "--save-predictions",
    "saved",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what was found: .json (COCO results) or .parquet.",
)
@option(
    "--by",
    multiple=True,
    metavar="A,B,…",
    help="Also the figures of parts of DATA: class, size, folder, brightness, crowding.",
)
@option("--store-thresholds", is_flag=True, help="Write each class's best threshold into MODEL.")
@option(
    "--recall",
    type=Number(ranges.SHARE),
    help="The stored thresholds promise this mean recall on new images. Default: largest F1.",
)
@option(
    "--precision",
    type=Number(ranges.SHARE),
    help="They promise this mean precision in new images, with a certainty of 0.9.",
)
@option(
    "--store-margins",
    "margins",
    type=Number(ranges.SHARE),
    help="Write margins into MODEL with which boxes hold this mean share of the found objects whole.",
)
@option(
    "--calibrate",
    type=Word(CALIBRATIONS),
    help="Write into MODEL what scores are worth, and thresholds: how often right, or the mean IoU.",
)
@option("--tracks", is_flag=True, help="How well objects were followed: MODEL and DATA are MOT files.")
@json_of("all figures")
@TRUST_CODE
def evaluate(
    model: Path,
    data: Path,
    split: str | None,
    classes: tuple[str, ...],
    iou: float | None,
    max_detections: int | None,
    tiles: int | None,
    overlap: float | None,
    image_size: int | None,
    tta: bool,
    batch_size: int,
    with_funnel: bool,
    device: str,
    form: str | None,
    images: Path | None,
    page: Path | None,
    saved: Path | None,
    by: tuple[str, ...],
    store_thresholds: bool,
    recall: float | None,
    precision: float | None,
    margins: float | None,
    calibrate: str | None,
    tracks: bool,
    as_json: bool,
    trust_code: bool,
) -> int:
    """COCO AP of MODEL on DATA, over all and per class; average recall for a proposal generator.

    MODEL is a file such as runs/train-1/best.safetensors, one that `masu export` wrote, or saved predictions.
    Classes go by name: objects of a class that MODEL does not know count as missed.

    With --report, --store-thresholds or --calibrate also the threshold with the largest F1 of each class, and
    what kinds of errors are made and cost. Store with --split val: on a test split it would flatter it.

    With --tracks, MODEL is what `masu detect --track --to mot` wrote, and DATA the truth: HOTA, IDF1, MOTA.
    """
    if tracks:
        return _tracks(model, data, as_json)
    from masu.detectors.sizing import with_image_size
    from masu.detectors.tiling import as_told
    from masu.detectors.tta import with_tta
    from masu.evaluation.choice import classes_of, has_no_more, only_classes, set_suppression
    from masu.evaluation.error_page import write_page
    from masu.evaluation.error_report import error_report, refuse
    from masu.evaluation.evaluate import score
    from masu.evaluation.matches import LIMIT
    from masu.evaluation.resampling import said_of
    from masu.evaluation.slices import check_kinds, slices
    from masu.explanation.funnel import funnel
    from masu.exports.exported import open_detector
    from masu.processes import joined
    from masu.terminal import (
        print_calibration,
        print_errors,
        print_funnel,
        print_metrics,
        print_slices,
    )
    from masu.verbs.calibrate import OF_ONE_LOOK, Wanted, settle
    from masu.verbs.reading import to_measure_on
    from masu.verbs.saved import are_predictions, refuse_suffix, refuse_twice, save_predictions, score_saved
    from masu.verbs.seen import said_of_seen

    kinds = tuple(dict.fromkeys(kind.strip() for text in by for kind in text.split(",")))
    check_kinds(kinds)
    if saved is not None:
        refuse_suffix(saved)
        refuse_idle("--classes", "with --save-predictions, which holds all classes", "one of them")
    from_file = are_predictions(model)
    if from_file:
        for name in _OF_MODELS:
            refuse_idle(name, "with saved predictions", "a model for it")
        if max_detections is not None and max_detections < LIMIT:
            found = f"{max_detections} with saved predictions, of which {LIMIT} of a class count"
            raise bad_input("--max-detections", found, f"at least {LIMIT}, or a model for it")
    if with_funnel:
        refuse_idle("--batch-size", "with --funnel, which looks at images one by one", "one of them")
        if (world := processes_started()) > 1:
            raise bad_input("--funnel", f"{world} processes", "one", "start masu without a launcher")
        refuse_idle("--tta", "with --funnel, which follows the boxes of one look", "one of them")
        refuse_idle("--device", "with --funnel, which follows boxes on the processor", "one of them")
    choosing = "--calibrate" if calibrate else "--store-thresholds" if store_thresholds else None
    storing = choosing if choosing or margins is None else "--store-margins"
    if storing:
        others = ("--iou", "--max-detections", "--tiles", "--overlap")
        for name in ("--classes", *others, *["--funnel"] * bool(calibrate)):
            refuse_idle(name, f"with {storing}, which is about the model as it is", "one of them")
        if calibrate:
            refuse_idle("--save-predictions", "with --calibrate, which changes their scores", "one of them")
    if not choosing:
        for name, share in (("--recall", recall), ("--precision", precision)):
            if share is not None:
                beside = "--store-thresholds or --calibrate beside it"
                raise bad_input(name, "no thresholds to store", beside)
    wanted = Wanted(calibrate, recall, precision, margins, thresholds=choosing is not None)  # type: ignore[arg-type]
    if wanted.meaning is not None:
        refuse_idle("--tta", OF_ONE_LOOK, "--store-thresholds, or --calibrate none")
    with joined() as processes:  # says which GPU is this process's own
        detector, looking, channels = None, None, None
        if not from_file:
            with working("opening the model"):
                detector = as_told(open_detector(model, trust_code=trust_code, device=device), tiles, overlap)
            own = detector.way
            if image_size is not None:
                detector = with_image_size(detector, image_size)
            channels = detector.input.channels
            set_suppression(detector, iou, None if has_no_more(detector, max_detections) else max_detections)
            if page is not None or saved is not None or kinds or storing:
                refuse(detector, model, storing)
            if calibrate:
                detector.calibration = None  # type: ignore[union-attr]  # a line is of the network's own scores
            looking = with_tta(detector) if tta else detector
            if storing:
                wanted.refuse_way(detector, looking.way)  # type: ignore[arg-type]  # refuse() has seen its kind
            elif page is not None and detector.thresholds and looking.otherwise:
                note(said_of_thresholds(detector.thresholds, looking.otherwise))
        dataset = to_measure_on(data, split, form=form, images=images, channels=channels, counter=working)
        wanted.refuse_for(dataset)
        if saved is not None:
            refuse_twice(dataset)
        chosen = dataset.split
        if named := classes_of(classes, dataset.names):
            dataset = only_classes(dataset, named)
        print_faults(dataset)
        if (said := said_of_seen(getattr(detector, "trained_on", {}), dataset.root, chosen)) is not None:
            note(said)
        voc = dataset.form == "voc"
        where = f"{data.resolve().name}, split {chosen}" if chosen else data.resolve().name
        lost, most = None, max(max_detections or LIMIT, LIMIT)
        with working("evaluating") as progress:
            if detector is None or looking is None:
                scored = score_saved(model, dataset, voc=voc, max_detections=most)
            elif not with_funnel:
                scored = score(
                    looking,
                    dataset,
                    batch_size=batch_size,
                    progress=progress,
                    processes=processes,
                    voc=voc,
                    max_detections=most,
                )
            else:
                lost = funnel(detector, dataset, progress=progress, voc=voc, max_detections=most)
                scored = lost.scored
    if rank():
        return DONE
    for fault in scored.metrics.faults:
        note(fault)
    if scored.said_of_limit is not None:
        note(scored.said_of_limit)
    with working("weighing the images"):
        settled = None
        if detector is not None and looking is not None and storing:
            own_line = getattr(detector, "calibration", None)
            settled = settle(scored, wanted, own_line, detector.thresholds, looking.way)
        scored = scored.with_intervals() if settled is None else settled.scored
        parts = slices(scored, kinds, dataset.root, channels)
    report = None if settled is None else settled.report
    if report is None and page is not None:
        report = error_report(scored, None if detector is None else detector.thresholds)
    if as_json:
        figures = {"data": str(data), "split": chosen} | scored.metrics.as_dict()
        figures |= {"slices": [part.as_dict() for part in parts]} if kinds else {}
        figures |= {} if report is None else report.as_dict()
        figures |= {} if settled is None else settled.as_dict()
        print_json("evaluate", figures if lost is None else figures | {"funnel": lost.as_dict()})
    else:
        print_metrics(scored.metrics.as_dict(), where, said_of(scored.metrics))
        if parts:
            print_slices(parts)
        if lost is not None:
            print_funnel(lost)
        if report is not None:
            print_errors(report)
        if settled is not None and settled.fitted is not None:
            print_calibration(settled.fitted)
    if saved is not None:
        save_predictions(scored, dataset, saved)
        note(f"{saved} holds the predictions")
    if report is None:
        return DONE
    if page is not None:
        write_page(report, page, model.name, where, channels)
        note(f"open {page}")
    if settled is not None and looking is not None:
        settled.store(model)
        how = f", measured {otherwise}" if (otherwise := looking.way.unlike(own)) else ""
        if calibrate:
            said = "calibrated scores" if settled.fitted is not None else "scores as the network gives them"
            note(f"{model} now gives {said}")
        if choosing:
            note(f"{model} now holds the thresholds {scores(settled.thresholds)}{how}")
            if settled.said_of_few is not None:
                note(settled.said_of_few)
        if settled.margins is not None:
            note(f"{model} now holds the margins {scores(settled.margins)}, as shares of a box's size{how}")
        if chosen != "val":
            flattered = f"the split {chosen}" if chosen else "all of the data"
            note(f"chosen on {flattered}, whose figures they flatter; --split val keeps a test split honest")
    return DONE


def _tracks(found: Path, truth: Path, as_json: bool) -> int:
    context = click.get_current_context()
    for one in context.command.params:
        if isinstance(one, Option) and one.name not in ("tracks", "as_json", None) and one.expose_value:
            refuse_idle(one.opts[0], "with --tracks, which measures MOT files", "one of them")
    from masu.films.track_scores import evaluate_tracks
    from masu.terminal import print_tracks

    figures = evaluate_tracks(found, truth).as_dict()
    if as_json:
        print_json("evaluate-tracks", {"data": str(truth)} | figures)
    else:
        print_tracks(figures, str(truth))
    return DONE
