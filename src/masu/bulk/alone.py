"""Images one by one in a process of their own: which of them ends it is known, and the job lives on.

Damaged files can crash a decoder or take all memory; the operating system then ends the process, and no
``except`` sees it. Here a child answers image after image: where an answer is missing, the image is known.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from masu.bulk.table import ImageRow, require_pyarrow, to_table
from masu.errors import bad_input

if TYPE_CHECKING:
    import pyarrow

    from masu.bulk.shards import BatchPredictor

Answer = TypeVar("Answer")

TRIES = 2
"""How often an image may end the process: once may be chance, such as memory that another program took."""


def predict_alone(predictor: BatchPredictor, images: Sequence[str]) -> tuple[pyarrow.Table, list[str]]:
    """The rows of a shard, and which of its images ended the process twice; their rows have that as error.

    Args:
        predictor: one that can be pickled; the child loads it.
        images: at least one.

    Raises:
        InputError: of the predictor, or where the child ends before it is given an image.
    """
    tables, killers = [], []
    child: _Child | None = None
    try:
        for path in images:
            ends: list[str] = []
            while len(ends) < TRIES:
                child = child or _Child(predictor)
                table = child.predict(path)
                if table is not None:
                    break
                ends.append(child.ending())
                child = None
            else:
                killers.append(path)
                how = " and ".join(dict.fromkeys(ends))
                table = to_table([ImageRow(path, error=f"reading it ended the process twice ({how})")])
            tables.append(table)
    finally:
        if child is not None:
            child.stop()
    return require_pyarrow().concat_tables(tables), killers


def ask_elsewhere(predictor: Callable[[Mapping[str, Sequence[str]]], Answer]) -> Answer:
    """What a predictor answers to a batch of no images in a child process, which ends: this one stays small.

    Raises:
        InputError: of the predictor, or where the child ends by it.
    """
    child = _Child(predictor)
    child.stop()
    answer: Answer = child.first
    return answer


class _Child:
    """The process: it loads the predictor, then answers image after image.

    Attributes:
        first: the answer to no images.
    """

    def __init__(self, predictor: Callable[[Mapping[str, Sequence[str]]], Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "masu.bulk.alone"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is for the job, which stops this one
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            self.first = self._ask(predictor)
        except BaseException:
            self.stop()
            raise
        if self.first is None:
            found = f"a process that ends when it loads the model ({self.ending()})"
            raise bad_input("job", found, "one that reads images", "look at the memory", code="lost-process")

    def predict(self, path: str) -> pyarrow.Table | None:
        """The row of an image; None where the process ended."""
        return self._ask(path)

    def _ask(self, question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(question, self._process.stdin)
            self._process.stdin.flush()
            answer = pickle.load(self._process.stdout)  # noqa: S301 of our own child
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ending(self) -> str:
        """How it ended by itself."""
        code = self._process.wait()
        self._close()
        if code >= 0:
            return f"exit code {code}"
        return {one.value: one.name for one in signal.Signals}.get(-code, f"signal {-code}")

    def stop(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # a question that it did not take any more
                assert pipe is not None
                pipe.close()


def _answer() -> None:
    """What the child does."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    predictor: BatchPredictor = pickle.load(questions)  # noqa: S301 of the process that started this one
    paths: list[str] = []
    while True:
        try:
            answer: Any = predictor({"path": paths})  # of no paths: the model is loaded
        except Exception as error:  # noqa: BLE001 the job is to end by it, not by a process that is gone
            answer = error
        try:
            pickle.dump(answer, answers)
            answers.flush()
            paths = [pickle.load(questions)]  # noqa: S301
        except (EOFError, BrokenPipeError):
            return


if __name__ == "__main__":
    _answer()
