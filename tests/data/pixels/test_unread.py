"""What of a folder is not read, and of which pictures one frame is taken."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from masu.data.pixels import unread
from masu.data.pixels.unread import animated, said_of_animated, said_of_unread


def test_each_kind_is_one_sentence_with_what_reads_it(monkeypatch):
    monkeypatch.setattr(unread.importlib.util, "find_spec", lambda name: None)
    files = [
        Path(f"shots/{name}") for name in ("a.HEIC", "b.mov", "c.cr2", "d.heif", "e.pdf", "f.MP4", "g.hif")
    ]
    assert said_of_unread(files) == [
        "2 films not read (b.mov, f.MP4): pip install 'masu[video]', then masu detect MODEL shots/b.mov",
        "3 HEIC photographs not read (a.HEIC, d.heif, g.hif): pip install 'masu[heic]' reads them",
        "2 files not read (c.cr2, e.pdf): convert to JPEG or PNG",
    ]
    assert said_of_unread([]) == []


def test_an_installed_package_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(unread.importlib.util, "find_spec", lambda name: object())
    assert said_of_unread([Path("b.mov")]) == ["1 film not read (b.mov): masu detect MODEL b.mov"]
    assert not unread.heic_needs_its_package()


def test_heic_needs_its_package_where_that_is_blocked(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert unread.heic_needs_its_package()


@pytest.mark.parametrize("name", ["a.gif", "a.GIF", "a.webp", "a.apng"])
def test_of_an_animated_picture_one_frame_is_taken(tmp_path, name):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "green", "blue")]
    kind = {"apng": "PNG"}.get(name[2:].lower(), name[2:].upper())
    frames[0].save(tmp_path / name, kind, save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "still.gif")
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    files = sorted(tmp_path.iterdir())
    moving = animated(files)
    assert moving == [tmp_path / name]
    assert said_of_animated(moving) == [f"1 animated picture ({name}): only the first frame is taken"]
    assert said_of_animated([]) == []


def test_saying_it_opens_no_file(tmp_path):
    assert said_of_animated([tmp_path / "not there.gif"]) == [
        "1 animated picture (not there.gif): only the first frame is taken"
    ]
