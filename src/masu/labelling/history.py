"""What each photograph took: a line for each answer, written at once, never rewritten."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from masu.atomic import add_line
from masu.json_text import to_json
from masu.regular import open_text


@dataclass(frozen=True)
class Answered:
    """One photograph that a person answered.

    Attributes:
        photograph: its name.
        at: seconds since 1970.
        boxes: labels in it.
        drafts: boxes that the model had drafted; None: there was no model yet.
        edits: boxes that the person touched: drawn, moved, given another class, deleted.
        seconds: that the page showed it.
        model: that drafted, empty for none.
    """

    photograph: str
    at: float
    boxes: int
    drafts: int | None
    edits: int
    seconds: float
    model: str


class History:
    """The answers of all sittings.

    Args:
        file: the file; made with the first answer.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.answers: list[Answered] = []
        if file.is_file():
            with open_text(file, "utf-8", errors="replace") as lines:
                for line in lines:
                    with suppress(ValueError, TypeError):  # the last line of a killed process
                        self.answers.append(Answered(**json.loads(line)))

    def add(self, answered: Answered) -> None:
        """Write one more line, and bring it to the disk.

        Raises:
            WriteError: where there is no space or right.
        """
        add_line(self._file, to_json(asdict(answered)))
        self.answers.append(answered)

    def drafted(self, most: int) -> list[Answered]:
        """The last answers to photographs that had drafts, oldest first."""
        return [one for one in self.answers if one.drafts is not None][-most:]
