"""A run that is finished: whether the same training is asked for once more, and what it left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from masu.errors import bad_input
from masu.json_text import to_json
from masu.training.run_state import MAY_CHANGE

SETTINGS_FILE, HISTORY_FILE = "settings.json", "metrics.jsonl"


def is_resumable(out: Path) -> bool:
    """Whether a training left a state in ``out`` to go on from.

    Args:
        out: folder of the run.

    Returns:
        False too where there is none.
    """
    return any((out / f"{name}.safetensors").exists() for name in ("resume", "resume-before"))


def is_finished(out: Path) -> bool:
    """Whether a training ended in ``out`` and left no state to go on from.

    Args:
        out: folder of the run.

    Returns:
        False too where there is none.
    """
    return (out / "last.safetensors").exists() and not is_resumable(out)


def further(out: Path) -> str:
    """How to learn on from a finished run.

    Args:
        out: its folder.

    Returns:
        Options in words.
    """
    return f"learn on from its weights in another folder: --weights {out / 'last.safetensors'} --out FOLDER"


def as_it_ended(out: Path, now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of every epoch of a finished run, at least one; nothing is written.

    Args:
        out: its folder.
        now: the settings that are asked for, as :data:`SETTINGS_FILE` has them.

    Returns:
        One row for each epoch.

    Raises:
        InputError: where the run had other settings, or where its files do not say.
    """
    other, history = _differing(out, now), _history(out)
    if other is not None or not history:
        said = f", with {other}" if other is not None else f", without {HISTORY_FILE}"
        found = "a training that is finished" + said
        raise bad_input(out, found, "the same one, or one that was stopped", further(out), code="finished")
    return history


def _differing(out: Path, now: Mapping[str, Any]) -> str | None:
    """The first setting that the run had otherwise, in words; None where all are the same."""
    try:
        earlier = json.loads((out / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = None
    if not isinstance(earlier, dict):
        return f"no {SETTINGS_FILE} that can be read"
    values = json.loads(to_json(dict(now)))
    free = (*MAY_CHANGE, *(["precision"] if values["precision"] == "auto" else []))
    for name, value in values.items():
        if name not in free and value != earlier.get(name, value):
            return f"{name} {earlier[name]!r} and not {value!r}"
    return None


def _history(out: Path) -> list[dict[str, Any]]:
    """None where the file is not as masu writes it."""
    try:
        lines = (out / HISTORY_FILE).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []
    return rows if all(isinstance(row, dict) and "seconds" in row for row in rows) else []
