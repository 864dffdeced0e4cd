"""A sitting: the labels of a folder of photographs as a person makes them, kept at once.

Nothing is overwritten that was not seen: whoever saves names the version of the labels that was on the page,
and is refused where somebody else has changed them meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple
from unicodedata import category

import torch
from torch import Tensor

from masu.atomic import WriteError
from masu.data.formats.editing import ChangedError, Entry, LabelFiles, Loaded
from masu.errors import InputError, bad_input
from masu.labelling.arrivals import Arrivals
from masu.labelling.edits import NEAR, USUAL, edits_between
from masu.labelling.found import Found
from masu.labelling.history import Answered, History
from masu.labelling.memory import Memory
from masu.labelling.photographs import Photographs, Shown, name_of, size_of
from masu.labelling.second_look import Doubt, doubts_of
from masu.labelling.unfinished import Suggestion, Unfinished, Work
from masu.ops.geometry import iou

State = Literal["open", "unfinished", "done", "locked"]

_Doubted = tuple[str, str, tuple[Doubt, ...]]
"""Versions of labels and model, and what the model doubts."""

_BETWEEN = "/"
_AT_ONCE = 200  # photographs that are taken in at one look
_UNSEEN = ("Cc", "Cs", "Co", "Cn")  # categories of letters that no name of a class has


@dataclass
class Photograph:
    """What is known of one photograph.

    Attributes:
        state: ``open`` has no answer; ``unfinished`` has work that is not done; ``done`` has labels, or none
            where nothing is to be labelled; ``locked`` cannot be read, or its labels cannot be changed.
        boxes: labels in it, of unfinished work those.
        version: of its label file.
        why: it is locked.
        changed: number of the change that it was last part of.
        drafts: boxes that a model drafted in its file and nobody has confirmed; None: no file of drafts.
    """

    state: State
    boxes: int
    version: str
    why: str = ""
    changed: int = 0
    drafts: int | None = None


@dataclass(frozen=True)
class View:
    """A photograph as the page shows it.

    Attributes:
        name: its name.
        size: height and width, upright; 0 of one that cannot be read.
        state: see :class:`Photograph`.
        version: of all that a save replaces: the label file and the unfinished work.
        why: it is locked.
        entries: its labels.
        drafts: boxes of the model that nobody has decided on; None where no model has looked.
        doubts: of the model about the labels.
        drafted: the drafts are those of its file, which are all worth showing: somebody asked for them.
    """

    name: str
    size: tuple[int, int]
    state: State
    version: str
    why: str
    entries: tuple[Entry, ...]
    drafts: tuple[Suggestion, ...] | None
    doubts: tuple[Doubt, ...] = field(default=())
    drafted: bool = False


class _Offered(NamedTuple):
    """What the page was shown of a photograph without an answer.

    Attributes:
        model: that drafted.
        drafts: what it drafted.
        all_shown: the page shows them all, whatever their score.
    """

    model: str
    drafts: tuple[Suggestion, ...]
    all_shown: bool = False


class ConflictError(Exception):
    """Somebody else has changed the labels that were to be saved; nothing was written.

    Attributes:
        theirs: what there is now, and the version with which it can be overwritten.
    """

    def __init__(self, theirs: View) -> None:
        super().__init__(f"{theirs.name} was changed by somebody else meanwhile")
        self.theirs = theirs


class Sitting:
    """The photographs, their labels, and what is unfinished. Any thread may call it.

    Args:
        photographs: those to label.
        files: the files that hold the labels.
        out: the folder of what is no label; it exists.
        log: told in one line what could not be written down beside labels.
    """

    def __init__(
        self, photographs: Photographs, files: LabelFiles, out: Path, log: Callable[[str], None]
    ) -> None:
        self.photographs = photographs
        self.history = History(out / "history.jsonl")
        self.changes = 0
        self._files, self._out, self._log = files, out, log
        self._arrivals = Arrivals(photographs.folder, photographs.paths.values())
        self._arrived: list[Path] = []
        self._memory = Memory(out)
        self._unfinished = Unfinished(out / "unfinished")
        self._lock = threading.RLock()
        self._doubted: dict[str, _Doubted] = {}
        self._drafted: dict[str, _Offered | None] = {}  # what the page was shown of open photographs
        self._unreadable: dict[str, tuple[str, str]] = {}  # stamp of the file, and why
        self._work = {work.photograph: work for work in self._unfinished.all()}
        self.known = {name: self._looked_at(name) for name in photographs.paths}

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that were added, in the order in which they were, then those of the labels."""
        return tuple(dict.fromkeys((*self._memory.classes, *self._files.names)))

    def add_class(self, name: str) -> str:
        """One more class, which labels may have; the name as it is kept, with single spaces.

        Raises:
            InputError: an empty name, or one of characters that cannot be shown.
        """
        clean = " ".join(name.split())
        if not clean or any(category(letter) in _UNSEEN for letter in clean):
            raise bad_input("class", repr(name[:80]), "a name", "type one")
        with self._lock:
            if clean not in self.classes:
                self._memory.add_class(clean)
                self._count(None)
            return clean

    def in_state(self, *states: State) -> tuple[str, ...]:
        """The names of all photographs in one of these states, in order."""
        return tuple(name for name, one in self.known.items() if one.state in states)

    @property
    def drafted(self) -> int:
        """Photographs whose files hold drafts that nobody has confirmed, of no box too."""
        return sum(one.drafts is not None for one in self.known.values())

    def view(self, name: str, found: Found | None) -> View:
        """One photograph.

        Args:
            name: its name.
            found: what the model found in it.

        Raises:
            KeyError: no such photograph.
        """
        with self._lock:
            try:
                size = size_of(self.photographs.paths[name])
            except InputError as error:
                self.unreadable(name, error.found)
                return View(name, (0, 0), "locked", "", error.found, (), None)
            one = self._renewed(name)
            loaded = self._files.load(self.photographs.paths[name])
            offered = _offered(loaded, found)
            filed = offered is not None and offered.all_shown
            if one.state == "open":
                self._drafted[name] = offered
            version, work = self.version_of(name), self._work.get(name)
            if work is not None:
                drafts = work.drafts
                if drafts is None and offered is not None:
                    drafts = _undecided(offered.drafts, work.entries)
                return View(name, size, one.state, version, one.why, work.entries, drafts, drafted=filed)
            drafts = () if one.state != "open" else None if offered is None else offered.drafts
            doubts = self._doubts(name, found)
            entries = loaded.entries or ()
            return View(name, size, one.state, version, one.why, entries, drafts, doubts, filed)

    def doubtful(self, found: Mapping[str, Found]) -> list[tuple[str, Doubt]]:
        """Photographs with labels that the model doubts, each with the first doubt; the surest first."""
        with self._lock:
            doubts = [
                (name, self._doubts(name, found[name])) for name in self.in_state("done") if name in found
            ]
        return [(name, own[0]) for name, own in doubts if own]

    def work_on(
        self, name: str, version: str, entries: Sequence[Entry], drafts: Sequence[Suggestion] | None
    ) -> View:
        """Keep what is unfinished, beside the label file.

        Args:
            name: of the photograph.
            version: that was on the page.
            entries: the boxes so far.
            drafts: those that are undecided.

        Raises:
            KeyError: no such photograph.
            ConflictError: it is of another version now.
            InputError: it is locked, or a box or name cannot be.
            WriteError: where it cannot be written.
        """
        with self._lock:
            self._require(name, version)
            self._check(entries)
            work = Work(name, self._base(name), tuple(entries), None if drafts is None else tuple(drafts))
            self._unfinished.keep(work)
            self._work[name] = work
            return self._saved(name)

    def answer(
        self,
        name: str,
        version: str,
        entries: Sequence[Entry],
        *,
        least: Mapping[str, float] | None = None,
        seconds: float = 0.0,
    ) -> View:
        """The labels of a photograph are these and no others.

        Args:
            name: of the photograph.
            version: that was on the page.
            entries: all boxes; none says that there is nothing to label.
            least: the score of each class from which its drafts were shown; 0.5 where none is said.
            seconds: that the page showed the photograph.

        Raises:
            KeyError, ConflictError, InputError, WriteError: as of :meth:`work_on`.
        """
        path = self.photographs.paths[name]
        with self._lock:
            self._require(name, version)
            self._check(entries)
            first = self.known[name].state != "done"
            doubted = bool(self._doubted.get(name, ("", "", ()))[2])
            try:
                saved = self._files.save(path, size_of(path), entries, self._base(name))
            except ChangedError:
                raise ConflictError(self._theirs(name)) from None
            self._forget(name)
            view = self._saved(name)
            try:
                if first:
                    offered = self._drafted.pop(name, None)
                    self.history.add(_answered(name, entries, offered, least or {}, seconds))
                elif doubted:
                    self._memory.settle(name, saved)
            except WriteError as error:  # the labels themselves are safe
                self._log(str(error))
            return view

    def take_back(self, name: str, version: str) -> View:
        """A photograph has no answer any more; its labels are kept in the folder ``taken-back``.

        Raises:
            KeyError, ConflictError, InputError, WriteError: as of :meth:`work_on`.
        """
        path = self.photographs.paths[name]
        with self._lock:
            self._require(name, version)
            if base := self._base(name):
                try:
                    self._files.take_back(path, base, self._out / "taken-back")
                except ChangedError:
                    raise ConflictError(self._theirs(name)) from None
            self._forget(name)
            return self._saved(name)

    def drop_work(self, name: str, version: str) -> View:
        """Forget what is unfinished; the labels are those of the file again.

        Raises:
            KeyError, ConflictError, InputError: as of :meth:`work_on`.
        """
        with self._lock:
            self._require(name, version)
            self._forget(name)
            return self._saved(name)

    def unreadable(self, name: str, why: str) -> None:
        """A photograph that cannot be read, until its file is another one."""
        with self._lock:
            self._unreadable[name] = (self.stamp(name), why)
            self._renewed(name)

    def stamp(self, name: str) -> str:
        """Another text as soon as the file of a photograph is another.

        Raises:
            KeyError: no such photograph.
        """
        try:
            said = self.photographs.paths[name].stat()
        except OSError:
            return "gone"
        return f"{said.st_mtime_ns:x}-{said.st_size:x}"

    def picture(self, name: str, make: Callable[[Path], Shown]) -> Shown:
        """A photograph as a browser takes it; one that cannot be read is locked from then on.

        Raises:
            KeyError: no such photograph.
            InputError: as of ``make``.
        """
        try:
            return make(self.photographs.paths[name])
        except InputError as error:
            self.unreadable(name, error.found)
            raise

    def news(self, since: int) -> tuple[int, list[tuple[str, Photograph]]]:
        """The number of the last change, and the photographs that were changed after one."""
        with self._lock:
            return self.changes, [(name, one) for name, one in self.known.items() if one.changed > since]

    def look_for_changes(self) -> None:
        """Take note of photographs that have come, and of what others have changed in the label files."""
        with self._lock:
            self._meet()
            folder = self.photographs.folder
            names = [name_of(path, folder) for path in self._files.changed()]
            for name in (*names, *self._unreadable):
                if name in self.known:
                    self._renewed(name)

    def _meet(self) -> None:
        """Take in photographs that have come, a part of very many at a time."""
        self._arrived += self._arrivals.look()
        now = self._arrived[:_AT_ONCE]
        photographs = self.photographs.with_more(now)
        if photographs is not self.photographs:
            fresh = [name for name in photographs.paths if name not in self.known]
            self._files.meet([photographs.paths[name] for name in fresh])
            self.photographs = photographs
            self.known = {name: self.known.get(name) or self._looked_at(name) for name in photographs.paths}
            for name in fresh:
                self._count(name)
        self._arrived = self._arrived[len(now) :]  # last: what could not be met is met the next time

    def _forget(self, name: str) -> None:
        self._unfinished.forget(name)
        self._work.pop(name, None)

    def _looked_at(self, name: str) -> Photograph:
        loaded = self._files.load(self.photographs.paths[name])
        work = self._work.get(name)
        if name in self._unreadable:
            stamp, why = self._unreadable[name]
            if stamp == self.stamp(name):
                return Photograph("locked", len(loaded.entries or ()), loaded.version, why)
            del self._unreadable[name]
        if loaded.why:
            return Photograph("locked", len(loaded.entries or ()), loaded.version, loaded.why)
        if work is not None:
            return Photograph("unfinished", len(work.entries), loaded.version)
        state: State = "open" if loaded.entries is None else "done"
        drafts = None if loaded.unconfirmed is None else len(loaded.unconfirmed.entries)
        return Photograph(state, len(loaded.entries or ()), loaded.version, drafts=drafts)

    def _renewed(self, name: str) -> Photograph:
        """As the files say it now."""
        before = self.known[name]
        now = self._looked_at(name)
        if replace(now, changed=before.changed) != before:
            self.known[name] = now
            self._count(name)
        return self.known[name]

    def _saved(self, name: str) -> View:
        self.known[name] = self._looked_at(name)
        self._count(name)
        one = self.known[name]
        return View(name, (0, 0), one.state, self.version_of(name), one.why, (), None)

    def _count(self, name: str | None) -> None:
        self.changes += 1
        if name is not None:
            self.known[name].changed = self.changes

    def news_of(self, name: str) -> None:
        """Something beside the labels is new: the page is to ask again."""
        with self._lock:
            self._count(name)

    def version_of(self, name: str) -> str:
        """Of the label file that is there, or that unfinished work began with, and of that work."""
        work = self._work.get(name)
        return self.known[name].version if work is None else f"{work.base}{_BETWEEN}{work.version}"

    def _base(self, name: str) -> str:
        """The version of the label file that the boxes on the page began with."""
        return self._work[name].base if name in self._work else self.known[name].version

    def _require(self, name: str, version: str) -> None:
        one = self._renewed(name)
        if one.state == "locked":
            raise bad_input(name, one.why, "a photograph whose labels can be changed", "mend the file")
        if version == self.version_of(name):
            return
        # "keep mine" names the version of the file that was shown as theirs
        if name in self._work and version == f"{one.version}{_BETWEEN}{self._work[name].version}":
            work = self._work[name]
            self._work[name] = Work(name, one.version, work.entries, work.drafts)
            return
        raise ConflictError(self._as_filed(name))

    def _theirs(self, name: str) -> View:
        self._renewed(name)
        return self._as_filed(name)

    def _as_filed(self, name: str) -> View:
        """What the label file says, whatever is unfinished here; or the unfinished work of another page."""
        one, work = self.known[name], self._work.get(name)
        path = self.photographs.paths[name]
        if work is not None and work.base == one.version:
            return View(
                name, size_of(path), one.state, self.version_of(name), one.why, work.entries, work.drafts
            )
        loaded = self._files.load(path)
        version = one.version if work is None else f"{one.version}{_BETWEEN}{work.version}"
        state: State = "open" if loaded.entries is None else "done"
        return View(name, size_of(path), state, version, one.why, loaded.entries or (), None)

    def _check(self, entries: Sequence[Entry]) -> None:
        classes = self.classes
        for entry in entries:
            if entry.name not in classes:
                raise bad_input(
                    "class", repr(entry.name[:80]), "one that was added before", code="unknown-name"
                )

    def _doubts(self, name: str, found: Found | None) -> tuple[Doubt, ...]:
        if found is None or self.known[name].state != "done":
            return ()
        version = self.known[name].version
        if self._memory.settled.get(name) == version:
            return ()
        known = self._doubted.get(name)
        if known is None or known[:2] != (version, found.model):
            entries = self._files.load(self.photographs.paths[name]).entries
            known = self._doubted[name] = (version, found.model, doubts_of(entries or (), found))
        return known[2]


