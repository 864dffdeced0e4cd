"""What the command line shows: progress on stderr, tables on stdout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from masu.errors import counted, visible
from masu.streams import ESCAPED

if TYPE_CHECKING:
    from masu.evaluation.anchors import AnchorReport, Coverage, Group
    from masu.evaluation.calibration import Fitted
    from masu.evaluation.comparison import Comparison, Difference
    from masu.evaluation.error_report import ErrorReport
    from masu.evaluation.metrics import Slice
    from masu.explanation.funnel import FunnelReport
    from masu.verbs.check import CheckReport
    from masu.verbs.export import ExportReport
    from masu.verbs.tune import Tuned
    from masu.verbs.wrong_labels import LabelReview

FIRST_PLACES = 5
FIRST_LABELS = 20
"""Places of each kind of finding that the terminal shows."""


class _Console(Console):
    """Rich's console that takes every text, in tables as well, as it is: names are of strangers.

    ``[red]`` is no colour and ``:car:`` no picture, control characters and bytes that are no text are made
    visible.
    """

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(
            stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False, _environ=_said()
        )

    def render_str(self, text: str, **options: Any) -> Text:
        # escaped here, not by the stream: a table knows its widths then
        readable = visible(text).encode(self.encoding, ESCAPED).decode(self.encoding)
        return super().render_str(readable, **options)

    def table(self, table: Table) -> None:
        """Print a table whole: in a file as wide as it is, in a terminal that is too narrow row by row."""
        wanted = Measurement.get(self, self.options.update(width=10_000), table)
        if self.is_terminal and self.width < wanted.minimum:
            for row in zip(*(column.cells for column in table.columns), strict=True):
                for column, cell in zip(table.columns, row, strict=True):
                    self.print(f"{column.header}: {cell}", soft_wrap=True)
                self.print()
            return
        if not self.is_terminal:
            self.width = max(self.width, wanted.maximum)
        self.print(table, crop=False)


def _said() -> dict[str, str]:
    """The environment without a width or height of 0, at which nothing would be shown."""
    return {name: value for name, value in os.environ.items() if name not in _SIZES or value.strip("0")}


_SIZES = ("COLUMNS", "LINES")


_BAR = 24
"""Letters of a training's bar."""


