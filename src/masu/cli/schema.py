"""``masu schema``, and the JSON that the verbs print: objects that say by which schema they are made."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import click

from masu import __version__
from masu.cli.exit_codes import DONE
from masu.cli.grammar import verb
from masu.cli.notes import print_result
from masu.cli.values import Word
from masu.json_text import to_json

SCHEMAS = {
    "demo": 1,
    "check": 1,
    "convert": 1,
    "anchors": 1,
    "models": 1,
    "train": 1,
    "evaluate": 1,
    "evaluate-tracks": 1,
    "compare": 1,
    "tune": 1,
    "explain": 1,
    "detect": 1,
    "detect-coco": 1,
    "detect-film": 1,
    "draft": 1,
    "export": 1,
}
"""The version of each schema: one more where a name goes or means something else, not where one comes."""


def print_json(name: str, figures: Mapping[str, Any]) -> None:
    """The object on standard output, with the program's version and the name of the schema."""
    said = {"masu": __version__, "schema": f"masu.{name}/{SCHEMAS[name]}"}
    print_result(to_json(said | dict(figures)))


@verb(short_help="The JSON Schema of what a verb prints with --json.")
@click.argument("name", metavar="VERB", type=Word(tuple(SCHEMAS)))
def schema(name: str) -> int:
    """Print the JSON Schema of what VERB prints with --json.

    Of `masu detect` that is the list of --to json; detect-coco is that of --to coco, detect-film a line of
    --to jsonl. evaluate-tracks is that of `masu evaluate --tracks`.
    """
    print_result(files("masu.schemas").joinpath(f"{name}.json").read_text("utf-8"), nl=False)
    return DONE