def _undecided(drafts: Sequence[Suggestion], entries: Sequence[Entry]) -> tuple[Suggestion, ...]:
    """Drafts for a photograph that a person has begun without: those of objects that are not drawn yet."""
    if not entries:
        return tuple(drafts)
    nearest = iou(_boxes(drafts), _boxes(entries)).amax(1)
    return tuple(draft for draft, near in zip(drafts, nearest.tolist(), strict=True) if near < NEAR)


def _offered(loaded: Loaded, found: Found | None) -> _Offered | None:
    """The drafts of a photograph's file, else those of the model; None where no model has looked."""
    own = loaded.unconfirmed
    if own is not None:
        rows = zip(own.entries, own.scores, strict=True)
        drafts = tuple(Suggestion(entry.box, entry.name, score) for entry, score in rows)
        return _Offered(own.model, drafts, all_shown=True)
    return None if found is None else _Offered(found.model, found.drafts)


def _answered(
    name: str,
    entries: Sequence[Entry],
    offered: _Offered | None,
    least: Mapping[str, float],
    seconds: float,
) -> Answered:
    if offered is None:
        return Answered(name, time.time(), len(entries), None, len(entries), seconds, "")
    drafts = [
        draft for draft in offered.drafts if offered.all_shown or draft.score >= least.get(draft.name, USUAL)
    ]
    edits = edits_between(
        _boxes(drafts).numpy(),
        [draft.name for draft in drafts],
        _boxes(entries).numpy(),
        [entry.name for entry in entries],
    )
    return Answered(name, time.time(), len(entries), len(drafts), edits.count, seconds, offered.model)


def _boxes(rows: Sequence[Entry] | Sequence[Suggestion]) -> Tensor:
    return torch.tensor([row.box for row in rows], dtype=torch.float64).reshape(-1, 4)
