"""A label file and the line of its photograph in a list: two files that change in one step.

What is about to change is written down beside the label file first. Where a process is killed in between, the
next one reads that and has the list say what is there: see :func:`settle`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from masu.atomic import WriteError, not_written, write_text
from masu.data.formats.editing import write_in_place
from masu.data.formats.split_lines import with_line, without_line
from masu.json_text import to_json
from masu.regular import read_bytes, read_text

STEP = ".masu-labels.step"
"""The file that says which labels of its folder, and which list, are being changed."""


@dataclass(frozen=True)
class ListLine:
    """Where a photograph is listed for training.

    Attributes:
        file: the list.
        line: of the photograph in it.
    """

    file: Path
    line: str

    def add(self) -> None:
        """Have the list name the photograph.

        Raises:
            WriteError: where the list cannot be written.
        """
        self._rewrite(with_line)

    def remove(self) -> None:
        """Take the photograph off the list.

        Raises:
            WriteError: where the list cannot be written.
        """
        self._rewrite(without_line)

    def _rewrite(self, change: Callable[[bytes, bytes], bytes]) -> None:
        try:
            before = read_bytes(self.file)
        except OSError as error:
            raise not_written(self.file, error) from None
        after = change(before, self.line.encode("utf-8", "surrogateescape"))
        if after != before:
            write_in_place(self.file, after)


@contextmanager
def one_step(listed: ListLine, labels: Path, root: Path) -> Iterator[None]:
    """Within it a label file and its photograph's line change; what goes wrong there is put right.

    Args:
        listed: the line.
        labels: the label file.
        root: folder of the data set.

    Raises:
        WriteError: where it cannot be written down before; nothing has changed then.
    """
    settle(labels.parent, root)
    step = labels.with_name(STEP)
    said = {"labels": labels.name, "list": os.path.relpath(listed.file, labels.parent), "line": listed.line}
    write_text(step, to_json(said))
    try:
        yield
    except BaseException:
        with suppress(WriteError):  # what cannot be put right now is at the next change, or the next start
            settle(labels.parent, root)
        raise
    step.unlink(missing_ok=True)


def settle(folder: Path, root: Path) -> None:
    """Have a list name a photograph where its label file is there, and not where it is gone.

    Args:
        folder: of label files, in which a change may not have come to its end.
        root: of the data set; no file is changed that lies elsewhere, or that is no ``.txt``.

    Raises:
        WriteError: where the list cannot be written.
    """
    step = folder / STEP
    try:
        said = json.loads(read_text(step))
        labels, line = folder / said["labels"], ListLine(folder / said["list"], said["line"] + "")
    except FileNotFoundError:
        return
    except (OSError, ValueError, LookupError, TypeError):
        return  # nothing that masu wrote
    inside = Path(os.path.realpath(line.file)).is_relative_to(os.path.realpath(root))
    if inside and line.file.suffix == ".txt" and line.file.is_file():
        line.add() if os.path.lexists(labels) else line.remove()
    step.unlink(missing_ok=True)
