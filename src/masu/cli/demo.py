"""``masu demo``."""

from __future__ import annotations

from pathlib import Path

import click

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, quiet
from masu.cli.options import json_of
from masu.cli.schema import print_json


@verb(short_help="The whole job in minutes, on made-up scenes.")
@option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder.")
@json_of("the figures")
def demo(out: Path, as_json: bool) -> int:
    """The whole job in minutes: make scenes of handwritten digits, train, evaluate, detect, show a page."""
    from masu.terminal import TrainingDisplay
    from masu.verbs.demo import demo as run

    note("handwritten digits on photographs; a few minutes on two processors")
    with TrainingDisplay(quiet=quiet()) as display:
        result = run(out, report=display.report)
    note(f"AP50 {result.ap50:.3f}, AP {result.ap:.3f} on held-back scenes after {result.seconds:.0f} s")
    note(f"open {result.page}")
    if as_json:
        print_json("demo", result.as_dict())
    return DONE
