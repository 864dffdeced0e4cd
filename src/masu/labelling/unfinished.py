"""Work that is not done yet: what a person drew in a photograph before saying that this is all.

A label file with half of the objects would teach a detector that the others are background, so it is kept
apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from masu.atomic import sweep, write_text
from masu.data.formats.editing import Entry
from masu.drafts.draft import Box
from masu.json_text import to_json
from masu.regular import read_text

_DIGITS = 16


@dataclass(frozen=True)
class Suggestion:
    """A box that the model drafted and nobody has decided on.

    Attributes:
        box: xyxy in pixels of the upright photograph.
        name: its class.
        score: 0 to 1.
    """

    box: Box
    name: str
    score: float


@dataclass(frozen=True)
class Work:
    """What was drawn in one photograph so far.

    Attributes:
        photograph: its name.
        base: the version of its label file that the work began with.
        entries: the boxes.
        drafts: those that are still undecided; None: it began before there were any.
    """

    photograph: str
    base: str
    entries: tuple[Entry, ...]
    drafts: tuple[Suggestion, ...] | None

    @property
    def version(self) -> str:
        """Another one as soon as the work is another."""
        return hashlib.sha256(_text(self).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


class Unfinished:
    """The unfinished work of a sitting, a file for each photograph.

    Args:
        folder: where; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)

    def all(self) -> Iterator[Work]:
        """What was kept; a file that cannot be read is left where it is."""
        for file in sorted(self._folder.glob("*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                yield _work(json.loads(read_text(file)))

    def keep(self, work: Work) -> None:
        """Write it, whole, in the place of what was kept of this photograph before.

        Raises:
            WriteError: where that cannot be done; what was kept before is as it was.
        """
        write_text(self._file(work.photograph), _text(work))

    def forget(self, photograph: str) -> None:
        """The work is done."""
        self._file(photograph).unlink(missing_ok=True)

    def _file(self, photograph: str) -> Path:
        return self._folder / f"{hashlib.sha256(photograph.encode()).hexdigest()[:_DIGITS]}.json"


def _text(work: Work) -> str:
    return to_json(asdict(work))


def _work(content: dict[str, Any]) -> Work:
    entries = tuple(
        Entry(tuple(one["box"]), str(one["name"]), int(one["flag"]), tuple(one["place"]))
        for one in content["entries"]
    )
    drafts = content["drafts"]
    if drafts is not None:
        drafts = tuple(Suggestion(tuple(one["box"]), str(one["name"]), float(one["score"])) for one in drafts)
    return Work(str(content["photograph"]), str(content["base"]), entries, drafts)
