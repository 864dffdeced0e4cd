"""Options and arguments that several verbs have, each written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

from masu.cli.values import Device, Number, Page
from masu.ranges import BATCH_SIZE, IMAGE_SIZE

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

DATA = click.argument("data", type=click.Path(path_type=Path))
IMAGES = click.option(
    "--images", type=click.Path(path_type=Path), help="Another folder that holds the images of DATA."
)
EVALUATED_SPLIT = click.option(
    "--split", help="Split of the data. Default: test, else val, where it has splits."
)
NETWORK_SIZE = click.option(
    "--image-size",
    type=Number(IMAGE_SIZE),
    help="Shorter side in pixels that the network sees. Default: the model's.",
)
IMAGES_AT_ONCE = click.option(
    "--batch-size", type=Number(BATCH_SIZE), default=1, show_default=True, help="Images at once."
)
DEVICE = click.option(
    "--device",
    type=Device(),
    default="auto",
    show_default=True,
    help="auto (a CUDA GPU where there is one), cpu, cuda, cuda:1 or mps.",
)
HTML = click.option("--html", "page", type=Page(), help="Write a page with pictures.")


def form_of(data: str) -> Decorator:
    """``--format`` of what the verb calls its data."""
    said = f"Format of {data}: coco, voc, yolo … (a wrong one lists all). Default: found by looking."
    return click.option("--format", "form", help=said)


def json_of(what: str) -> Decorator:
    """``--json``, which prints ``what``."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as one JSON object.")
