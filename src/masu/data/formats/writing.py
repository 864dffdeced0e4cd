"""Data sets out: a new folder in any format that masu writes, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from masu.atomic import folder_whole
from masu.data.dataset import Dataset
from masu.data.formats import formats, said_of_drafts
from masu.data.formats.copying import Copy, Drafts
from masu.data.formats.draft_list import write_lists
from masu.data.formats.form import Format
from masu.data.formats.naming import nameable
from masu.data.formats.reading_back import read_back
from masu.data.kinds import Fault
from masu.data.splits import UNLISTED
from masu.errors import bad_input, listed


def write_dataset(
    out: Path,
    form: str | Format,
    data: Dataset,
    strays: Sequence[Path] = (),
    *,
    link: bool = False,
    more: Mapping[str, str] | None = None,
    drafts: Drafts | None = None,
) -> list[str]:
    """Write a data set with copies of its images; ``out`` appears whole or not at all.

    Boxes are written as they stand, faulty ones too, with all their digits.

    Args:
        out: folder that does not exist or is empty.
        form: a format that masu writes, by its name or itself.
        data: what to write, all splits.
        strays: images without annotation, which stay so.
        link: links to the images instead of copies.
        more: texts of further files, by name.
        drafts: scores, where the boxes are drafts of a model.

    Returns:
        One sentence for each thing that the format cannot hold, or holds in another way, with its count.

    Raises:
        InputError: for an unknown format, an ``out`` that holds something or cannot be written, nothing to
            write, or names that the format cannot hold such that they are read back.
    """
    format_ = refuse_target(out, form)
    assert format_.write is not None
    if not len(data):
        first = f"; the first fault: {data.faults[0]}" if data.faults else ""
        first = f"; {said_of_drafts(data)}" if data.drafts else first
        raise bad_input(out, f"no image to write{first}", "at least one", "check the data set that is read")
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with folder_whole(out.absolute()) as made:
            said = [
                f"{what} is not carried: {count} objects" for what, count in sorted(data.left_out.items())
            ]
            if format_.all_in_splits:
                data = _with_named_rest(data, said)
            _refuse_splits(out, data.splits)
            try:
                copy = Copy(made, data, strays, link=link, by_stem=format_.by_stem, drafts=drafts)
                format_.write(copy)
            except UnicodeEncodeError as error:
                found = f"{error.object[error.start : error.end]!r}, which is not Unicode"
                raise bad_input(
                    out, found, "names that a text can hold", "rename the split or class"
                ) from None
            if drafts is None or format_.drafts_are_labels:
                written = read_back(made, out, format_.name, data)
                if drafts is not None:
                    write_lists(copy, written)
            for name, text in (more or {}).items():
                copy.text(name, text)
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        raise bad_input(out, found, "a new folder that can be written", "choose another one") from None
    return [*said, *copy.said()]


def writable(data: Dataset) -> Dataset:
    """The data set without the images that cannot be copied, each told as a fault."""
    gone, faults = [], []
    for index, path in enumerate(data.paths):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            found = (error.strerror or str(error)).lower()
            faults.append(Fault("unreadable-image", path, "image", found, "skipped"))
            gone.append(index)
    kept = np.setdiff1d(np.arange(len(data)), gone)
    return data.take(kept).with_faults(faults)


def _with_named_rest(data: Dataset, said: list[str]) -> Dataset:
    """The images of no split as a split of their own."""
    rest = ~data.members.any(axis=0, keepdims=True)
    if not data.splits or not rest.any():
        return data
    name = UNLISTED
    while name in data.splits:
        name += "_"
    said.append(f"{int(rest.sum())} images of no split are in the split {name}")
    return replace(data, splits=(*data.splits, name), members=np.concatenate([data.members, rest]))


def refuse_target(out: Path, form: str | Format) -> Format:
    """The format, or that of this name; refuses, before anything is read, one that masu does not write.

    Raises:
        InputError: for that, or an ``out`` that holds something.
    """
    format_ = formats().get(form) if isinstance(form, str) else form
    if format_ is None or format_.write is None:
        known = listed(name for name, one in formats().items() if one.write is not None)
        raise bad_input("--to", repr(form), f"one of {known}", "choose one of these", code="unknown-name")
    refuse_place(out)
    return format_


def refuse_place(out: Path) -> None:
    """Refuse a folder that a data set cannot be written into.

    Raises:
        InputError: for one that holds something, a link, or the folder that one is in.
    """
    wanted, fix = "a new or empty folder", "choose another one"
    if out.is_symlink():
        raise bad_input(out, f"a link to {os.readlink(out)}", wanted, "name the folder itself")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise bad_input(out, "something that is already there", wanted, fix)
    if out.exists() and out.samefile(Path.cwd()):
        raise bad_input(out, "the folder that you are in", "a new folder", "name one that does not exist")


def _refuse_splits(out: Path, splits: Sequence[str]) -> None:
    """Splits name files: one from a table or YAML could lead out of the folder."""
    for split in splits:
        if not nameable(split):
            raise bad_input(out, f"the split {split!r}", "a name that a file can have", "rename the split")
