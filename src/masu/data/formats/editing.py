"""Labels of single photographs, changed in the files in which they stand: what is said of them, the plan.

What nobody changed stays in its file as it is written there. ``one_file_each.py`` does it for the formats
that have a file for each photograph.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np

from masu.atomic import beside, not_written, put_in_place, write_new
from masu.data.fitting import as_stored, fit_box, of_stored_picture, upright
from masu.data.formats.rows import BadEntryError, Box, class_name
from masu.errors import bad_input

LOCK = ".masu-labels.lock"
"""The file that says that labels of its folder are being written."""

DIGITS = 2
"""Digits after the point of pixels that are written."""

_LATEST = 32  # photographs of which it is known what was said of them before others changed it

_SAME = 0.01  # pixels; below it a box has not been moved


Stamp = tuple[int, int, int]
"""When a file was written (nanoseconds), its bytes, its number in the file system."""


@dataclass(frozen=True)
class Entry:
    """One object of a photograph.

    Attributes:
        box: xyxy in pixels of the upright photograph.
        name: its class.
        flag: see :attr:`masu.data.dataset.Dataset.flags`.
        place: which object of its file it is; () where it is not there yet. It is to be handed back as it
            came, and goes on meaning this object after others were saved.
    """

    box: Box
    name: str
    flag: int = 0
    place: tuple[int, ...] = ()


@dataclass(frozen=True)
class Unconfirmed:
    """What a model drafted in the file of a photograph, which nobody has confirmed.

    Attributes:
        model: its version.
        entries: the objects.
        scores: of each, 0 to 1.
    """

    model: str
    entries: tuple[Entry, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Loaded:
    """What the files say of a photograph.

    Attributes:
        entries: its objects, none where it was looked at and has none; None where there is no answer yet.
        version: another text as soon as its labels are others; empty where it has no file or is not listed.
        why: why its labels cannot be changed; empty where they can.
        unconfirmed: drafts that its file holds in the place of an answer.
    """

    entries: tuple[Entry, ...] | None
    version: str
    why: str = ""
    unconfirmed: Unconfirmed | None = None


class ChangedError(Exception):
    """Somebody else has changed the labels of a photograph; nothing was written.

    Attributes:
        current: what its file says now.
    """

    def __init__(self, photo: Path, current: Loaded) -> None:
        super().__init__(f"{photo}: its labels were changed by somebody else")
        self.current = current


class LabelFiles(Protocol):
    """The labels of the photographs below a folder, in the files of one format.

    A file is replaced whole, under a lock (:func:`masu.atomic.alone_in`) and only where it still says what
    was loaded: of two who save the same photograph one gets a :class:`ChangedError`. Programs that know
    nothing of the lock, and drives without locks, leave a moment between the look and the replacement, some
    thousandths of a second, in which a change may be lost.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The classes of the data set, in its order; those that are new come last."""
        ...

    def file_of(self, photo: Path) -> Path:
        """The file in which the labels of a photograph stand, or would."""
        ...

    def load(self, photo: Path) -> Loaded:
        """What the files say of a photograph now. An unusable file is no error but a ``why``."""
        ...

    def save(self, photo: Path, size: tuple[int, int], entries: Sequence[Entry], version: str) -> str:
        """Have the file say these objects and no others.

        Objects that cannot be understood, and boxes that reading leaves out, stay as they are. A box that was
        moved is a rectangle from then on, whatever shape it was of.

        Args:
            photo: the photograph.
            size: its height and width, upright.
            entries: all its objects.
            version: of what was loaded.

        Returns:
            The new version; the same where nothing had to be written.

        Raises:
            ChangedError: the labels are of another version now.
            InputError: labels that cannot be changed, a box without area inside the photograph, a name or
                flag that the format cannot hold.
            WriteError: a file that cannot be written; it is as it was.
        """
        ...

    def take_back(self, photo: Path, version: str, into: Path) -> None:
        """Leave a photograph without an answer again; what was its answer is kept.

        Args:
            photo: the photograph.
            version: of what was loaded.
            into: folder below which the file, or a file with its objects, is put.

        Raises:
            ChangedError, InputError, WriteError: as of :meth:`save`.
        """
        ...

    def meet(self, photos: Sequence[Path]) -> None:
        """Take note of photographs that have come below the folder since; files may name them already."""
        ...

    def changed(self) -> tuple[Path, ...]:
        """The photographs whose files others have changed since the last call, or since this was made.

        A cheap look: times and sizes of files, nothing is read.
        """
        ...


@dataclass(frozen=True)
class Frame:
    """Between the boxes of a file and those of the upright photograph.

    Attributes:
        size: of the photograph, height and width, upright.
        orientation: EXIF orientation by which boxes are turned; 1 leaves them as they are.
    """

    size: tuple[int, int]
    orientation: int = 1

    @classmethod
    def of(cls, size: tuple[int, int], orientation: int, said: tuple[int, int] | None) -> Frame:
        """That of a file which says a size; boxes are turned where the reader of data sets turns them."""
        stored = (
            said is not None
            and of_stored_picture(np.array([said]), np.array([size]), np.array([orientation])).all()
        )
        return cls(size, orientation if stored else 1)

    def shown(self, box: Box) -> Box | None:
        """A box of the file as one of the photograph, cut to it; None for one that reading leaves out."""
        x1, y1, x2, y2 = self._turned(box, upright, self.size[::-1] if self.orientation >= 5 else self.size)
        if fit_box((x1, y1, x2, y2), self.size).box is None:
            return None
        height, width = self.size
        return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))

    def written(self, box: Box) -> Box:
        """A box of the photograph as one of the file, with :data:`DIGITS`."""
        x1, y1, x2, y2 = (round(value, DIGITS) for value in self._turned(box, as_stored, self.size))
        return x1, y1, x2, y2

    def _turned(self, box: Box, turn: Callable[..., np.ndarray], size: tuple[int, int]) -> Box:
        if self.orientation == 1:
            return box
        x1, y1, x2, y2 = turn(np.array([box], np.float64), self.orientation, size)[0].tolist()
        return x1, y1, x2, y2


@dataclass(frozen=True)
class Held:
    """An object as it stands in a file.

    Attributes:
        entry: what it says, with its place.
        rows: its parts, by their position in the file's list: shapes, lines or elements.
        texts: these parts as they are written.
    """

    entry: Entry
    rows: tuple[int, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What to change in the list of a file.

    Attributes:
        replaced: new texts by position; None: the part goes.
        added: texts that come at the end.
    """

    replaced: Mapping[int, str | None] = field(default_factory=dict)
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.replaced or self.added)


