"""The front door of the data sets: the format and the splits are detected, never asked for.

To add a format, write a file with a ``FORMAT`` and name it in ``_OWN``; another package names its own in the
entry point group ``masu.formats``.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from masu.data.dataset import Dataset, Sample
from masu.data.fitting import fitted, measured, with_names
from masu.data.formats import (
    coco,
    create_ml,
    csv_table,
    cvat,
    dota,
    kitti,
    label_studio,
    labelme,
    metadata_jsonl,
    ndjson,
    open_images,
    parquet,
    supervisely,
    via,
    voc,
    wider_face,
    yolo,
)
from masu.data.formats.editing import LabelFiles
from masu.data.formats.form import Candidate, Format, Place
from masu.data.formats.resolving import resolved
from masu.data.formats.tree import Tree
from masu.data.kinds import Fault
from masu.data.splits import choose
from masu.errors import bad_input, counted, listed
from masu.misspelt import meant_by

__all__ = [
    "Dataset",
    "Fault",
    "Sample",
    "formats",
    "label_files",
    "read_annotations",
    "read_dataset",
    "said_of_drafts",
    "splits",
    "usable",
]

_OWN = (
    voc,
    yolo,
    labelme,
    coco,
    supervisely,
    wider_face,
    dota,
    cvat,
    label_studio,
    open_images,
    kitti,
    create_ml,
    via,
    metadata_jsonl,
    ndjson,
    parquet,
    csv_table,
)
_ABOVE = ("annotations", "annotation")


@cache
def formats() -> dict[str, Format]:
    """All formats by name: masu's own, and those of installed packages."""
    others = [entry.load() for entry in entry_points(group="masu.formats")]
    return {form.name: form for form in (*(module.FORMAT for module in _OWN), *others)}


def read_dataset(
    path: str | os.PathLike[str],
    split: str | None = None,
    names: Sequence[str] | None = None,
    form: str | None = None,
    images: str | os.PathLike[str] | None = None,
    channels: int | None = None,
) -> Dataset:
    """Read a data set of any known format; of the images only the heads are read.

    Boxes come out as xyxy pixels of the upright image: VOC's four numbers as they stand (nothing is
    subtracted), COCO's ``x y width height`` as ``x y x+width y+height``. A box without area or outside its
    image is left out, one that reaches outside is clipped; each is a ``Fault`` in ``Dataset.faults``, as are
    an image that is missing, one of another size than its annotation says, an annotation that cannot be
    understood and one of an unknown image or category.

    Args:
        path: the folder or, for formats of one file, the file.
        split: one of ``splits(path)`` in any wording; None reads everything, each image once with the objects
            of all splits.
        names: class names of a model; labels are then indices into them. Default: the names in the data
            (by category id where the format has ids, else sorted).
        form: one of ``formats()``; default: found by looking.
        images: another folder that holds the images.
        channels: of the images where they are no RGB photographs.

    Returns:
        ``len(data)``, ``data[i].image``, ``data[i].target``, ``names``, ``splits`` and ``faults``.

    Raises:
        InputError: nothing at ``path``, no data set of a known format or of several, an absent split, a file
            that cannot be parsed, no image at all, or an object whose class is not in ``names``.
    """
    return usable(read_annotations(path, form, images), split, names, channels=channels)


def usable(
    data: Dataset,
    split: str | None = None,
    names: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    channels: int | None = None,
) -> Dataset:
    """A part of what :func:`read_annotations` gave, looked at and fit for a detector.

    Args:
        data: all annotations.
        split: a split in any wording; None takes everything, each image once.
        names: as of :func:`read_dataset`.
        progress: called with (images looked at, images in total).
        channels: as of :func:`read_dataset`.

    Raises:
        InputError: as of :func:`read_dataset`.
    """
    chosen = None if split is None else choose(split, data.splits, data.root)
    part = data.part(chosen) if chosen is not None else data.united()
    part = fitted(measured(part, progress, channels))
    if not len(part):
        thing = data.root if part.split is None else f"{data.root}, split {part.split!r}"
        if part.drafts:
            raise bad_input(
                thing,
                f"{counted(len(part.drafts), 'photograph')} with drafts of a model that nobody confirmed",
                "at least one photograph with labels",
                how_to_confirm(part),
            )
        raise bad_input(
            thing,
            f"no image with an annotation{f'; the first fault: {part.faults[0]}' if part.faults else ''}",
            "at least one",
            "check that the images lie where the annotations say (--images names another folder) and that "
            "the list of the split is not empty",
        )
    return part if names is None else with_names(part, names)


def splits(path: str | os.PathLike[str], form: str | None = None) -> tuple[str, ...]:
    """The splits of the data set at ``path``, train before val before test; empty if it has none.

    Raises:
        InputError: nothing at ``path``, or no data set of a known format.
    """
    return read_annotations(path, form).splits


def read_annotations(
    path: str | os.PathLike[str], form: str | None = None, images: str | os.PathLike[str] | None = None
) -> Dataset:
    """All annotations of a data set as they stand; no image is opened.

    Sizes are those that the annotations say, boxes may be faulty, and are shares of the image where the
    format has shares (``Dataset.relative``); :func:`usable` makes them fit for a detector.

    Args:
        path: folder or file.
        form: one of ``formats()``; default: found by looking.
        images: another folder that holds the images.

    Raises:
        InputError: as of :func:`read_dataset`.
    """
    format_, candidate, tree = find_format(Path(path), form, None if images is None else Path(images))
    return resolved(format_.read(candidate, tree), format_.name)


