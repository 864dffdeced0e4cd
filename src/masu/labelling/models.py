"""The models of a sitting: the last one in a file, and what each reached."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from masu.atomic import put_in_place, write_text
from masu.drafts.model import version_of
from masu.json_text import to_json
from masu.model_path import BEST
from masu.regular import read_text


@dataclass(frozen=True)
class Model:
    """One round's model.

    Attributes:
        version: as of :func:`masu.drafts.model.version_of`.
        answers: photographs that were answered when its training began.
        labels: photographs that it learned from.
        held: photographs that it was measured on.
        ap50: on those; None without any.
        interval: 95 % of AP50; None where it cannot be said.
        thresholds: score of each class from which a draft costs less than it saves.
    """

    version: str
    answers: int
    labels: int
    held: int
    ap50: float | None
    interval: tuple[float, float] | None
    thresholds: dict[str, float]


class Models:
    """The models below a folder.

    Args:
        out: the folder; it exists.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._rounds = out / "rounds"
        self.clear()  # of a killed sitting
        self.curve: list[Model] = []
        with suppress(OSError, ValueError, KeyError, TypeError):
            self.curve = [_model(one) for one in json.loads(read_text(self._list))["models"]]
        if self.curve and not self._is_there(self.curve[-1]):
            self.curve = []

    @property
    def file(self) -> Path:
        """The last model."""
        return self._out / BEST

    @property
    def last(self) -> Model | None:
        """What is known of it."""
        return self.curve[-1] if self.curve else None

    @property
    def weights(self) -> Path | None:
        """What the next round goes on from."""
        return self.file if self.curve else None

    def new_round(self) -> Path:
        """The folder of a training that begins."""
        folder = self._rounds / str(len(self.curve) + 1)
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def clear(self) -> None:
        """Remove what a training left that has ended without a model; it may be as large as ten models."""
        shutil.rmtree(self._rounds, ignore_errors=True)

    def take(self, line: dict[str, Any], answers: int) -> Model:
        """The model of a round that has ended, in the place of the last one; its other files go.

        Args:
            line: what the learner said.
            answers: as of :class:`Model`.

        Raises:
            WriteError: where it cannot be put there; the last one is as it was.
        """
        made = Path(line["model"])
        model = Model(
            version=f"{self._out.name}-{version_of(made).rpartition('-')[2]}",
            answers=answers,
            labels=line["labels"],
            held=line["held"],
            ap50=line["ap50"],
            interval=None if line["interval"] is None else tuple(line["interval"]),
            thresholds=line["thresholds"],
        )
        curve = [*self.curve, model]
        write_text(self._list, to_json({"models": [asdict(one) for one in curve]}))  # it may lack room
        put_in_place(made, self.file)
        self.curve = curve
        self.clear()
        return model

    @property
    def _list(self) -> Path:
        return self._out / "models.json"

    def _is_there(self, model: Model) -> bool:
        """Whether the file is that model: a killed process may have put only one of the two in its place."""
        return os.path.isfile(self.file) and version_of(self.file) == model.version


def _model(content: dict[str, Any]) -> Model:
    interval = content["interval"]
    return Model(**{**content, "interval": None if interval is None else tuple(interval)})
