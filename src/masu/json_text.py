"""JSON as the standard has it: read from files with an error that names the entry, written without NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from masu.errors import InputError, bad_input


def parsed(texts: Mapping[str, str], entry: str) -> Any:
    """The JSON under a name of a file's metadata.

    Raises:
        InputError: where there is none.
    """
    if entry not in texts:
        raise bad_input(entry, "none", "it beside the weights")
    try:
        return json.loads(texts[entry])
    except (ValueError, RecursionError):
        found = "a text that is no JSON"
        raise InputError(f"{entry}: found {found}", thing=entry, found=found) from None


def to_json(value: Any, **options: Any) -> str:
    """``json.dumps``, with null for NaN and infinity, which browsers and other programs refuse."""
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_without_nan(value), allow_nan=False, **options)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
