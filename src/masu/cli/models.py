"""``masu models``."""

from __future__ import annotations

import json

import click

from masu.cli.notes import print_result
from masu.cli.options import json_of


@click.command()
@json_of("the list")
def models(as_json: bool) -> int:
    """The architectures, with parameters and arithmetic."""
    from masu.terminal import print_models
    from masu.verbs.models import describe

    rows = describe()
    if as_json:
        print_result(json.dumps({"models": rows}))
    else:
        print_models(rows)
    return 0
