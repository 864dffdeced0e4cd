"""The front door of the data sets: the format and the splits are detected, never asked for.

To add a format, write a file with a ``READER`` and name it in ``READERS``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from masu.data.dataset import Dataset, Fault, Sample
from masu.data.formats import coco, csv_table, labelme, metadata_jsonl, voc, yolo
from masu.data.formats.reading import UNLISTED, Contents, Reader, Source, assemble
from masu.errors import bad_input, listed

__all__ = ["READERS", "Dataset", "Fault", "Sample", "read_dataset", "splits"]

_ORDER = (voc, yolo, labelme, coco, metadata_jsonl, csv_table)

READERS: dict[str, Reader] = {module.READER.name: module.READER for module in _ORDER}
"""By name, in the order in which they are tried."""


def read_dataset(
    path: str | os.PathLike[str],
    split: str | None = None,
    names: Sequence[str] | None = None,
    form: str | None = None,
) -> Dataset:
    """Read the annotations of a data set of any known format; images stay unopened.

    Boxes come out as xyxy pixels: VOC's four numbers as they stand (nothing is subtracted), COCO's
    ``x y width height`` as ``x y x+width y+height``. A box without area or outside its image is left out,
    one that reaches outside is clipped; each is a ``Fault`` in ``Dataset.faults``, as are an image that is
    missing, an annotation that cannot be understood and one of an unknown image or category.

    Args:
        path: the folder or, for formats of one file, the file.
        split: one of ``splits(path)``; None reads everything. ``val``, ``valid`` and ``validation`` stand
            for one another where only one of them exists.
        names: class names of a model; labels are then indices into them. Default: the names in the data
            (VOC: all that occur in any split, sorted; COCO: by category id).
        form: one of ``READERS``; default: found by looking.

    Raises:
        InputError: nothing at ``path``, no data set of a known format, an absent split, a file that cannot
            be parsed, no image at all, or an object whose class is not in ``names``.
    """
    if names is not None and (isinstance(names, str) or len(set(names)) != len(names)):
        raise bad_input("names", repr(names), "a sequence of distinct class names", "pass a model's names")
    reader, source = open_source(path, form)
    chosen = None if split is None else _chosen(split, source, Path(path))
    return assemble(reader.read(source, chosen), source, chosen, names)


def splits(path: str | os.PathLike[str], form: str | None = None) -> tuple[str, ...]:
    """The splits of the data set at ``path``, train before val before test; empty if it has none.

    Raises:
        InputError: nothing at ``path``, or no data set of a known format.
    """
    return tuple(open_source(path, form)[1].splits)


def open_source(path: str | os.PathLike[str], form: str | None = None) -> tuple[Reader, Source]:
    """The format of the data set at ``path``, and where its parts are.

    Args:
        path: folder or file.
        form: one of ``READERS``; default: found by looking.

    Raises:
        InputError: nothing at ``path``, no data set of a known format or of this one, or no such format.
    """
    path = Path(path)
    if form is not None and form not in READERS:
        raise bad_input("--format", repr(form), f"one of {listed(READERS)}", "leave it out to have it found")
    readers = list(READERS.values()) if form is None else [READERS[form]]
    wanted = " or ".join(reader.looks for reader in readers)
    if not os.path.exists(path):
        raise bad_input(path, "no such file or folder", wanted, "check the path")
    for reader in readers:
        source = reader.find(path)
        if source is not None:
            return reader, source
    if form in (None, "csv") and (error := csv_table.near_miss(path)):
        raise error
    if path.is_dir():
        inside = listed((child.name for child in sorted(path.iterdir())), most=8)
        found = f"a folder with no known annotations (it holds: {inside})"
    else:
        found = f"a file with the suffix {path.suffix!r}"
    raise bad_input(path, found, wanted, "point at the folder that holds the annotations")


def read_parts(reader: Reader, source: Source) -> dict[str | None, Contents]:
    """All of a data set, as it lies in the files: by split, and what is in none of them under None.

    Raises:
        InputError: as of the reader.
    """
    parts: dict[str | None, Contents] = {
        split: reader.read(source, split) for split in source.splits or (None,)
    }
    if source.splits and reader.has_unlisted:
        told = {fault for contents in parts.values() for fault in contents.faults}
        rest = reader.read(source, UNLISTED)
        rest = rest._replace(faults=[fault for fault in rest.faults if fault not in told])
        if rest.pictures or rest.faults:
            parts[None] = rest
    return parts


def part_name(split: str | None, parts: Mapping[str | None, Contents]) -> str:
    """What a part is called where figures are shown."""
    return split or ("all" if len(parts) == 1 else "no split")


def _chosen(split: str, source: Source, path: Path) -> str:
    validation = ("val", "valid", "validation")
    twins = [name for name in validation if name in source.splits]
    if split in source.splits:
        return split
    if split in validation and len(twins) == 1:
        return twins[0]
    if not source.splits:
        raise bad_input(
            path,
            f"a data set without splits and the split {split!r} asked for",
            "no split",
            "leave the split out to read everything",
        )
    raise bad_input(path, f"no split {split!r}", f"one of {listed(source.splits)}", "choose one of these")
