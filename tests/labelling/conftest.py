"""Photographs to label, and a desk on which they lie."""

import numpy as np
import pytest
from PIL import Image

from masu.data.formats import label_files
from masu.labelling.desk import Desk
from masu.labelling.photographs import Photographs
from masu.labelling.sitting import Sitting
from tests.serving import serving

__all__ = ["serving"]

NAMES = ("a.jpg", "b.png", "sub/c.jpg")


@pytest.fixture
def folder(tmp_path):
    """Three photographs of 60×40 pixels, one in a folder of its own."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 60, 3), np.uint8)
    for name, one in zip(NAMES, pixels, strict=True):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(one).save(path)
    return tmp_path / "photos"


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def sit(folder, out):
    """``sit()``: a sitting on the photographs as the files are now, as after a start of the server."""

    def begin(at=None):
        home = out if at is None else at
        home.mkdir(exist_ok=True)
        made = Sitting(Photographs.below(folder), label_files(folder)[1], home, print)
        for name in ("cat", "dog"):
            made.add_class(name)
        return made

    return begin


@pytest.fixture
def desk(folder, out):
    """A desk without training."""
    form, files = label_files(folder)
    made = Desk(Photographs.below(folder), files, form, out, 0.0, print)
    for name in ("cat", "dog"):
        made.sitting.add_class(name)
    yield made
    made.close()
