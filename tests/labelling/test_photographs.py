"""Photographs under their names, and as a browser takes them."""

import io

import numpy as np
import pytest
from PIL import Image

from masu.errors import InputError
from masu.labelling.photographs import MOST_SHOWN, Photographs, shown, size_of, thumbnail


def opened(file):
    return Image.open(io.BytesIO(file.content))


def test_names_are_paths_below_the_folder(folder):
    (folder / ".hidden.jpg").write_bytes((folder / "a.jpg").read_bytes())
    assert list(Photographs.below(folder).paths) == ["a.jpg", "b.png", "sub/c.jpg"]


def test_a_plain_photograph_is_sent_as_it_is(folder):
    for name, kind in (("a.jpg", "image/jpeg"), ("b.png", "image/png")):
        assert shown(folder / name) == ((folder / name).read_bytes(), kind)


def test_a_photograph_on_its_side_stands_upright(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / "a.jpg").save(folder / "turned.jpg", exif=exif)
    assert size_of(folder / "turned.jpg") == (60, 40)
    made = opened(shown(folder / "turned.jpg"))
    assert made.size == (40, 60)
    assert made.getexif().get(0x0112) is None


def test_what_browsers_do_not_open_is_a_jpeg(folder):
    Image.fromarray(np.full((9, 7), 40_000, np.uint16)).save(folder / "deep.tif")
    made = opened(shown(folder / "deep.tif"))
    assert (made.format, made.size, made.getpixel((3, 3))) == ("JPEG", (7, 9), (156, 156, 156))


def test_no_side_is_longer_than_is_sent(folder):
    Image.new("RGB", (MOST_SHOWN * 2, 30), "red").save(folder / "long.png")
    assert opened(shown(folder / "long.png")).size == (MOST_SHOWN, 15)
    assert opened(thumbnail(folder / "long.png")).size == (160, 1)
    assert opened(thumbnail(folder / "a.jpg")).size == (60, 40)


def test_no_photograph_is_refused(tmp_path):
    with pytest.raises(InputError, match="image"):
        Photographs.below(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        Photographs.below(tmp_path / "gone")
