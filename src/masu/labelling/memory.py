"""What a sitting remembers beside labels: classes without a label yet, and doubts that were settled."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from masu.atomic import write_text
from masu.json_text import to_json
from masu.regular import read_text


class Memory:
    """Two small files.

    Args:
        out: the folder; it exists.

    Attributes:
        classes: names that were added, in their order.
        settled: of photographs whose doubts a person has looked at, the version of the labels then.
    """

    def __init__(self, out: Path) -> None:
        self._classes_file, self._settled_file = out / "classes.json", out / "settled.json"
        self.classes: tuple[str, ...] = ()
        self.settled: dict[str, str] = {}
        with suppress(OSError, ValueError, KeyError, TypeError):
            self.classes = tuple(str(name) for name in json.loads(read_text(self._classes_file))["classes"])
        with suppress(OSError, ValueError, KeyError, AttributeError):
            settled = json.loads(read_text(self._settled_file))["settled"]
            self.settled = {str(name): str(version) for name, version in settled.items()}

    def add_class(self, name: str) -> None:
        """Remember a class; one that is known is left alone.

        Raises:
            WriteError: where that cannot be written.
        """
        if name not in self.classes:
            write_text(self._classes_file, to_json({"classes": [*self.classes, name]}))
            self.classes = (*self.classes, name)

    def settle(self, photograph: str, version: str) -> None:
        """Remember that the labels of a photograph are right as they are.

        Raises:
            WriteError: where that cannot be written.
        """
        settled = self.settled | {photograph: version}
        write_text(self._settled_file, to_json({"settled": settled}))
        self.settled = settled
