"""For the site: ``:func:`masu.load```, as Sphinx says it in docstrings, is ``masu.load`` in Markdown."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(`+)~?([^`]+)\1")


class Roles(griffe.Extension):
    """Takes the roles out of every docstring."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """See griffe."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(r"`\2`", obj.docstring.value)
