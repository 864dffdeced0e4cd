"""``RUN/report.html``: a training on one page that needs nothing else, from before its first step on."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from masu.atomic import write_text
from masu.data.formats import Dataset, Fault, said_of_drafts
from masu.pages.charts import Chart, duration, history_chart, share
from masu.pages.page import render
from masu.pages.pictures import embedded
from masu.pages.run_report import REPORT
from masu.training.recipe import TrainSettings
from masu.training.run_state import RunState, terms_of

RELOADED = 5
"""Seconds after which the page of a run that goes on is loaded again."""

EVERY = 4.0
"""Least seconds between two writings within an epoch."""

MOST_TIME = 0.01
"""Largest share of a run that is spent on them."""

MOST_SHEETS = 6
"""Epochs whose sample pictures are on the page: the first, the last and some evenly between."""

TILE_WIDTH = 480
"""Pixels of the longer side; larger pictures are made smaller, so that the page stays light."""

MOST_FAULTS = 20
"""Faults that are written out."""

_SCORES = {
    "ap": "AP",
    "ap50": "AP50",
    "ar100": "Recall, 100 boxes",
    "ar1000": "Recall, 1000 boxes",
}
_LOSS = "Loss, all terms"
_TERMS = {"proposal_boxes": "boxes of proposals"}
"""Terms of the loss whose names in the history are not words."""

_PACE = {"learning_rate": "Learning rate", "images_per_second": "Images per second"}


@dataclass(frozen=True)
class Sheet:
    """Sample pictures of an epoch.

    Attributes:
        epoch: its number, from 1.
        uris: each picture as a ``data:`` address.
    """

    epoch: int
    uris: tuple[str, ...]


class TrainPage:
    """The page of a run.

    Args:
        out: the run's folder, which holds ``samples/epoch_NNN/1.jpg``.
        settings: resolved ones.
        data: training and validation images.
        told: faults of images that were found while training; may grow.
        steps: of an epoch.
    """

    def __init__(
        self,
        out: Path,
        settings: TrainSettings,
        data: Sequence[Dataset | None],
        told: Iterable[Fault],
        steps: int = 1,
    ) -> None:
        self.out, self.settings, self.told, self.steps = out, settings, told, steps
        self.data = [part for part in data if part is not None]
        self.file = out / REPORT
        self._written, self._took = time.monotonic(), 0.0

    def due(self) -> bool:
        """Whether it is time to write the page again within an epoch."""
        return time.monotonic() - self._written >= max(EVERY, self._took / MOST_TIME)

    def write(self, state: RunState, done: float, ended: str | None = None) -> None:
        """Write the page whole or not at all.

        Args:
            state: its history is the page's, so that a resumed run has all its epochs.
            done: share of the training, 0..1.
            ended: why there will be no other epoch; None: it goes on, is done or gave up.
        """
        if ended is None and done >= 1:
            ended = "finished"
        if ended is None and state.gave_up:
            ended = f"finished: {self.settings.patience} evaluations brought nothing better"
        start = time.monotonic()
        write_text(self.file, self._html(state, done, ended))
        self._written = time.monotonic()
        self._took = self._written - start

    def _html(self, state: RunState, done: float, ended: str | None) -> str:
        history = state.history
        score = next((name for name in ("ap", "ar100") for row in history if row.get(name) is not None), None)
        beside = {k: t for k, t in _SCORES.items() if score != "ap" or k in ("ap", "ap50")}
        scored = [row for row in history if score and row.get(score) is not None]
        drafts = (said_of_drafts(part) for part in self.data)
        known = (str(fault) for part in self.data for fault in part.faults)
        faults = list(dict.fromkeys([*filter(None, drafts), *known, *sorted(map(str, self.told))]))
        return render(
            "train.html.j2",
            {"share": share, "duration": duration},
            name=self.out.resolve().name,
            reloaded=None if ended else RELOADED,
            ended=ended,
            done=done,
            left=state.seconds / done * (1 - done) if 0 < done < 1 else None,
            seconds=state.seconds,
            history=history,
            epochs=self.settings.epochs,
            score=None if score is None else (score, _SCORES[score]),
            best=max(scored, key=lambda row: float(row[score]), default=None) if score else None,
            now=None if ended else state.progress(self.settings.epochs, done) if state.images else None,
            steps=self.steps,
            charts=_charts(history, beside, 1.0) | _charts(history, {"loss": _LOSS}, 0.0),
            folded=_charts(history, {k: t for k, t in _SCORES.items() if k not in beside}, 1.0)
            | _charts(history, _terms(history) | _PACE, 0.0),
            commands=self._next() if ended and ended.startswith("finished") else [],
            columns=[(key, title) for key, title in _columns(history)],
            sheets=_sheets(self.out / "samples"),
            settings=_flat(self.settings.described()),
            data=[
                (f"{part.root}{f', split {part.split}' if part.split else ''}", len(part))
                for part in self.data
            ],
            faults=faults[:MOST_FAULTS],
            more_faults=max(len(faults) - MOST_FAULTS, 0),
            written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        )

    def _next(self) -> list[tuple[str, str]]:
        """The three commands that follow, and what each is for."""
        model = shlex.quote(str(self.out / "best.safetensors"))
        root, split = shlex.quote(str(self.data[0].root)), self.data[-1].split
        measured = f"masu explain {model} {root}", "where it loses what is labelled"
        if len(self.data) > 1 and split:
            measured = (
                f"masu evaluate {model} {shlex.quote(str(self.data[-1].root))} --split {shlex.quote(split)} "
                "--store-thresholds",
                "from which score on to believe it; detect then shows those",
            )
        return [
            measured,
            (f"masu detect {model} new_photos/ --out found", "what it finds in other photographs"),
            (f"masu export {model}", "one ONNX file for other programs"),
        ]


def _terms(history: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Keys and titles of the terms of the loss, whichever the detector has."""
    terms = dict.fromkeys(name for row in history for name in terms_of(row))
    return {name: f"Loss: {_TERMS.get(name, name)}" for name in terms}


def _charts(history: Sequence[dict[str, Any]], titles: dict[str, str], least: float) -> dict[str, Chart]:
    drawn = {title: history_chart(history, key, least) for key, title in titles.items()}
    return {title: one for title, one in drawn.items() if one is not None}


def _columns(history: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Keys and titles of the figures that any epoch has."""
    return [
        (key, title)
        for key, title in (_SCORES | {"loss": _LOSS} | _terms(history) | _PACE).items()
        if any(row.get(key) is not None for row in history)
    ]


def _sheets(folder: Path) -> list[Sheet]:
    folders = sorted(path for path in folder.glob("epoch_*") if path.is_dir())
    last = len(folders) - 1
    shown = min(len(folders), MOST_SHEETS)
    picked = sorted({round(i * last / max(shown - 1, 1)) for i in range(shown)}) if folders else []
    return [_sheet(folders[i]) for i in picked]


def _sheet(folder: Path) -> Sheet:
    files = sorted(folder.glob("*.jpg"))
    return Sheet(int(folder.name.removeprefix("epoch_")), tuple(_embedded(file) for file in files))


def _embedded(file: Path) -> str:
    with Image.open(file) as picture:
        return embedded(picture.convert("RGB"), side=TILE_WIDTH, quality=80)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings that say something, those of the augmentation by themselves."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{name}: ")
        elif value is not None:
            flat[f"{prefix}{name}".replace("_", " ")] = _said(value)
    return flat


def _said(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(_said(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
