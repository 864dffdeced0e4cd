"""The files below a data set's folder, listed once: which are there, and which one an annotation means.

Every reader's names of images come here. Hidden files, AppleDouble twins, ``__MACOSX`` and what is no file
(pipes, sockets) are passed over; names meet whatever the Unicode form, and where nothing fits exactly also
whatever the case.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from masu.data.pixels.pictures import IMAGE_SUFFIXES, is_folder
from masu.data.splits import folder_split, is_fold, paired, role

_PASSED_OVER = ("__MACOSX",)


class Look(NamedTuple):
    """How an annotation names its images.

    Attributes:
        folders: where the names start from, the likeliest first.
        stem: the names have no suffix.
        foreign: the paths may be of another machine. One that leads out of the data set is no error then; the
            image of its last part is meant.
    """

    folders: tuple[str, ...]
    stem: bool = False
    foreign: bool = False


class Found(NamedTuple):
    """What there is for a name: one path, or none or several that fit alike; ``outside`` the data set."""

    path: str | None
    several: tuple[str, ...] = ()
    outside: bool = False


class _Folder:
    """The files and folders of one folder."""

    def __init__(self, path: str) -> None:
        files: list[str] = []
        folders: list[str] = []
        links: list[str] = []
        self.is_there = True
        try:
            with os.scandir(path or ".") as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name in _PASSED_OVER:
                        continue
                    if is_folder(entry):
                        folders.append(entry.name)
                        if entry.is_symlink():
                            links.append(entry.name)
                    elif _is_file(entry):
                        files.append(entry.name)
        except (OSError, ValueError):  # not there, not ours to read, or no name that a file can have
            self.is_there = False
        self.names = frozenset(files)
        self.folders = tuple(sorted(folders))
        self.links = frozenset(links)

    @cached_property
    def by_suffix(self) -> dict[str, list[str]]:
        """Names by their suffix in small letters."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(name[name.rfind(".") :].lower() if "." in name else "", []).append(name)
        return found

    @cached_property
    def alike(self) -> dict[str, list[str]]:
        """Names by what they are without case and Unicode form."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.names):
            found.setdefault(plain(name), []).append(name)
        return found

    @cached_property
    def stems(self) -> dict[str, list[str]]:
        """Image files by their name without suffix."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.names):
            if is_image(name):
                found.setdefault(_composed(os.path.splitext(name)[0]), []).append(name)
        return found