def find_format(path: Path, form: str | None, images: Path | None) -> tuple[Format, Candidate, Tree]:
    """The format of the data set at ``path``, and where its parts are.

    Raises:
        InputError: nothing at ``path``, no data set of a known format or of this one, several that fit alike,
            or no such format.
    """
    known = formats()
    if form is not None and form not in known:
        raise bad_input(
            "--format",
            repr(form),
            f"one of {listed(known)}",
            "leave it out to have it found",
            code="unknown-name",
        )
    tried = list(known.values()) if form is None else [known[form]]
    wanted = " or ".join(one.looks for one in tried[:6]) + (" …" if len(tried) > 6 else "")
    if not os.path.exists(path):
        wanted = "a data set, its folder or its file of annotations"
        raise bad_input(path, "no such file or folder", wanted, meant_by(path), code="missing-file")
    if not os.path.isdir(path) and not os.path.isfile(path):
        raise bad_input(path, "neither a file nor a folder", wanted, "check the path")
    if path.resolve() == Path(path.resolve().anchor):
        raise bad_input(path, "a whole file system", wanted, "name the folder of the data")
    if images is not None and not images.is_dir():
        raise bad_input("--images", f"{images}, which is no folder", "a folder of images", "check the path")
    tree = Tree(_root_of(path), images)
    place = Place(path, tree)
    found = _likeliest(place, tried)
    if found is None:
        raise _nothing(place, form, wanted)
    return *found, tree


def label_files(folder: Path, form: str | None = None) -> tuple[str, LabelFiles]:
    """The labels of the photographs below a folder, to be changed in their own files.

    Args:
        folder: of the photographs; where it has no labels yet, they will be files of LabelMe beside them.
        form: one of :func:`formats`; default: found by looking.

    Returns:
        The name of the format, and the files.

    Raises:
        InputError: labels of several formats that fit alike, or of one that masu does not change in place.
    """
    known = formats()
    if form is not None and form not in known:
        raise bad_input("--format", repr(form), f"one of {listed(known)}", code="unknown-name")
    place = Place(folder, Tree(folder))
    found = _likeliest(place, list(known.values()) if form is None else [known[form]])
    format_, candidate = found if found is not None else (known[form or labelme.FORMAT.name], None)
    if format_.edit is None:
        edited = listed(name for name, one in known.items() if one.edit is not None)
        raise bad_input(
            folder,
            f"labels in the format {format_.name}, which masu does not change in place",
            f"one of {edited}, or photographs without labels",
            f"masu convert {folder} --to labelme --link --out NEW, then label NEW",
        )
    return format_.name, format_.edit(folder, candidate)


def said_of_drafts(data: Dataset) -> str | None:
    """That photographs hold drafts alone, and what makes labels of these; None without any."""
    if not data.drafts:
        return None
    hold, they = ("holds", "it is") if len(data.drafts) == 1 else ("hold", "they are")
    names = listed((path.name for path in data.drafts), 3)
    count = counted(len(data.drafts), "photograph")
    return (
        f"{count} {hold} drafts that nobody confirmed, and {they} left out: {names}; {how_to_confirm(data)}"
    )


def how_to_confirm(data: Dataset) -> str:
    """What one does with the drafts of a data set that nobody confirmed."""
    form = formats().get(data.form)
    page = f"in masu label {shlex.quote(str(data.root))}"
    if not data.draft_lists:
        return f"confirm them {page}, or save each in your labelling tool"
    place = f"{page} or in your labelling tool" if form and form.edit else "in your labelling tool"
    lists = listed(map(str, data.draft_lists), 3)
    return f"correct them {place}; once you have looked at every one, delete {lists}"


def _likeliest(place: Place, tried: Sequence[Format]) -> tuple[Format, Candidate] | None:
    """The format that is surest of itself; None where none finds anything.

    Raises:
        InputError: several that are as sure.
    """
    found = [(one, candidate) for one in tried if (candidate := one.find(place)) is not None]
    if not found:
        return None
    found.sort(key=lambda pair: -pair[1].confidence)
    best = [one for one in found if one[1].confidence == found[0][1].confidence]
    if len(best) > 1:
        names = [
            f"{one.name} ({candidate.files[0].name if candidate.files else ''})" for one, candidate in best
        ]
        raise bad_input(
            place.path, f"annotations of several formats: {listed(names)}", "one", "choose with --format"
        )
    return best[0]


def _root_of(path: Path) -> Path:
    """The folder of a data set; a file's own, or the one above where that is for annotations."""
    if path.is_dir():
        return path
    folder = path.absolute().parent
    return folder.parent if folder.name.lower() in _ABOVE else path.parent


def _nothing(place: Place, form: str | None, wanted: str) -> Exception:
    if form in (None, "csv") and (error := csv_table.near_miss(place)):
        return error
    path, fix = place.path, "point at the folder that holds the annotations"
    if path.is_dir():
        inside = listed((child.name for child in sorted(path.iterdir())), most=8)
        found = f"a folder with no known annotations (it holds: {inside})"
        if not any(path.iterdir()):
            found = "an empty folder"
        elif place.tree.image_files():
            fix += f", or label these photographs: masu label {shlex.quote(str(path))}"
    else:
        start = place.head(path)[:40].decode("utf-8", "replace")
        found = f"a file of no known kind, {path.suffix or 'without suffix'}, which begins with {start!r}"
    return bad_input(path, found, wanted, fix)
