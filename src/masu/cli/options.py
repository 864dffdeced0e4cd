"""Options and arguments that several verbs have, each written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from masu import ranges
from masu.cli.grammar import Decorator, option
from masu.cli.values import DataFormat, Device, Number, Page, TileSide, Word
from masu.model_path import BEST
from masu.words import ARCHITECTURES


def _best_of_run(_context: click.Context, _parameter: click.Parameter, given: Path) -> Path:
    """The best model of a run's folder; anything else as it is, for the verb to judge."""
    best = given / BEST
    return best if best.is_file() else given


MODEL = click.argument("model", type=click.Path(path_type=Path), callback=_best_of_run)
DATA = click.argument("data", type=click.Path(path_type=Path))
ARCHITECTURE = option(
    "--architecture",
    old="--model",
    type=Word(ARCHITECTURES),
    help="Architecture, see `masu models`. Default: the small one.",
)
EVALUATED_SPLIT = option("--split", help="Split of the data. Default: test, else val, where it has splits.")
NETWORK_SIZE = option(
    "--image-size",
    type=Number(ranges.IMAGE_SIZE),
    help="Shorter side in pixels that the network sees. Default: the model's.",
)
IMAGES_AT_ONCE = option(
    "--batch-size", type=Number(ranges.BATCH_SIZE), default=1, show_default=True, help="Images at once."
)
CLASSES = option("--classes", multiple=True, metavar="A,B,…", help="Only these classes.")
IOU = option(
    "--iou",
    type=Number(ranges.SHARE),
    help="IoU above which the weaker box goes. Default: the model's.",
)
MAX_DETECTIONS = option(
    "--max-detections",
    type=Number(ranges.MAX_DETECTIONS),
    help="Most boxes of an image. Default: the model's.",
)
TRUST_CODE = option(
    "--trust-code", is_flag=True, help="Open a .pt2 too, which can run any code on this computer."
)
DEVICE = option(
    "--device",
    type=Device(),
    default="auto",
    show_default=True,
    help="auto (a CUDA GPU where there is one), cpu, cuda, cuda:1 or mps.",
)
_TILE_SIDE = option(
    "--tiles",
    type=TileSide(),
    help="Look at larger pictures in tiles of so many pixels a side. Default: the model's.",
)
_TILE_OVERLAP = option(
    "--overlap",
    type=Number(ranges.OVERLAP),
    help="Share of its side that a tile has in common with the next. Default: the model's, or 0.2.",
)


def tiles(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--tiles`` and ``--overlap``."""
    decorated: Callable[..., Any] = _TILE_SIDE(_TILE_OVERLAP(function))
    return decorated


TTA = option(
    "--tta",
    is_flag=True,
    help="Look at each picture mirrored, too (test-time augmentation), in twice the time.",
)
REPORT = option("--report", "page", old="--html", type=Page(), help="Write a page with pictures.")


def form_of(data: str) -> Decorator:
    """``--format`` of what the verb calls its data."""
    said = f"Format of {data}. Default: found by looking."
    return option("--format", "form", type=DataFormat(), help=said)


def images_of(data: str) -> Decorator:
    """``--images`` of what the verb calls its data."""
    said = f"Another folder that holds the images of {data}."
    return option("--images", type=click.Path(path_type=Path), help=said)


IMAGES = images_of("DATA")


def json_of(what: str) -> Decorator:
    """``--json``, which prints ``what``."""
    return option("--json", "as_json", is_flag=True, help=f"Print {what} as one JSON object.")
