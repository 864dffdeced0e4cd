"""Trainings in processes of their own, which can be killed, and what must be alike of two runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import masu
from masu.training.checkpoint import damage, metadata_of
from masu.training.recipe import TrainSettings
from masu.training.run_state import RunState

CLOCK = {"seconds", "images_per_second", "seconds_per_image"}
"""Figures of ``metrics.jsonl`` that depend on the clock; no others may differ between two equal runs."""

CLOCK_OF_STATE = {"seconds", "epoch_seconds", "history"}
"""The same of the counters in ``resume.safetensors``; the history is compared as metrics are."""

SCRIPT = """
import json, sys
import masu
from masu.data.loading.transforms import Augmentation
from masu.errors import InputError
from masu.training.recipe import TrainSettings
from masu.training.train import train

said = json.loads(sys.argv[1])
said["settings"]["augmentation"] = Augmentation(**said["settings"]["augmentation"])
exec(said.pop("before"))
data = said.pop("data")
parts = [masu.read_dataset(data, split) for split in ("train", "val")]
settings = TrainSettings(**said.pop("settings"))
try:
    result = train(*parts, settings, said.pop("out"), report=lambda e: print(json.dumps(e), flush=True), **said)
except InputError as error:
    sys.exit(f"error: {error}")
sys.exit(130 if result.interrupted else 0)
"""


class Run:
    """A training in a process of its own: ``checkpoint_seconds`` 0, so that it writes after every step.

    With more than one process it is torchrun that is started and that signals go to.
    """

    def __init__(
        self,
        data: Path,
        out: Path,
        settings: TrainSettings,
        before: str = "",
        processes: int = 1,
        **options: Any,
    ) -> None:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        started = [] if processes == 1 else [*launcher, "--no-python", sys.executable]
        options.setdefault("checkpoint_seconds", 0)
        said = {"data": str(data), "out": str(out), "settings": asdict(settings), "before": before, **options}
        self.out = out
        self.process = subprocess.Popen(
            [sys.executable, *started, "-c", SCRIPT, json.dumps(said)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, Any]] = []

    def until(self, event: str, number: int = 1) -> None:
        """Wait for the so-manieth event of a kind, or the end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if sum(e["event"] == event for e in self.events) >= number:
                return

    def until_written(self) -> None:
        """Wait until the run can be resumed, or the end."""
        while not (self.out / "resume.safetensors").exists() and self.process.poll() is None:
            time.sleep(0.005)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal; returns how the process ended, with all its workers (they hold its stdout open)."""
        os.kill(self.process.pid, number)
        return self.end(timeout=60)[0]

    def end(self, timeout: float = 300) -> tuple[int, str]:
        """Wait for the end: exit code and what was said on stderr."""
        out, err = self.process.communicate(timeout=timeout)
        self.events += [json.loads(line) for line in out.splitlines()]
        return self.process.returncode, err


def without_clock(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in CLOCK} for row in rows]


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def assert_alike(one: Path, other: Path) -> None:
    """Two runs' folders hold the same to the bit, but for the clock."""
    assert without_clock(rows_of(one)) == without_clock(rows_of(other))
    assert (one / "settings.json").read_bytes() == (other / "settings.json").read_bytes()
    for file in ("resume.safetensors", "last.safetensors", "best.safetensors"):
        a, b = (tensors_of(out / file) for out in (one, other))
        assert a.keys() == b.keys()
        differ = [name for name in a if not same_bits(a[name], b[name])]
        assert differ == [], file
    states = [json.loads(metadata_of(out / "resume.safetensors")["state"]) for out in (one, other)]
    assert without_clock(states[0]["history"]) == without_clock(states[1]["history"])
    assert [{k: v for k, v in s.items() if k not in CLOCK_OF_STATE} for s in states[:1]] == [
        {k: v for k, v in s.items() if k not in CLOCK_OF_STATE} for s in states[1:]
    ]


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def assert_consistent(out: Path) -> RunState:
    """What a kill may leave: a whole state, files that are whole, and none that is ahead without it.

    Returns the state. ``best`` may be ahead of the state by the epoch that a resumed run ends first.
    """
    sound = [p for p in (out / "resume.safetensors", out / "resume-before.safetensors") if damage(p) is None]
    assert sound, "no state is left"
    state = RunState(**json.loads(metadata_of(sound[0])["state"]))
    for name in ("best", "last"):
        path = out / f"{name}.safetensors"
        if path.exists():
            masu.load(path)
    rows = rows_of(out) if (out / "metrics.jsonl").exists() else []
    assert len(rows) in (state.epoch, state.epoch - 1)
    assert rows == state.history[: len(rows)]
    if state.best_epoch and state.best_epoch <= len(rows):
        assert (out / "best.safetensors").exists()
    return state
