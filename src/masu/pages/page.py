"""Pages: one HTML file that needs nothing else, names escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

import masu
from masu.atomic import not_written, write_text
from masu.errors import counted
from masu.json_text import to_json
from masu.pages.run_report import refuse_run_report


def render(template: str, filters: dict[str, Callable[..., str]] | None = None, **values: Any) -> str:
    """Fill a template of ``masu/templates``; a value that is missing is an error."""
    environment = _environment(tuple((filters or {}).items()))
    return environment.get_template(template).render(version=masu.__version__, **values)


@lru_cache(maxsize=8)
def _environment(filters: tuple[tuple[str, Callable[..., str]], ...]) -> jinja2.Environment:
    """It keeps the templates that it has compiled: a training writes its page again every epoch."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("masu", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_function"] = to_json
    environment.filters |= {"breakable": breakable, "counted": counted, **dict(filters)}
    return environment


def put_page(file: Path, text: str) -> None:
    """Write a page, whole or not at all; its folder is made.

    Raises:
        WriteError: where it cannot be written; an earlier page is left as it was.
        InputError: for the report of a training run, which stays.
    """
    refuse_run_report(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(file, error) from None
    write_text(file, text)


def breakable(text: object) -> markupsafe.Markup:
    """The text, escaped, that may go on in a new line where paths and names are joined."""
    parts = re.split(r"(?<=[/\\_])(?=\S)|(?<=\.)(?=[^\W\d])", str(text))
    return markupsafe.Markup("<wbr>").join(parts)