class Tree:
    """The files below a folder.

    Args:
        root: the data set's folder.
        images: another folder that holds its images, if any.
    """

    def __init__(self, root: Path, images: Path | None = None) -> None:
        self.root = root
        self.images = images
        self._top = os.path.abspath(root)
        self._tops = [self._top] + ([os.path.abspath(images)] if images is not None else [])
        self._images = () if images is None else (folder_text(images),)
        self._folders: dict[str, _Folder] = {}
        self._paired: dict[str, frozenset[str]] = {}
        self._known: dict[Look, tuple[str, ...]] = {}
        self._files: dict[tuple[str, ...], list[Path]] = {}

    def folder(self, path: str | os.PathLike[str]) -> _Folder:
        """The listing of one folder; empty where there is none."""
        key = folder_text(path)
        found = self._folders.get(key)
        if found is None:
            found = self._folders[key] = _Folder(key)
        return found

    def walk(self) -> Iterator[str]:
        """Every folder from the root down, also behind links, each once; then those of the images' folder."""
        seen: set[str] = set()
        tops = [folder_text(top) for top in (self.images, self.root) if top is not None]
        waiting = [(top, os.path.realpath(top)) for top in tops]
        while waiting:
            path, real = waiting.pop()
            if real in seen:
                continue
            seen.add(real)
            yield path
            here = self.folder(path)
            for name in reversed(here.folders):
                inner = os.path.join(path, name)
                # only a link leads elsewhere: to resolve every path anew takes the square of the depth
                waiting.append((inner, os.path.realpath(inner) if name in here.links else f"{real}/{name}"))

    def files(self, *suffixes: str) -> list[Path]:
        """All files below with one of the suffixes (small letters), folder by folder, sorted."""
        if suffixes not in self._files:
            self._files[suffixes] = [
                Path(path, name)
                for path in self.walk()
                for name in sorted(
                    name for suffix in suffixes for name in self.folder(path).by_suffix.get(suffix, ())
                )
            ]
        return self._files[suffixes]

    def image_files(self) -> list[str]:
        """All image files below, folder by folder, sorted."""
        return [
            os.path.join(path, name)
            for path in self.walk()
            for name in sorted(
                name
                for suffix, names in self.folder(path).by_suffix.items()
                if suffix in IMAGE_SUFFIXES
                for name in names
            )
        ]

    def split_of(self, path: str | os.PathLike[str]) -> str | None:
        """The folder between root and file that is a split, by its name or by the folders beside it."""
        parts = PurePosixPath(self.below(path)).parts[:-1]
        if (word := folder_split(parts)) is not None or not parts:
            return word
        above = os.fspath(Path(os.path.abspath(path)).parents[len(parts)])
        for part in parts:
            if above not in self._paired:
                self._paired[above] = paired(self.folder(above).folders)
            if part in self._paired[above]:
                return part
            above = os.path.join(above, part)
        return None

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path lies below the root or the images' folder, by its text: no link is followed."""
        full = os.path.abspath(path)
        return any(_within(full, top) for top in self._tops)

    def below(self, path: str | os.PathLike[str]) -> str:
        """The path from the root (or the images' folder) on, with ``/``."""
        full = os.path.abspath(path)
        for top in reversed(self._tops):
            if _within(full, top):
                return os.path.relpath(full, top).replace(os.sep, "/")
        return full.replace(os.sep, "/")

    def find(self, name: str, look: Look, split: str | None = None) -> Found:
        """The image that an annotation means.

        In the folders of ``look`` the exact name counts first, then one of another case or Unicode form, then
        (for names without suffix, or of another machine) what has its stem. Where none of them has it, an
        image of that name anywhere below the root, unless it lies in a folder of another split. Where the
        folder of the images was said, of a path that leads out of the data set the last parts count.

        Args:
            name: as the annotation has it.
            look: how it names images.
            split: the split of the annotation in its own words, if any.
        """
        name = name.replace("\\", "/").removeprefix("file://")
        absolute = name.startswith("/") or name[1:2] == ":"
        leaving = absolute or ".." in name.split("/")
        if leaving and look.foreign:
            name, leaving = name.rpartition("/")[2], False
        outside = False
        inner, _, last = name.rpartition("/")
        even = not (leaving or "./" in name or "//" in name)
        for folder in self._there(look):
            if even:
                above = f"{folder}/{inner}" if folder and inner else folder or inner
            else:
                path = os.path.normpath(os.path.join(folder, name))
                if leaving and (name[1:2] == ":" or not self.holds(path)):
                    outside = True
                    continue
                above, last = os.path.split(path)
            if found := self._in(self.folder(above), last, look.stem):
                return _one([os.path.join(above, one) for one in found])
        if outside and self.images is None:
            return Found(None, outside=True)
        return self._anywhere(name, look.stem, split)

    def _there(self, look: Look) -> tuple[str, ...]:
        """The folders of a way to look that exist."""
        if look not in self._known:
            every = dict.fromkeys((*self._images, *look.folders))
            self._known[look] = tuple(folder for folder in every if self.folder(folder).is_there) or (
                folder_text(self.root),
            )
        return self._known[look]

    def _in(self, folder: _Folder, name: str, stem: bool) -> list[str]:
        if name in folder.names:
            return [name]
        if not folder.names:
            return []
        if found := folder.alike.get(plain(name)):
            composed = [one for one in found if _composed(one) == _composed(name)]
            return composed or found
        return folder.stems.get(_composed(name), []) if stem else []

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.image_files():
            found.setdefault(plain(os.path.basename(path)), []).append(path)
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for paths in self._by_name.values():
            for path in paths:
                found.setdefault(plain(os.path.splitext(os.path.basename(path))[0]), []).append(path)
        return found

    def _anywhere(self, name: str, stem: bool, split: str | None) -> Found:
        parts = [plain(part) for part in name.split("/") if part not in ("", ".")]
        if not parts:
            return Found(None)
        found = self._by_name.get(parts[-1], [])
        if not found and stem:
            found = self._by_stem.get(parts[-1], [])
        tails: dict[str, int] = {}
        for path in found:
            folder = self.split_of(path)
            if folder is not None and split is not None and not _alike(folder, split):
                continue
            above = [plain(part) for part in self.below(path).split("/")[:-1]]
            tails[path] = _common(parts[:-1], above) + (split is not None and folder is not None)
        most = max(tails.values(), default=0)
        return _one([path for path, tail in tails.items() if tail == most])


def _alike(folder: str, split: str) -> bool:
    """Whether a folder may be that of a split: by its role, or its name where both are folds."""
    if role(split) is not None:
        return role(folder) == role(split)
    return not (is_fold(folder) and is_fold(split)) or plain(folder) == plain(split)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether there is something to read; a link that leads nowhere is told where it is met.

    Pipes, sockets and devices are no files: to open a pipe is to wait for who writes into it.
    """
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True


def folder_text(folder: str | os.PathLike[str]) -> str:
    """A folder as the start of a path; the current one is the empty text, so that paths are alike."""
    text = os.fspath(folder)
    return "" if text == "." else text


def is_image(name: str) -> bool:
    """Whether a file's suffix is that of an image."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def plain(name: str) -> str:
    """A name without case and Unicode form."""
    return name.casefold() if name.isascii() else _composed(name).casefold()


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _within(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)


def _common(wanted: list[str], folders: list[str]) -> int:
    """How many folders two paths end with alike."""
    count = 0
    for one, other in zip(reversed(wanted), reversed(folders), strict=False):
        if one != other:
            break
        count += 1
    return count


def _one(paths: list[str]) -> Found:
    if len(paths) == 1:
        return Found(paths[0])
    return Found(None, tuple(paths))
