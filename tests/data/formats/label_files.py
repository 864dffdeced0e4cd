"""Data sets on disk whose labels are changed, and what is read of them afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from masu.data.formats import find_format, formats, read_dataset
from masu.data.formats.editing import Entry, LabelFiles
from masu.data.formats.writing import write_dataset
from tests.datasets import data_of

SIZE = (60, 80)
"""Height and width of every photograph."""

OBJECTS = {
    "a.png": [((10.0, 20.0, 30.0, 40.0), "cat", False), ((50.0, 5.0, 70.0, 25.0), "dog", False)],
    "b.png": [((1.0, 2.0, 3.0, 4.0), "dog", False)],
    "c.png": [],
}


def photograph(file: Path, size: tuple[int, int] = SIZE, orientation: int = 1) -> Path:
    """A grey picture that stands upright with this size; its file has it as the orientation says."""
    height, width = size[::-1] if orientation >= 5 else size
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.full((height, width, 3), len(file.name) * 10, np.uint8))
    picture.save(file, exif=exif) if orientation != 1 else picture.save(file)
    return file


def data_set(folder: Path, form: str) -> Path:
    """A data set of three photographs in a format."""
    source = folder / "source"
    images = [(photograph(source / name), objects) for name, objects in OBJECTS.items()]
    data = data_of({None: images}, ["cat", "dog"], size=SIZE)
    write_dataset(folder / "set", form, data)
    return folder / "set"


def opened(root: Path, form: str | None = None) -> LabelFiles:
    """The label files of the data set in a folder."""
    format_, candidate, _ = find_format(root, form, None)
    assert format_.edit is not None
    return format_.edit(root, candidate)


def opened_empty(root: Path, form: str = "labelme") -> LabelFiles:
    """The label files of a folder that has none."""
    edit = formats()[form].edit
    assert edit is not None
    return edit(root, None)


def photo_of(root: Path, name: str) -> Path:
    """The photograph of this name in a data set."""
    return next(root.rglob(name))


def read_back(root: Path, form: str | None = None) -> dict[str, list[tuple[list[float], str, int]]]:
    """What the reader says of each photograph: boxes, names and flags, by its file name."""
    data = read_dataset(root, form=form)
    assert data.faults == ()
    return {
        Path(path).name: [
            (
                [round(x, 2) for x in data.boxes[row].tolist()],
                data.names[data.labels[row]],
                int(data.flags[row]),
            )
            for row in range(*data.objects(index).indices(len(data.boxes)))
        ]
        for index, path in enumerate(data.paths.texts())
    }


def objects_of(entries: tuple[Entry, ...] | None) -> list[tuple[list[float], str, int]]:
    """Entries as :func:`read_back` gives objects."""
    assert entries is not None
    return [([round(x, 2) for x in one.box], one.name, one.flag) for one in entries]
