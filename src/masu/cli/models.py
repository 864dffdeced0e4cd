"""``masu models``."""

from __future__ import annotations

from masu.cli.exit_codes import DONE
from masu.cli.grammar import verb
from masu.cli.options import json_of
from masu.cli.schema import print_json


@verb()
@json_of("the list")
def models(as_json: bool) -> int:
    """The architectures, with parameters and arithmetic."""
    from masu.terminal import print_models
    from masu.verbs.models import models as run

    rows = run()
    if as_json:
        print_json("models", {"models": rows})
    else:
        print_models(rows)
    return DONE
