"""The programs of examples/photographs on pictures in which a detector finds what it is told."""

import runpy
from pathlib import Path

import pytest

from masu.data.pixels.headers import read_header
from masu.data.pixels.images import read_pixels
from tests.drafts.finder import DRAWN, Finder, pictures

EXAMPLES = Path(__file__).parents[2] / "examples" / "photographs"


class Opened(Finder):
    """A detector that takes a path, as those of masu do."""

    def predict(self, images, threshold=None, batch_size=1):
        return super().predict([read_pixels(images)], threshold or 0.5, batch_size)[0]


@pytest.fixture
def photos(tmp_path):
    return pictures(tmp_path / "photos")


def test_counts(photos):
    counts = runpy.run_path(str(EXAMPLES / "counts.py"))["counts"]
    rows = counts(Opened(), photos)
    assert [name for name, _ in rows] == list(DRAWN)
    assert [numbers for _, numbers in rows] == [[1, 1, 0], [0, 0, 0], [1, 0, 1]]


def test_cut_out(photos, tmp_path):
    cut_out = runpy.run_path(str(EXAMPLES / "cut_out.py"))["cut_out"]
    files = cut_out(Opened(), photos[:1], tmp_path / "cells", margin=0.0)
    assert [file.relative_to(tmp_path / "cells").as_posix() for file in files] == [
        "dog____hen_/a-0.png",
        "cat/a-1.png",
    ]
    assert [(read_header(file).width, read_header(file).height) for file in files] == [(19, 10), (40, 30)]
