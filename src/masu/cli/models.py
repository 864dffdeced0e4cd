"""``masu models``."""

from __future__ import annotations

import click

from masu.json_text import to_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the list as one JSON object.")
def models(as_json: bool) -> int:
    """The architectures, with parameters and arithmetic."""
    from masu.terminal import print_models
    from masu.verbs.models import describe

    rows = describe()
    if as_json:
        click.echo(to_json({"models": rows}))
    else:
        print_models(rows)
    return 0
