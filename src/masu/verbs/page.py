"""Pages: one HTML file that needs nothing else, names escaped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2

import masu


def render(template: str, filters: dict[str, Callable[..., str]] | None = None, **values: Any) -> str:
    """Fill a template of ``masu/templates``; a value that is missing is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("masu", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters or {}
    return environment.get_template(template).render(version=masu.__version__, **values)
