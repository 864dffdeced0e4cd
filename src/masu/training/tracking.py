"""A training's figures for TensorBoard, Weights & Biases or MLflow, by way of Accelerate's trackers."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from masu.errors import bad_input
from masu.words import Tracker

Report = Callable[[dict[str, Any]], None]


class Tracking:
    """What ``train`` reports, sent on: ``train/…`` of every step and ``epoch/…`` of every epoch.

    Use as a context manager and pass ``tracking.report`` to ``train``. Nothing is opened before the first
    step. TensorBoard's files lie in ``RUN/tensorboard``; where the others send the figures is theirs to say.

    Args:
        tracker: ``"tensorboard"``, ``"wandb"`` or ``"mlflow"``; None sends nothing on.
        out: folder of the run; its ``settings.json`` is kept with the figures.
        also: told of every event first.

    Raises:
        InputError: for another name, or where a package is missing.
    """

    def __init__(self, tracker: Tracker | None, out: Path, also: Report = lambda _: None) -> None:
        check_tracker(tracker)
        self.tracker, self.out, self.also = tracker, out, also
        self._step = 0
        self._accelerator: Any = None

    def __enter__(self) -> Tracking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._accelerator is not None:
            self._accelerator.end_training()

    def report(self, event: dict[str, Any]) -> None:
        """Send on one event of ``masu.train``."""
        self.also(event)
        if self.tracker is None:
            return
        if event["event"] == "step":
            self._step = (event["epoch"] - 1) * event["steps"] + event["step"]
            self._log("train", event, ("epoch", "epochs", "step", "steps", "done", "seconds_left"))
        elif event["event"] == "epoch":
            self._log("epoch", event, ("epochs",))

    def _log(self, part: str, event: dict[str, Any], without: tuple[str, ...]) -> None:
        if self._accelerator is None:
            self._open()
        figures = {
            f"{part}/{name}": value
            for name, value in event.items()
            if name not in without and isinstance(value, int | float)
        }
        self._accelerator.log(figures, step=self._step)

    def _open(self) -> None:
        from accelerate import Accelerator

        self._accelerator = Accelerator(log_with=self.tracker, project_dir=self.out)
        settings = json.loads((self.out / "settings.json").read_text(encoding="utf-8"))
        project = "tensorboard" if self.tracker == "tensorboard" else "masu"
        self._accelerator.init_trackers(project, {name: _plain(value) for name, value in settings.items()})


def check_tracker(tracker: str | None) -> None:
    """Refuse a tracker that is unknown or not installed; None is none.

    Raises:
        InputError: for either.
    """
    if tracker is None:
        return
    if tracker not in get_args(Tracker):
        wanted = " or ".join(get_args(Tracker))
        raise bad_input("--log-to", repr(tracker), wanted, "choose one of them", code="unknown-name")
    missing = [name for name in ("accelerate", tracker) if find_spec(name) is None]
    if missing:
        raise bad_input(
            "--log-to",
            f"{tracker} without the package {' and '.join(missing)}",
            "both installed",
            f"pip install 'masu[track]' {tracker}",
        )


def _plain(value: Any) -> str | float | bool:
    return value if isinstance(value, str | int | float | bool) else json.dumps(value)