class Past:
    """Objects as they were written before, by photograph and place: one that comes back does so as it was.

    Known are those that were changed here, and all of the photographs that were looked at last.
    """

    def __init__(self) -> None:
        self._changed: dict[str, dict[tuple[int, ...], Held]] = {}
        self._seen: dict[str, dict[tuple[int, ...], Held]] = {}

    def see(self, key: str, held: Sequence[Held]) -> None:
        """Take note of what is said of a photograph now."""
        self._seen[key] = self._seen.pop(key, {}) | {one.entry.place: one for one in held}
        if len(self._seen) > _LATEST:
            del self._seen[next(iter(self._seen))]

    def change(self, key: str, held: Sequence[Held], plan: Plan) -> None:
        """Take note of what is changed, and of its likes, whose places may be others afterwards."""
        marks = {one.entry.place[:1] for one in held if not plan.replaced.keys().isdisjoint(one.rows)}
        if marks:
            known = self._changed.setdefault(key, {})
            known |= {one.entry.place: one for one in held if one.entry.place[:1] in marks}

    def of(self, key: str) -> Mapping[tuple[int, ...], Held]:
        """All that is known of a photograph."""
        return self._seen.get(key, {}) | self._changed.get(key, {})


def held_in_order(objects: Sequence[tuple[Box, str, int, tuple[int, ...], tuple[str, ...]]]) -> list[Held]:
    """Objects with their places: made of what is written, so that it stays when others come and go.

    Args:
        objects: box, class, flag, positions and texts of each; see :class:`Held`.
    """
    counts: dict[int, int] = {}
    found = []
    for box, name, flag, rows, texts in objects:
        digest = hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=6).digest()
        mark = int.from_bytes(digest)  # of 48 bits, which a number of JavaScript holds
        counts[mark] = counts.get(mark, -1) + 1
        found.append(Held(Entry(box, name, flag, (mark, counts[mark])), rows, texts))
    return found


