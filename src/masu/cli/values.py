"""What the words of options mean: times, shares, numbers, the split to look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from masu.errors import InputError, listed


def seconds(text: str) -> float:
    """``90``, ``90s``, ``10m`` or ``1.5h`` in seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    try:
        return float(number) * {"s": 1, "m": 60, "h": 3600}[unit.lower()]
    except (ValueError, KeyError):
        raise InputError(f"--time-budget: found {text!r}, wanted a time such as 90s, 10m or 1h") from None


def share(text: str, name: str) -> float:
    """``5%`` or ``0.05``."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"{name}: found {text!r}, wanted a share such as 5% or 0.05")
    return value


def positive(value: int, name: str) -> int:
    """The value; an error that names the option where it is below 1."""
    if value < 1:
        raise InputError(f"{name}: found {value}, wanted at least 1")
    return value


def scores(thresholds: Mapping[str, float]) -> str:
    """``cat 0.41, dog 0.57``, of many the first."""
    return listed(f"{name} {score:.2f}" for name, score in thresholds.items())


def training_split(data: Path, split: str | None, form: str | None) -> str | None:
    """The split to learn from: the one asked for, else train or trainval; ``None``: all of DATA."""
    from masu.data.formats import splits

    known = splits(data, form)
    return split or next((name for name in ("train", "trainval") if name in known), None)


def is_voc(data: Path, form: str | None) -> bool:
    """Whether DATA is in the format of Pascal VOC, whose own figure is then reported too."""
    from masu.data.formats import open_source

    return open_source(data, form)[0].name == "voc"


def evaluation_split(data: Path, split: str | None, form: str | None) -> str | None:
    """The split to measure on: the one asked for, else test, else validation; ``None``: all of DATA."""
    from masu.data.formats import splits

    known = splits(data, form)
    return split or next((name for name in ("test", "val", "valid", "validation") if name in known), None)
