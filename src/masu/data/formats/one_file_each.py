"""Labels of photographs changed in place, where each photograph has a file of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Protocol

from masu.atomic import WriteError, alone_in, not_written, write_new
from masu.data.formats.draft_list import SUFFIX, DraftLists
from masu.data.formats.editing import (
    LOCK,
    ChangedError,
    Entry,
    Held,
    Loaded,
    Past,
    Plan,
    Stamp,
    Unconfirmed,
    keep_below,
    planned,
    stamp_of,
    usable_entries,
    version_of,
    write_in_place,
)
from masu.data.formats.list_lines import STEP, ListLine, one_step, settle
from masu.data.formats.rows import BadEntryError, Rows
from masu.data.formats.tree import Look, Tree, plain
from masu.data.pixels.headers import read_header
from masu.errors import InputError, bad_input
from masu.regular import read_bytes


@dataclass(frozen=True)
class Photo:
    """A photograph.

    Attributes:
        path: its file.
        size: height and width, upright.
        orientation: EXIF orientation 1..8.
    """

    path: Path
    size: tuple[int, int]
    orientation: int


class Page(Protocol):
    """The file of one photograph, taken apart."""

    @property
    def held(self) -> Sequence[Held]:
        """The objects that it says."""
        ...

    @property
    def unconfirmed(self) -> Unconfirmed | None:
        """These objects where the file says that a model drafted them and nobody has confirmed them."""
        ...

    def change(self, held: Held, entry: Entry) -> tuple[str, ...]:
        """The parts of an object that is to say an entry, also where it comes back; see :func:`planned`."""
        ...

    def new(self, entry: Entry) -> str:
        """The part of an object that was never there."""
        ...

    def content(self, plan: Plan) -> bytes:
        """The file with the changes."""
        ...


class Classes(Protocol):
    """The classes of a data set."""

    @property
    def names(self) -> tuple[str, ...]:
        """In their order."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """The files in which they are listed."""
        ...

    def version(self, content: bytes) -> str:
        """A text that differs for other labels in a file of this content; never empty."""
        ...

    def see(self, names: Sequence[str]) -> None:
        """Take note of the classes that a file says."""
        ...

    def meet(self, names: Sequence[str]) -> None:
        """Have the data set know these classes.

        Raises:
            InputError: where it cannot.
        """
        ...


class FreeClasses:
    """The classes of a data set in which each object says the name of its own."""

    files: tuple[Path, ...] = ()

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def version(self, content: bytes) -> str:
        """A text that differs for other content."""
        return version_of(content)

    def see(self, names: Sequence[str]) -> None:
        """Take note of the classes that a file says."""
        self.names = tuple(dict.fromkeys((*self.names, *names)))

    def meet(self, names: Sequence[str]) -> None:
        """Have the data set know these classes."""
        self.see(names)


class Named:
    """The files that name photographs, and the photographs that files name.

    Args:
        tree: of the data set.
        rows: what its reader found.
    """

    def __init__(self, tree: Tree, rows: Rows | None) -> None:
        self.files = {} if rows is None else files_by_photo(rows)
        self._tree, self._rows = tree, rows

    def file_of(self, photo: Path) -> Path | None:
        """The file that names a photograph; the first of several."""
        return next(iter(self.files.get(os.path.abspath(photo), ())), None)

    def tree_with(self, photo: Path) -> Tree:
        """The files of the data set, listed anew where a photograph has come since."""
        if photo.name not in self._tree.folder(photo.parent).names:
            self._tree = Tree(self._tree.root, self._tree.images)
        return self._tree

    def meet(self, photos: Sequence[Path]) -> None:
        """Photographs have come since, which files may name that were read before."""
        tree = [self.tree_with(photo) for photo in photos][-1]
        if self._rows is not None and self._rows.tree is not tree:
            named = len(self._rows.names) - len(self._rows.dropped)
            self._rows.tree = tree
            if sum(map(len, self.files.values())) < named:
                self.files = files_by_photo(self._rows)

    def require_only(self, photo: Path, file: Path, name: str, look: Look, word: str | None) -> None:
        """See that a file names this photograph, and no other file does.

        Args:
            photo: the photograph.
            file: of labels.
            name: of the image, as the file has it.
            look: how it is looked for.
            word: the split of the file.

        Raises:
            BadEntryError: where it is not so.
        """
        files = self.files.get(os.path.abspath(photo), [])
        if len(files) > 1:
            raise BadEntryError(f"also {files[1]} for {photo.name}", "one file of its labels")
        image = self.tree_with(photo).find(name, look, word).path
        if image is None or os.path.abspath(image) != os.path.abspath(photo):
            raise BadEntryError(f"the labels of {os.path.basename(image or name)}", f"those of {photo.name}")


class Hand(Protocol):
    """How a format keeps the labels of photographs below a folder."""

    most_bytes: int

    @property
    def classes(self) -> Classes:
        """Of the data set."""
        ...

    def meet(self, photos: Sequence[Path]) -> None:
        """Take note of photographs that have come since."""
        ...

    def file_of(self, photo: Path) -> Path:
        """The file in which the labels of a photograph stand, or would."""
        ...

    def list_line(self, photo: Path, file: Path) -> ListLine | None:
        """Where a photograph is to be listed as soon as it has labels; None where that is of no need."""
        ...

    def page(self, file: Path, content: bytes | None, photo: Photo) -> Page:
        """A file taken apart; an empty one where there is no content.

        Raises:
            BadEntryError: where it cannot be used for this photograph.
        """
        ...


class OneFileEach:
    """The label files of a format that has one for each photograph; see :class:`LabelFiles`.

    Args:
        tree: of the photographs.
        hand: of the format.
    """

    def __init__(self, tree: Tree, hand: Hand) -> None:
        self.root, self.hand = tree.root, hand
        self._lock = RLock()
        self._past = Past()
        self._photos: dict[str, Path] = {}
        self._lists = DraftLists()
        for image in tree.image_files():
            self._watch(Path(image))
        self._settle()
        self._stamps = self._look()
        self._listed = self._lists.photographs()

    @property
    def names(self) -> tuple[str, ...]:
        """The classes of the data set, in its order; those that are new come last."""
        return self.hand.classes.names

    def file_of(self, photo: Path) -> Path:
        """The file in which the labels of a photograph stand, or would."""
        return self.hand.file_of(photo)

    def load(self, photo: Path) -> Loaded:
        """What the file says of a photograph now."""
        with self._lock:
            file = self._watch(photo)
            try:
                content = self._content(file)
            except BadEntryError as error:
                return Loaded(None, version_of(str(error).encode()), f"{file}: found {error}")
            return self._loaded(photo, file, content)

    def save(self, photo: Path, size: tuple[int, int], entries: Sequence[Entry], version: str) -> str:
        """Have the file say these objects and no others; see :meth:`LabelFiles.save`."""
        with self._lock:
            file = self._watch(photo)
            wanted = usable_entries(photo, size, entries)
            seen = Photo(photo, size, read_header(photo).orientation)
            with self._alone(photo, file):
                content = self._current(photo, file, version)
                try:
                    page = self.hand.page(file, content, seen)
                except BadEntryError as error:
                    fix = "correct the file or move it away"
                    raise bad_input(file, error.found, error.wanted, fix) from None
                self.hand.classes.meet([entry.name for entry in wanted])
                past = self._past.of(os.fspath(file))
                plan = planned(page.held, wanted, past, page.change, page.change, page.new)
                self._past.change(os.fspath(file), page.held, plan)
                drafted = self._unconfirmed(file, page, seen) is not None
                if content is not None and not plan and not drafted:
                    return version
                made = page.content(plan)
                if content is None and (listed := self.hand.list_line(photo, file)) is not None:
                    self._put_and_list(photo, file, made, listed)
                else:
                    self._put(photo, file, made, new=content is None)
                if drafted:
                    self._lists.confirm(file, photo)
                    self._listed = self._lists.photographs()
            return self._version(photo, file, made)

    def take_back(self, photo: Path, version: str, into: Path) -> None:
        """Move the file of a photograph below a folder; see :meth:`LabelFiles.take_back`."""
        with self._lock:
            file = self._watch(photo)
            with self._alone(photo, file):
                content = self._current(photo, file, version)
                if content is None:
                    return
                listed = self.hand.list_line(photo, file)
                keep_below(into, self.root, file, content)
                if listed is None:
                    self._remove(file)
                else:
                    with one_step(listed, file, self.root):
                        listed.remove()
                        self._remove(file)

    def meet(self, photos: Sequence[Path]) -> None:
        """Take note of photographs that have come since."""
        with self._lock:
            self.hand.meet(photos)
            for photo in photos:
                self._watch(photo)

    def changed(self) -> tuple[Path, ...]:
        """The photographs whose files others have changed since the last call."""
        with self._lock:
            before, now = self._stamps, self._look()
            self._stamps = now
            different = {file for file in before.keys() | now.keys() if before.get(file) != now.get(file)}
            if listed := self._lists.photographs() ^ self._listed:
                self._listed = self._lists.photographs()
                different |= {
                    file
                    for file, photo in self._photos.items()
                    if (os.path.dirname(file), plain(photo.name)) in listed
                }
            return tuple(self._photos[file] for file in sorted(different) if file in self._photos)

    def _loaded(self, photo: Path, file: Path, content: bytes | None) -> Loaded:
        if content is None:
            return Loaded(None, "")
        version = self._version(photo, file, content)
        try:
            header = read_header(photo)
            seen = Photo(photo, (header.height, header.width), header.orientation)
            page = self.hand.page(file, content, seen)
            drafts = self._unconfirmed(file, page, seen)
        except BadEntryError as error:
            return Loaded(None, version, f"{file}: found {error}")
        except InputError as error:
            return Loaded(None, version, str(error))
        self._past.see(os.fspath(file), page.held)
        self.hand.classes.see([one.entry.name for one in page.held])
        if drafts is not None:
            return Loaded(None, version, unconfirmed=drafts)
        return Loaded(tuple(one.entry for one in page.held), version)

    def _version(self, photo: Path, file: Path, content: bytes) -> str:
        """See :class:`Loaded`; it is another one while a list names the photograph."""
        drafts = "-drafts" if self._lists.names(file, photo) else ""
        return self.hand.classes.version(content) + drafts

    def _unconfirmed(self, file: Path, page: Page, photo: Photo) -> Unconfirmed | None:
        """The objects of a file where it, or a list beside it, says that a model drafted them."""
        return page.unconfirmed or self._lists.unconfirmed(file, photo.path, photo.size, page.held)

    def _current(self, photo: Path, file: Path, version: str) -> bytes | None:
        """The content of a file that is still of a version.

        Raises:
            ChangedError: where it is not.
            InputError: where it cannot be read.
        """
        try:
            content = self._content(file)
        except BadEntryError as error:
            raise bad_input(file, error.found, error.wanted) from None
        if version != ("" if content is None else self._version(photo, file, content)):
            raise ChangedError(photo, self._loaded(photo, file, content))
        return content

    def _content(self, file: Path) -> bytes | None:
        try:
            content = read_bytes(file, self.hand.most_bytes + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadEntryError(
                f"a file that cannot be read ({error})", "one that is yours to read"
            ) from None
        if len(content) > self.hand.most_bytes:
            most = f"{self.hand.most_bytes / 1e6:.0f} MB"
            raise BadEntryError(f"a file of more than {most}", f"at most {most}")
        return content

    def _put(self, photo: Path, file: Path, content: bytes, *, new: bool) -> None:
        """Write a file, and take note that it was masu who did."""
        real = Path(os.path.realpath(file))  # a link stays one
        if new:
            if not write_new(real, content):
                raise ChangedError(photo, self.load(photo))
            stamp = stamp_of(real)
        else:
            stamp = write_in_place(file, content)
        self._stamps[os.path.abspath(file)] = stamp

    def _put_and_list(self, photo: Path, file: Path, content: bytes, listed: ListLine) -> None:
        """Write a photograph's first answer, then list it; a list never names what has no labels."""
        with one_step(listed, file, self.root):
            self._put(photo, file, content, new=True)
            try:
                listed.add()
            except WriteError:
                self._remove(file)
                raise

    def _remove(self, file: Path) -> None:
        try:
            file.unlink()
        except OSError as error:
            raise not_written(file, error) from None
        self._stamps.pop(os.path.abspath(file), None)

    def _alone(self, photo: Path, file: Path) -> AbstractContextManager[None]:
        folder = Path(os.path.realpath(file)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_written(file, error) from None
        listed = self.hand.list_line(photo, file)
        others = [*self.hand.classes.files, *([] if listed is None else [listed.file])]
        return alone_in([folder, *(Path(os.path.realpath(one)).parent for one in others)], LOCK)

    def _watch(self, photo: Path) -> Path:
        file = self.hand.file_of(photo)
        self._photos[os.path.abspath(file)] = photo
        return file

    def _settle(self) -> None:
        """Bring to their end what changes of labels and lists a killed process has begun."""
        for folder in sorted({os.path.dirname(file) for file in self._photos}):
            if os.path.lexists(os.path.join(folder, STEP)):
                with suppress(WriteError), alone_in([Path(folder)], LOCK):
                    settle(Path(folder), self.root)

    def _look(self) -> dict[str, Stamp | None]:
        """The stamps of all label files that are there; takes note of the lists of drafts beside them."""
        found, lists = {}, []
        for folder in sorted({os.path.dirname(file) for file in self._photos}):
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    if entry.path in self._photos:
                        found[entry.path] = stamp_of(entry.path)
                    elif entry.name.endswith(SUFFIX):
                        lists.append(entry.path)
        self._lists.look(lists)
        return found


def files_by_photo(rows: Rows) -> dict[str, list[Path]]:
    """The annotation files that name each photograph, by its full path."""
    words = {row: word for word, owned in reversed(rows.words.items()) for row in owned}
    files, looks, *_ = rows.image_columns()
    found: dict[str, list[Path]] = {}
    for row, name in enumerate(rows.names):
        photo = rows.tree.find(name, rows.looks[looks[row]], words.get(row)).path
        if photo is not None and row not in rows.dropped:
            found.setdefault(os.path.abspath(photo), []).append(rows.files[files[row]])
    for file, drafted in rows.drafts.items():
        found.setdefault(os.path.abspath(drafted), []).append(file)
    return found
