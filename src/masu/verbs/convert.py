"""Convert: a data set from one format to another, and into splits."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from masu.data.audit.fingerprints import fingerprint_images, near_duplicates
from masu.data.audit.strays import find_strays
from masu.data.dataset import part_name
from masu.data.fitting import measured
from masu.data.formats import read_annotations, said_of_drafts
from masu.data.formats.writing import refuse_target, writable, write_dataset
from masu.data.splitting import parse_shares, share_out


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
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    to: str,
    *,
    form: str | None = None,
    split_by: str | None = None,
    seed: int = 0,
    images: str | os.PathLike[str] | None = None,
    link: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Write a data set anew in another format; boxes as they stand, faulty ones too.

    Images that no split names and images without annotation come along.

    Args:
        source: data set to read.
        out: new or empty folder.
        to: a format that masu writes.
        form: format of ``source``; default: found by looking.
        split_by: such as ``80/10/10``: share all pictures out anew, near-duplicates together; default: the
            splits of the source.
        seed: of the sharing out.
        images: another folder that holds the images of the source.
        link: links to the images instead of copies.
        progress: called with (pictures looked at, pictures in total).

    Returns:
        What was written, what could not be copied and what the format cannot hold.

    Raises:
        InputError: as of :func:`masu.data.formats.read_annotations` and
            :func:`masu.data.formats.writing.write_dataset`.
    """
    source, out = Path(source), Path(out)
    refuse_target(out, to)
    shares = None if split_by is None else parse_shares(split_by)
    annotations = read_annotations(source, form, images)
    strays = find_strays(source, annotations)
    data = writable(measured(annotations, progress))
    if shares is not None:
        prints = fingerprint_images(list(data.paths), progress=progress)
        data = share_out(data, shares, seed, near_duplicates(prints))
    lost = write_dataset(out, to, data, strays, link=link)
    parts = data.parts()
    drafts = said_of_drafts(data)
    return Converted(
        source_format=data.form,
        format=to,
        images={part_name(split, parts): len(part) for split, part in parts.items()},
        objects={part_name(split, parts): len(part.boxes) for split, part in parts.items()},
        faults=(
            *([] if drafts is None else [drafts]),
            *dict.fromkeys(str(fault) for fault in data.faults),
        ),
        lost=tuple(lost),
    )
