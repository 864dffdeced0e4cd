"""When the model learns again, and which photographs it looks at."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from masu.labelling.background import Line, Process
from masu.labelling.found import Found
from masu.labelling.held_back import FEWEST
from masu.labelling.models import Models

AGAIN = 0.1
"""Share of the last round's answers that must be new before the next one; never fewer than ``FEWEST``."""

POOL = 200
"""Open photographs that each model looks at, to choose the next from; others when they are shown."""

CHECKED = 200
"""Labelled photographs that each model looks at for doubts."""

_MOST_DEATHS = 2  # of a drafter, until there is another model

State = Literal["off", "waiting", "training", "drafting", "ready", "failed", "paused"]


@dataclass(frozen=True)
class Situation:
    """What there is to look at and to learn from.

    Attributes:
        shown: the photographs on pages, and some that may come next.
        open: names without an answer.
        done: names with one, and with nothing unfinished.
        drawn: names of those to hold back, see :func:`masu.labelling.held_back.draw`.
    """

    shown: tuple[str, ...]
    open: tuple[str, ...]
    done: tuple[str, ...]
    drawn: frozenset[str]


class Teaching:
    """The learner and the drafter of a sitting.

    Args:
        folder: of the photographs.
        form: of their labels.
        models: where models are kept.
        held_back: file of :class:`masu.labelling.held_back.HeldBack`.
        seconds: of each training; 0: there is none, and no drafts.
        flip: whether objects are the same in a mirror: pictures are then learnt and looked at mirrored, too.
        situation: gives what there is now.
        news: called, from any thread, with the name of a photograph with new drafts, or None where something
            else is new.
        fault: called with the name of a photograph that cannot be read, and why.
        log: told in one line what goes wrong.
    """

    def __init__(
        self,
        folder: Path,
        form: str,
        models: Models,
        held_back: Path,
        seconds: float,
        *,
        flip: bool,
        situation: Callable[[], Situation],
        news: Callable[[str | None], None],
        fault: Callable[[str, str], None],
        log: Callable[[str], None],
    ) -> None:
        self.models = models
        self.found: dict[str, Found] = {}
        self.paused = False
        self.progress: float | None = None
        self._task = {
            "folder": str(folder),
            "form": form,
            "held_back": str(held_back),
            "seconds": seconds,
            "flip": flip,
        }
        self._folder, self._seconds = folder, seconds
        self._situation, self._news, self._fault, self._log = situation, news, fault, log
        self._lock = threading.RLock()
        self._learner: Process | None = None
        self._drafter: Process | None = None
        self._answers = models.last.answers if models.last else 0  # when the last training began
        self._failed, self._learned = "", False
        self._deaths = 0  # of drafters one after the other, without a photograph between them
        self._wanted: tuple[str, ...] = ()
        self._unread: set[str] = set()
        self._closed = False

    @property
    def missing(self) -> int:
        """Answers until the next training; 0 where it is due."""
        least = max(FEWEST, math.ceil(AGAIN * self._answers))
        return max(0, self._answers + least - len(self._situation().done))

    @property
    def state(self) -> State:
        """What goes on."""
        if not self._seconds:
            return "off"
        if self._learner is not None:
            return "training"
        if self.paused:
            return "paused"
        if self._failed:
            return "failed"
        if self.models.last is None:
            return "waiting"
        return "drafting" if self._undrafted() else "ready"

    @property
    def text(self) -> str:
        """The same in a sentence."""
        missing = self.missing
        more = f"{missing} more photographs" if missing > 1 else "1 more photograph"
        match self.state:
            case "off":
                return "Training is switched off."
            case "training":
                return "Learning from your labels."
            case "paused":
                return "Training is paused."
            case "failed":
                return f"The training failed: {self._failed}"
            case "waiting":
                return f"{more} until the first training." if missing else "The training is about to begin."
            case "drafting":
                return "Drafting boxes."
            case _:
                return f"{more} until it learns again." if missing else "The training is about to begin."

    def consider(self, *, now: bool = False) -> None:
        """Begin a training where one is due, or at once; draft what is wanted now."""
        with self._lock:
            if self._closed or not self._seconds:
                return
            situation = self._situation()
            done, drawn = situation.done, situation.drawn
            due = not self.paused and not self.missing
            if self._learner is None and (due or (now and len(done) >= FEWEST)):
                self._begin(done, drawn)
            self._draft()

    def close(self) -> None:
        """End both processes."""
        with self._lock:
            self._closed = True
            running = [one for one in (self._learner, self._drafter) if one is not None]
        for one in running:
            one.stop()

    def _begin(self, done: Sequence[str], drawn: Collection[str]) -> None:
        self._answers, self._failed, self.progress = len(done), "", 0.0
        weights = self.models.weights
        self._learner = Process("masu.labelling.learner", self._learner_told, self._learner_ended)
        self._learner.tell(
            {
                **self._task,
                "answered": done,
                "drawn": [name for name in done if name in drawn],
                "out": str(self.models.new_round()),
                "weights": None if weights is None else str(weights),
            }
        )
        self._news(None)

    def _learner_told(self, line: Line) -> None:
        with self._lock:
            event = line.get("event")
            if event == "progress":
                self.progress = float(line["progress"])
            elif event == "failed":
                self._failed = str(line["text"])
            elif event == "learned" and not self._closed:
                self.models.take(line, self._answers)
                self._learned = True
                self._wanted, self._deaths = (), 0
                self._unread.clear()
                self._hand_model()
        self._news(None)

    def _learner_ended(self, why: str) -> None:
        with self._lock:
            if not self._closed and not self._learned:
                self._failed = self._failed or why
                self._log(f"training: {self._failed}")
                self.models.clear()
            self._learner, self.progress, self._learned = None, None, False
        self._news(None)
        self.consider()

    def _undrafted(self) -> tuple[str, ...]:
        last = self.models.last
        assert last is not None
        now = self._situation()
        names = [*now.shown, *spread(now.open)[:POOL], *spread(now.done)[:CHECKED]]
        return tuple(
            name
            for name in dict.fromkeys(names)
            if name not in self._unread and (name not in self.found or self.found[name].model != last.version)
        )

    def _draft(self) -> None:
        if self.models.last is None or self._deaths >= _MOST_DEATHS:
            return
        wanted = self._undrafted()
        if not wanted or wanted == self._wanted:
            return
        if self._drafter is None:
            self._drafter = Process("masu.labelling.drafter", self._drafter_told, self._drafter_ended)
            self._hand_model()
        self._wanted = wanted
        self._drafter.tell({"wanted": [[name, str(self._folder / name)] for name in wanted]})

    def _hand_model(self) -> None:
        last = self.models.last
        if self._drafter is not None and last is not None:
            self._drafter.tell({"model": str(self.models.file), "version": last.version})

    def _drafter_told(self, line: Line) -> None:
        name = str(line["name"])
        with self._lock:
            self._deaths = 0
            if "fault" in line:
                self._unread.add(name)
            else:
                self.found[name] = Found.of(line)
        if "fault" in line:
            self._fault(name, line["fault"])
        self._news(name)

    def _drafter_ended(self, why: str) -> None:
        with self._lock:
            self._drafter = None
            if self._closed:
                return
            self._deaths += 1
            at = next((name for name in self._wanted if name in self._undrafted()), None)
            self._wanted = ()
            if at is not None:
                self._unread.add(at)  # the process may have ended over it, and would again
        self._log(f"drafting {at}: {why}")


def spread(names: Iterable[str]) -> list[str]:
    """The names in an order that has nothing to do with them, and is always the same."""
    return sorted(names, key=_place)


def following(name: str | None, names: Sequence[str]) -> str:
    """The first of the names after another one in the order of :func:`spread`, beginning anew at its end."""
    after = _place(name or "")
    return min(names, key=lambda one: (_place(one) <= after, _place(one)))


def _place(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
