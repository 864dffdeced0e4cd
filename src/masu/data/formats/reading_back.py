"""What was written must be readable again, else it is refused before it takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from masu.data.formats import open_source, read_parts
from masu.data.formats.reading import Contents
from masu.errors import InputError, bad_input


def refuse_unreadable(made: Path, out: Path, form: str, parts: Mapping[str | None, Contents]) -> None:
    """Read a new data set as anybody will; damaged pictures may be in it, since they are copied as they are.

    Args:
        made: where it is now.
        out: where it is to be.
        form: its format.
        parts: what it was made of.

    Raises:
        InputError: where images or classes are missing or others than they were.
    """
    try:
        reader, source = open_source(made)
        again = read_parts(reader, source)
    except InputError as error:
        problem = str(error)
    else:
        problem = _difference(form, parts, reader.name, again)
    if problem:
        raise bad_input(
            out,
            f"{form} that would not be read back as it is ({problem.replace(str(made), str(out))})",
            "names that this format can hold",
            "rename files, splits or classes, or choose another format; nothing was written",
        )


def _difference(
    form: str, parts: Mapping[str | None, Contents], name: str, again: Mapping[str | None, Contents]
) -> str:
    """The first difference, empty for none."""
    if name != form:
        return f"it looks like {name}"
    faults = [fault for contents in again.values() for fault in contents.faults]
    damaged = [fault for fault in faults if fault.kind == "unreadable-image"]
    for fault in faults:
        if fault not in damaged:
            return str(fault)
    written, found = _images(parts), _images(again) + len(damaged)
    if written != found:
        return f"{found} images instead of {written}"
    if lost := [split for split, part in parts.items() if split and part.pictures and split not in again]:
        return f"no split {lost[0]!r}"
    if strange := sorted(_classes(again) - _classes(parts)):
        return f"a class {strange[0]!r}"
    return ""


def _images(parts: Mapping[str | None, Contents]) -> int:
    return sum(len(contents.pictures) for contents in parts.values())


def _classes(parts: Mapping[str | None, Contents]) -> set[str]:
    return {item.name for part in parts.values() for picture in part.pictures for item in picture.objects}