def planned(
    held: Sequence[Held],
    entries: Sequence[Entry],
    gone: Mapping[tuple[int, ...], Held],
    change: Callable[[Held, Entry], tuple[str, ...]],
    back: Callable[[Held, Entry], tuple[str, ...]],
    new: Callable[[Entry], str],
) -> Plan:
    """What to change in a file so that it says the entries.

    Args:
        held: what it says now.
        entries: what it is to say.
        gone: objects that it said before, by place: one that comes back does so with all that was said of it.
        change: the parts of an object that is to say something else: as many as it has, or one.
        back: the parts of an object that comes back, which may say something else by now.
        new: the part of an object that was never there.
    """
    free = {one.entry.place: one for one in held}
    replaced: dict[int, str | None] = {}
    added: list[str] = []
    later = []
    for entry in entries:
        one = free.pop(entry.place, None)
        if one is None:
            later.append(entry)
        elif not same(one.entry, entry):
            _replace(one, change(one, entry), replaced)
    for entry in later:
        twin = next((one for one in free.values() if same(one.entry, entry)), None)
        if twin is not None:
            del free[twin.entry.place]
            continue
        before = gone.get(entry.place)
        added += (new(entry),) if before is None else back(before, entry)
    for one in free.values():
        replaced.update(dict.fromkeys(one.rows))
    return Plan(replaced, tuple(added))


def _replace(one: Held, texts: tuple[str, ...], replaced: dict[int, str | None]) -> None:
    replaced.update(dict.fromkeys(one.rows))
    replaced.update(zip(one.rows, texts, strict=False))


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries say the same object, up to the digits that files hold."""
    return (one.name, one.flag) == (other.name, other.flag) and not moved(one, other)


def moved(one: Entry, other: Entry) -> bool:
    """Whether two entries have different boxes."""
    return any(abs(a - b) >= _SAME for a, b in zip(one.box, other.box, strict=True))


def usable_entries(photo: Path, size: tuple[int, int], entries: Sequence[Entry]) -> list[Entry]:
    """The entries with their boxes cut to the photograph, and names as reading gives them.

    Raises:
        InputError: a box without area inside the photograph, or an empty name.
    """
    frame = Frame(size)
    found = []
    for number, entry in enumerate(entries, start=1):
        box, name = frame.shown(entry.box), class_name(entry.name.strip())
        rounded = frame.shown(frame.written(box)) if box is not None else None
        if box is None or rounded is None:
            shown = " ".join(f"{value:g}" for value in entry.box)
            raise bad_input(
                f"{photo}, label {number}", f"box {shown}", "one with an area inside the photograph"
            )
        if not name:
            raise bad_input(f"{photo}, label {number}", "no name", "the name of a class")
        found.append(replace(entry, box=box, name=name))
    return found


def stamp_of(file: str | os.PathLike[str]) -> Stamp | None:
    """What changes when a file is written; None where there is none."""
    try:
        return stamp_in(os.stat(file))
    except OSError:
        return None


def stamp_in(found: os.stat_result) -> Stamp:
    """The stamp in what the system says of a file."""
    return found.st_mtime_ns, found.st_size, found.st_ino


def write_in_place(file: Path, content: bytes) -> Stamp | None:
    """Replace a file as a whole; its rights stay, and a link stays one.

    Returns:
        The stamp of what was written.

    Raises:
        WriteError: where it cannot be written; it is as it was.
    """
    real = Path(os.path.realpath(file))
    with beside(real, [content]) as part:
        with suppress(OSError):
            part.chmod(stat.S_IMODE(real.stat().st_mode))
        stamp = stamp_of(part)
        put_in_place(part, real)
    return stamp


def keep_below(into: Path, root: Path, file: Path, content: bytes) -> Path:
    """Keep what a file said, under its path from a folder on with a number after it, which no reader takes.

    Args:
        into: folder to keep it below.
        root: of the data set.
        file: that it stood in.
        content: to keep.

    Returns:
        Where it is kept; nothing that is there already is overwritten.

    Raises:
        WriteError: where it cannot be written.
    """
    inner = os.path.relpath(file, root)
    kept = into / (file.name if inner.startswith(os.pardir) else inner)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(kept, error) from None
    tries = (kept.with_name(f"{kept.name}.{number}") for number in count(1))
    return next(place for place in tries if write_new(place, content))


def text_in(content: bytes) -> tuple[str, str]:
    """The text of a label file that is UTF-8, and its byte-order mark or nothing.

    Raises:
        BadEntryError: for another encoding.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadEntryError(f"another encoding ({error})", "UTF-8") from None
    return text, "\ufeff" if content.startswith(codecs.BOM_UTF8) else ""


def version_of(*parts: bytes) -> str:
    """A short text that differs for different contents."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()