class TrainingDisplay:
    """A bar with AP50, time left, loss and pace, as far as there is room; one line per finished epoch.

    Use as a context manager and pass ``display.report`` to ``train``.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = _Console(stderr=True, soft_wrap=True)
        self._console.quiet = quiet
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}", markup=False),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._score: str | None = None

    def __enter__(self) -> TrainingDisplay:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def report(self, event: dict[str, Any]) -> None:
        """Show one event of ``masu.train``."""
        if event["event"] == "fault":
            self._console.print(f"masu: {event['fault']}")
        elif event["event"] == "start":
            self._console.print(f"masu: {event['said']}")
        elif event["event"] == "part":
            self._console.print(f"{event['part']} …")
        elif event["event"] == "step":
            self._step(event)
        elif event["event"] == "epoch":
            self._epoch(event)

    def _step(self, event: dict[str, Any]) -> None:
        if self._task is None:
            self._task = self._bar.add_task("train", epoch="", text="")
        epoch = _epoch_of(event)
        before = f"epoch {epoch} {'':{_BAR}} {event['steps']}/{event['steps']} "
        text = _fitting(self._parts(event), self._console.width - len(before))
        self._bar.update(self._task, total=event["steps"], completed=event["step"], epoch=epoch, text=text)

    def _parts(self, event: dict[str, Any]) -> list[str]:
        """What is said of a step, the most wanted first."""
        score = [] if self._score is None else [self._score]
        terms = " ".join(f"{name} {event[name]:.3f}" for name in _terms(event))
        pace = f"{event['images_per_second']:.1f} images/s"
        return [*score, f"{_duration(event['seconds_left'])} left", f"loss {event['loss']:.3f}", pace, terms]

    def _epoch(self, event: dict[str, Any]) -> None:
        for name in ("ap50", "ar100"):
            if event.get(name) is not None:
                self._score = f"{name.upper()} {event[name]:.3f}"
                break
        parts = [f"epoch {_epoch_of(event)}", f"loss {event['loss']:.3f}"]
        figures = ("ap", "ap50") if "ap" in event else ("ar100", "ar1000")
        parts += [f"{name.upper()} {event[name]:.3f}" for name in figures if event.get(name) is not None]
        parts += [f"{event['images_per_second']:.1f} images/s", f"{_duration(event['seconds'])} of training"]
        self._console.print("  ".join(parts))


def _fitting(parts: Sequence[str], room: int) -> str:
    """As many of the parts, from the first on, as there is room for; at least one."""
    text = parts[0]
    for part in parts[1:]:
        if len(text) + 2 + len(part) > room:
            break
        text += f", {part}"
    return text


def _epoch_of(event: dict[str, Any]) -> str:
    return f"{event['epoch']}" if event["epochs"] is None else f"{event['epoch']}/{event['epochs']}"


_NO_TERMS = (
    "event",
    "steps",
    "epoch",
    "epochs",
    "step",
    "done",
    "loss",
    "images_per_second",
    "seconds_left",
)
"""What a step's event has beside the terms of the detector's loss."""


def _terms(event: dict[str, Any]) -> list[str]:
    return [name for name in event if name not in _NO_TERMS]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def counter(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for ``progress(done, total)`` callbacks; silent where stderr is no terminal."""
    console = _Console(stderr=True)
    bar = Progress(
        TextColumn(what, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_metrics(metrics: dict[str, Any], data: str, said: str | None = None) -> None:
    """A table of the figures of ``masu evaluate``.

    Args:
        metrics: as JSON has them.
        data: on what they are measured, said in a line above.
        said: what that is worth, said in a line below.
    """
    console = _Console()
    images, objects = counted(metrics["images"], "image"), counted(metrics["objects"], "object")
    console.print(f"{data}: {images}, {objects}", soft_wrap=True)
    intervals = metrics.get("intervals") or {}
    table = Table("figure", "value", *(["95 %"] if intervals else []))
    table.columns[1].justify = "right"
    unsaid = {"per_class", "images", "objects", "faults", "max_detections", "intervals"}
    if metrics.get("voc_ap50") is None:
        unsaid |= {"voc_ap50", "voc07_ap50"}  # no figures of this data
    most = metrics["max_detections"][-1]
    best = {"ar100": f"ar{most}"} if "ap" in metrics else {}
    for name, value in metrics.items():
        if name not in unsaid:
            table.add_row(
                best.get(name, name), _figure(value), *([_interval(intervals.get(name))] if intervals else [])
            )
    console.table(table)
    if metrics.get("per_class"):
        classes = Table("class", "ap", *(["95 %"] if intervals else []), "ap50", f"ar{most}", "objects")
        for name, row in metrics["per_class"].items():
            classes.add_row(
                name,
                _figure(row["ap"]),
                *([_interval(row["intervals"].get("ap"))] if intervals else []),
                _figure(row["ap50"]),
                _figure(row["ar100"]),
                str(row["objects"]),
            )
        console.table(classes)
    if said is not None:
        console.print(said, soft_wrap=True)


def print_tracks(figures: dict[str, Any], truth: str) -> None:
    """A table of the figures of ``masu evaluate --tracks``.

    Args:
        figures: as JSON has them.
        truth: the file on which they are measured, said in a line above.
    """
    console = _Console()
    objects, frames = counted(figures["objects"], "object"), counted(figures["frames"], "frame")
    console.print(f"{truth}: {objects} in {frames}", soft_wrap=True)
    table = Table("figure", "value")
    table.columns[1].justify = "right"
    for name, value in figures.items():
        if name not in ("objects", "frames"):
            table.add_row(name.replace("_", " "), str(value) if isinstance(value, int) else _figure(value))
    console.table(table)


def print_slices(parts: Sequence[Slice]) -> None:
    """A table of the figures of parts of the data, for each thing that parts them."""
    console = _Console()
    for by in dict.fromkeys(part.by for part in parts):
        table = Table(by, "images", "objects", "ap", "95 %", "ap50", "95 %")
        for part in parts:
            if part.by == by:
                table.add_row(
                    part.name,
                    str(part.images),
                    str(part.objects),
                    _figure(part.ap),
                    _interval(part.ap_interval),
                    _figure(part.ap50),
                    _interval(part.ap50_interval),
                )
        console.table(table)


def print_comparison(comparison: Comparison, data: str) -> None:
    """Tables of what two models differ by, and the answer in words."""
    console = _Console()
    images, objects = counted(comparison.images, "image"), counted(comparison.objects, "object")
    console.print(f"{data}: {images}, {objects}", soft_wrap=True)
    for side, runs in (("A", comparison.a), ("B", comparison.b)):
        for run in runs:
            metrics = run.scored.metrics.as_dict()
            cost = "" if run.milliseconds is None else f", {run.milliseconds:.0f} ms an image"
            cost += "" if run.size is None else f", {run.size / 1e6:.1f} MB"
            console.print(f"{side}: {run.file}: AP {_figure(metrics['ap'])}{cost}", soft_wrap=True)
    table = Table("figure", "A", "B", "B − A", "95 %", "B is")
    for name, one in comparison.figures.items():
        table.add_row(name, *_difference(one))
    table.add_section()
    for name, of in comparison.per_class.items():
        table.add_row(f"ap of {name}", *_difference(of["ap"]))
    for column in table.columns[1:4]:
        column.justify = "right"
    console.table(table)
    changed = {name: pair for name, pair in comparison.objects_changed().items() if any(pair)}
    for name, (won, lost) in changed.items():
        console.print(f"{name}: B finds {won} that A misses, and misses {lost} that A finds", soft_wrap=True)
    console.print(comparison.said, soft_wrap=True)


def _difference(one: Difference) -> tuple[str, str, str, str, str]:
    band = f"{one.low:+.4f} … {one.high:+.4f}"
    return _figure(one.a), _figure(one.b), f"{one.difference:+.4f}", band, one.verdict


def print_tuned(done: Tuned) -> None:
    """A table of what was tried, and the answer in words."""
    console = _Console()
    where = "" if done.data is None else f"{done.data.resolve().name}, "
    where += "" if done.split is None else f"split {done.split}, "
    cost = f"{done.tuning.milliseconds:.0f} ms an image as it is"
    console.print(f"{where}{counted(done.images, 'image')}: {cost}", soft_wrap=True)
    table = Table("setting", "AP before", "after", "difference", "ms an image", "kept")
    table.add_column(f"{100 * done.tuning.level:.1f} %")
    for one in done.tries:
        before, after, difference, band, _ = _difference(one.ap)
        setting = f"{one.name} {one.before:g} -> {one.after:g}"
        cost, kept = f"{one.milliseconds:.0f}", "yes" if one.kept else "no"
        table.add_row(setting, before, after, difference, cost, kept, band)
    for column in table.columns[1:5]:
        column.justify = "right"
    if done.tries:
        console.table(table)
    places = {name: number for name, number in done.tuning.lost.items() if number and name != "found"}
    lost = ", ".join(f"{number} at {name}" for name, number in places.items())
    console.print(f"Objects lost: {lost or 'none'}", soft_wrap=True)
    for one in done.tuning.faster:
        change = f"{one.name} {one.before:g} -> {one.after:g}"
        cost = f"{one.milliseconds:.0f} ms an image, AP {one.ap.difference:+.4f}"
        console.print(f"Faster, {'kept' if one.kept else 'not kept'}: {change}, {cost}", soft_wrap=True)
    console.print(done.said, soft_wrap=True)


def print_errors(report: ErrorReport) -> None:
    """Tables of thresholds and of what the errors cost."""
    console = _Console()
    table = Table("class", "threshold", "precision", "95 %", "recall", "95 %", "f1")
    for name, used in report.used.items():
        table.add_row(
            name,
            _figure(used.threshold),
            _figure(used.precision),
            _interval(used.precision_interval),
            _figure(used.recall),
            _interval(used.recall_interval),
            _figure(used.f1),
        )
    table.caption = "thresholds of the model" if report.stored else "largest F1 on this data"
    console.table(table)
    table = Table("errors", "AP50 lost", "at the thresholds", "among all detections")
    for kind, count in report.kinds.items():
        table.add_row(kind, _figure(count.cost), str(count.count), str(count.count_all))
    console.table(table)


def print_calibration(fitted: Fitted) -> None:
    """How far scores were from what they are worth, and how far they are now."""
    console = _Console()
    table = Table("calibration", "as they were", "now")
    before, after = fitted.before, fitted.after
    table.add_row("D-ECE, from the share of right boxes", _figure(before.d_ece), _figure(after.d_ece))
    table.add_row("LaECE₀, from the mean IoU", _figure(before.laece0), _figure(after.laece0))
    table.caption = "of images that the lines which judge them have not seen"
    console.table(table)
    if fitted.kept:
        console.print(f"Scores stay as they were: {', '.join(fitted.kept)}", soft_wrap=True)


def print_funnel(report: FunnelReport) -> None:
    """Tables of the stages that lose objects: by size with what each means, and by class; then advice."""
    console = _Console()
    sizes, counts = report.by_size, report.counts()
    table = Table("stage", "objects", *sizes, "what it means", title=f"the funnel at IoU {report.iou:g}")
    for stage in report.places:
        if counts[stage] or stage == "found":
            of_sizes = (_count(of[stage]) for of in sizes.values())
            table.add_row(stage, _count(counts[stage]), *of_sizes, report.places[stage])
    table.columns[0].no_wrap = True
    for column in table.columns[1:-1]:
        column.justify = "right"
    console.table(table)
    idle = [stage for stage in report.places if not counts[stage] and stage != "found"]
    console.print(f"None lost at {', '.join(idle)}.", soft_wrap=True)
    table = Table("class", "objects", "found", "lost at")
    for name, of in report.by_class.items():
        lost = (f"{stage} {of[stage]}" for stage in report.places if of[stage] and stage != "found")
        table.add_row(name, str(sum(of.values())), _count(of["found"]), ", ".join(lost))
    console.table(table)
    for sentence in report.advice:
        console.print(sentence, soft_wrap=True)


def print_findings(report: CheckReport) -> None:
    """A table of the kinds that ``masu check`` found, with the first places of each."""
    console = _Console(soft_wrap=True)
    parts = ", ".join(
        f"{split} {counted(count, 'image')} with {counted(report.objects[split], 'object')}"
        for split, count in report.images.items()
    )
    console.print(
        f"{report.root} ({report.format}): {parts}; {counted(len(report.names), 'class', 'classes')}"
    )
    for _, kind, findings in report.by_kind():
        console.print(f"\n{kind.severity}: {kind.title}, {len(findings)} found: {kind.fix}")
        for finding in findings[:FIRST_PLACES]:
            console.print(f"  {finding}")
        if len(findings) > FIRST_PLACES:
            console.print(f"  … {len(findings) - FIRST_PLACES} more (--json or --report lists them)")
    if report.review is not None:
        _print_review(console, report.review)
    errors, others = report.errors, len(report.findings) - report.errors
    found = f"{counted(errors, 'error')}, {counted(others, 'other finding')}"
    found = found if report.findings else "nothing found"
    console.print(f"\n{found}, {report.seconds:.1f} s")


def _print_review(console: Console, review: LabelReview) -> None:
    worth = "" if review.ap50 is None else f" by detectors with AP50 {review.ap50:.2f} on unseen images"
    objects = f"{counted(review.objects, 'label')} in {counted(review.images, 'image')}"
    console.print(f"\nprobably wrong: {len(review.labels)} of {objects}, judged{worth}")
    for fault in review.faults:
        console.print(f"  not judged: {fault}")
    for label in review.labels[:FIRST_LABELS]:
        place = ": ".join(part for part in (str(label.image), label.where) if part)
        console.print(f"  {label.likelihood:.2f} {place}: {label.found}")
    if len(review.labels) > FIRST_LABELS:
        more = len(review.labels) - FIRST_LABELS
        console.print(f"  … {more} more (--json lists them, --report shows them)")


def print_anchors(report: AnchorReport) -> None:
    """Tables of what ``masu anchors`` measured: the model's own anchors beside fitted ones."""
    console = _Console(soft_wrap=True)
    own, fitted = report.own, report.fitted
    split = f" of the split {report.split}" if report.split else ""
    console.print(
        f"{report.architecture} at {report.min_size} px: {own.objects} objects in {report.images} images"
        f"{split}; lengths in pixels of the network's input",
    )
    table = Table("anchors", "own", "fitted")
    figures: dict[str, Callable[[Coverage], str]] = {
        "sizes, finest level first": lambda c: "; ".join(_numbers(level) for level in c.sizes),
        "heights over widths": lambda c: _numbers(c.ratios),
        "best IoU under 0.5": lambda c: f"{c.share(c.under_50):.1%}",
        "best IoU under 0.7": lambda c: f"{c.share(c.under_70):.1%}",
        f"learnt from one anchor only (under {report.fg_iou_thresh:g})": lambda c: (
            f"{c.share(c.low_quality):.1%}"
        ),
        "touched by no anchor": lambda c: f"{c.share(c.unreachable):.1%}",
        "mean best IoU": lambda c: f"{c.mean:.3f}",
    }
    for name, words in figures.items():
        table.add_row(name, words(own), words(fitted))
    console.table(table)
    table = Table("objects", "count", "own < 0.5", "own < 0.7", "fitted < 0.5", "fitted < 0.7")
    for before, after in ((own.by_size, fitted.by_size), (own.by_shape, fitted.by_shape)):
        for a, b in zip(before, after, strict=True):
            table.add_row(a.name, str(a.objects), *_shares(a), *_shares(b))
        table.add_section()
    console.table(table)
    table = Table("level of the best anchor", "objects", "IoU < 0.5", "IoU < 0.7")
    for name, groups in (("own", own.by_level), ("fitted", fitted.by_level)):
        for group in groups:
            table.add_row(f"{name}, {group.name}", str(group.objects), *_shares(group))
        table.add_section()
    console.table(table)
    console.print(f"{report.advice[0].upper()}{report.advice[1:]}.")


def print_export(report: ExportReport) -> None:
    """A table of the batches in which ``masu export`` compared the file with the detector."""
    console = _Console(soft_wrap=True)
    table = Table("images", "size", "found", "box, px", "score", "ties", "PyTorch, ms", "file, ms")
    for check in report.checks:
        agreed = check.agreement
        table.add_row(
            str(check.shape[0]),
            f"{check.shape[1]}×{check.shape[2]}",
            str(agreed.detections),
            f"{agreed.pixels:.2g}",
            f"{agreed.score:.1g}",
            str(agreed.near_ties),
            f"{1000 * check.ours:.0f}",
            f"{1000 * check.theirs:.0f}",
        )
    console.table(table)
    if report.ap is not None:
        console.print(f"AP {report.ap[0]:.4f} of the detector, {report.ap[1]:.4f} of the file")
    if report.int8:
        said = f"in 8 bits but for {report.spared} convolutions"
    elif report.agreement.detections:
        said = "the same detections"
    else:
        said = "nothing found by either, which proves little"
    console.print(f"{report.file}, {report.bytes / 1e6:.1f} MB, {said}; {report.seconds:.0f} s")


def _shares(group: Group) -> tuple[str, str]:
    return f"{group.under_50 / group.objects:.1%}", f"{group.under_70 / group.objects:.1%}"


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def print_models(rows: Sequence[dict[str, Any]]) -> None:
    """A table of the rows of ``masu models``."""
    table = Table("model", "params", "GFLOP", "at", "weights", pad_edge=False)  # 80 columns
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['parameters'] / 1e6:.1f} M",
            f"{row['gflop']:.1f}",
            f"{row['height']}×{row['width']}",
            row["imagenet"],
        )
    _Console().table(table)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.3f} … {ends[1]:.3f}"


def _count(value: int) -> str:
    return str(value) if value else "·"
