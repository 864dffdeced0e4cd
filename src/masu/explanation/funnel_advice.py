"""The funnel in words: where most objects are lost, and what would bring them back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from masu.explanation.what_if import Remedy
from masu.thresholds import said_of_thresholds

if TYPE_CHECKING:
    from masu.explanation.funnel import FunnelReport

HINTS = {
    "unknown_class": "train with these classes, or spell them as the model does",
    "regression": "longer training or --box-loss giou moves boxes nearer",
    "box_regression": "longer training, or --box-loss giou, moves boxes nearer",
    "background": "longer training or more examples of the class raise its scores",
    "taken": "two labels share a box: crowded objects, or labelled twice (masu check finds those)",
}
"""What helps at stages that no setting decides."""

LEAST = 0.02
"""Smaller shares of objects without an anchor are not worth a sentence."""


def advice(report: FunnelReport) -> tuple[str, ...]:
    """Sentences, the most important first."""
    counts, objects = report.counts(), len(report.fates)
    lost = objects - counts["found"]
    if not objects:
        return ("There are no objects to find.",)
    said = [f"{counts['found']} of {objects} objects are found at IoU {report.iou:g}."]
    by_number = sorted((s for s in report.places if s != "found"), key=lambda s: -counts[s])
    for stage in by_number[:3]:
        if counts[stage]:
            hint = f"; {HINTS[stage]}" if stage in HINTS else ""
            said.append(f"{counts[stage]} of {lost} lost at {stage}: {report.places[stage]}{hint}.")
    confused = Counter((f.name, f.instead) for f in report.fates if f.stage == "other_class")
    if confused:
        (name, instead), number = confused.most_common(1)[0]
        times = "once" if number == 1 else f"{number} times"
        said.append(f"The most frequent confusion: {name} taken for {instead}, {times}.")
    said += [_remedy(remedy) for remedy in report.remedies if remedy.regained]
    idle = [r.stage for r in report.remedies if not r.regained]
    if idle:
        said.append(f"Milder settings bring back none of those lost at {', '.join(idle)}.")
    said += _anchors(report)
    if report.hidden:
        score = "found object scores" if report.hidden == 1 else "found objects score"
        under = said_of_thresholds(report.thresholds)
        said.append(f"{report.hidden} {score} under {under}: masu detect --threshold shows lower ones.")
    return tuple(said)


def _remedy(remedy: Remedy) -> str:
    instead = f", and lose {remedy.lost_instead} others" if remedy.lost_instead else ""
    return (
        f"{remedy.setting} {remedy.after:g} in place of {remedy.before:g} would bring back {remedy.regained} "
        f"of the {remedy.lost} lost at {remedy.stage}{instead}."
    )


def _anchors(report: FunnelReport) -> list[str]:
    fit = report.anchors
    if fit is None:
        return []
    sizes = "; ".join(", ".join(f"{size:g}" for size in level) for level in fit.sizes)
    ratios = ", ".join(f"{ratio:g}" for ratio in fit.ratios)
    said = [
        f"{own / objects:.0%} of the {size} objects have no anchor at IoU 0.5, with fitted sizes "
        f"{after / objects:.0%}."
        for size, (objects, own, after) in fit.under_50.items()
        if own - after > LEAST * objects
    ]
    if fit.lost:
        said.append(
            f"{fit.reached} of the {fit.lost} lost at anchors would have one to learn from with fitted sizes."
        )
    if said:
        said.append(f"Fitted: {sizes} px, heights over widths {ratios}; masu train --anchors auto fits them.")
    return said
