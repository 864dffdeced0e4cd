"""Convert: a data set from one format to another, and into splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from masu.data.audit.fingerprints import fingerprint_images, near_duplicates
from masu.data.audit.strays import find_strays
from masu.data.formats import open_source, part_name, read_parts
from masu.data.formats.reading import Contents
from masu.data.formats.writing import writable, write_dataset
from masu.data.splitting import parse_shares, split_contents


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        source_format: format that was read.
        format: format that was written.
        images: pictures by split.
        objects: objects by split, ignored regions among them.
        faults: what could not be read or copied and is not in the new data set.
        lost: one sentence for each thing that the new format cannot hold.
    """

    source_format: str
    format: str
    images: dict[str, int]
    objects: dict[str, int]
    faults: tuple[str, ...]
    lost: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them."""
        return asdict(self)


def convert(
    source: Path,
    out: Path,
    form: str,
    *,
    source_form: str | None = None,
    split_by: str | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Write a data set anew in another format; boxes as they stand, faulty ones too.

    Images that no split names and images without annotation come along.

    Args:
        source: data set to read.
        out: new or empty folder.
        form: ``coco``, ``voc``, ``yolo`` or ``csv``.
        source_form: format of ``source``; default: found by looking.
        split_by: such as ``80/10/10``: share all pictures out anew, near-duplicates together; default: the
            splits of the source.
        seed: of the sharing out.
        progress: called with (pictures looked at, pictures in total) for ``split_by``.

    Raises:
        InputError: as of :func:`masu.data.formats.open_source`, its readers and
            :func:`masu.data.formats.writing.write_dataset`.
    """
    shares = None if split_by is None else parse_shares(split_by)
    reader, found = open_source(source, source_form)
    parts: dict[str | None, Contents]
    if shares is not None:
        whole = writable(reader.read(found, None), form)
        prints = fingerprint_images([picture.image for picture in whole.pictures], progress=progress)
        parts = dict(split_contents(whole, shares, seed, near_duplicates(prints)).items())
        faults = [str(fault) for fault in whole.faults]
        strays = find_strays(source, reader, found, {None: whole})
    else:
        read = read_parts(reader, found)
        parts = {split: writable(contents, form) for split, contents in read.items()}
        strays = find_strays(source, reader, found, parts)
        faults = list(dict.fromkeys(str(fault) for part in parts.values() for fault in part.faults))
    lost = write_dataset(out, form, parts, strays)
    return Converted(
        source_format=reader.name,
        format=form,
        images={part_name(split, parts): len(part.pictures) for split, part in parts.items()},
        objects={
            part_name(split, parts): sum(len(p.objects) for p in part.pictures)
            for split, part in parts.items()
        },
        faults=tuple(faults),
        lost=tuple(lost),
    )
