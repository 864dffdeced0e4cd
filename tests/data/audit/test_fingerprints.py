import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from skimage import data as photographs

from masu.data.audit.fingerprints import (
    SIDE,
    Fingerprints,
    fingerprint,
    fingerprint_images,
    near_duplicates,
    same_files,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    cat, cup = Image.fromarray(photographs.chelsea()), Image.fromarray(photographs.coffee())
    cat.save(folder / "cat.png")
    cat.save(folder / "same.png")
    cat.save(folder / "jpeg.jpg", quality=40)
    cat.resize((200, 133)).save(folder / "small.png")
    ImageEnhance.Brightness(cat).enhance(0.7).save(folder / "dark.png")
    cat.crop((60, 40, 440, 290)).save(folder / "cut.png")
    cup.save(folder / "cup.png")
    Image.new("RGB", (60, 40), "red").save(folder / "plain.png")
    Image.new("RGB", (80, 40), "blue").save(folder / "plain_too.png")
    return folder


def test_copies_are_found_and_only_these(folder):
    names = ["cup", "cat", "jpeg", "plain", "same", "small", "dark", "cut", "plain_too"]
    paths = [folder / f"{name}.{'jpg' if name == 'jpeg' else 'png'}" for name in names]
    prints = fingerprint_images(paths)
    assert same_files(prints) == [(1, 4)]
    assert near_duplicates(prints) == [(1, 2, 4, 5, 6)]
    assert [one.path for one in fingerprint_images(paths, workers=2)] == paths


def test_upright_size_and_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    one = fingerprint(tmp_path / "a.jpg")
    assert (one.fault, one.size, one.orientation) == ("", (60, 40), 6)
    Image.new("RGB", (60, 40)).save(tmp_path / "a.tif", exif=exif)
    assert (fingerprint(tmp_path / "a.tif").size, fingerprint(tmp_path / "a.tif").orientation) == (
        (60, 40),
        6,
    )
    exif[0x0112] = 99  # means nothing: the picture is not turned
    Image.new("RGB", (60, 40)).save(tmp_path / "b.jpg", exif=exif)
    assert fingerprint(tmp_path / "b.jpg").size == (40, 60)
    np.save(tmp_path / "a.npy", np.ones((5, 7, 3), np.float32))
    assert fingerprint(tmp_path / "a.npy").size == (5, 7)


def test_damage_shows(folder, tmp_path):
    whole = (folder / "jpeg.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"text")
    png = (folder / "cat.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    faults = {path.name: fingerprint(path).fault for path in sorted(tmp_path.iterdir())}
    assert faults["empty.jpg"] == "an empty file"
    assert faults["cut.jpg"].startswith("a damaged image (OSError: image file is truncated")
    assert faults["cut.png"].startswith("a damaged image (")
    assert faults["text.jpg"].startswith("a damaged image (UnidentifiedImageError: ")
    assert fingerprint(tmp_path / "none.jpg").fault == "no such file"
    (tmp_path / "link.jpg").symlink_to("none.jpg")
    link = "a link to none.jpg, which does not exist: restore that or delete the link"
    assert fingerprint(tmp_path / "link.jpg").fault == link


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from masu.data.audit.fingerprints import fingerprint_images

paths = [Path(sys.argv[1])] * 20_000
for moment in (0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2):
    start = time.monotonic()
    press = threading.Timer(moment, os.kill, (os.getpid(), signal.SIGINT))
    try:
        press.start()
        fingerprint_images(paths, workers=4)
        print("went on")
    except KeyboardInterrupt:
        press.join()
        print("stopped", "at once" if time.monotonic() - start < moment + 5 else "late")
"""


def test_ctrl_c_ends_at_once_at_any_moment(folder):
    command = [sys.executable, "-c", INTERRUPTED, str(folder / "cat.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout.splitlines(), done.stderr) == (["stopped at once"] * 7, "")


def test_what_nobody_expects_is_raised(monkeypatch):
    def fails(path):
        raise RecursionError("not foreseen")

    monkeypatch.setattr("masu.data.audit.fingerprints.fingerprint", fails)
    with pytest.raises(RecursionError, match="not foreseen"):
        fingerprint_images([Path("a")] * 9, workers=3)


def test_threads_leave_the_filters_of_warnings_as_they_were(folder):
    before = list(warnings.filters)
    fingerprint_images([folder / "cat.png"] * 50, workers=4)
    assert warnings.filters == before


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_a_turned_photograph_and_its_upright_copy_are_the_same_picture(tmp_path, orientation, suffix):
    cat = Image.fromarray(photographs.chelsea())
    exif = Image.Exif()
    exif[0x0112] = orientation
    cat.save(tmp_path / f"turned.{suffix}", exif=exif)
    with Image.open(tmp_path / f"turned.{suffix}") as turned:
        ImageOps.exif_transpose(turned).save(tmp_path / "upright.jpg", quality=80)
    prints = fingerprint_images([tmp_path / f"turned.{suffix}", tmp_path / "upright.jpg"])
    assert prints[0].size == prints[1].size
    assert prints.orientations.tolist() == [orientation, 1]
    assert near_duplicates(prints) == [(0, 1)]


def test_fingerprints_in_arrays(folder, tmp_path):
    paths = [folder / "cat.png", tmp_path / "none.jpg", folder / "cup.png"]
    prints = fingerprint_images(paths)
    assert (len(prints), prints.faults) == (3, {1: "no such file"})
    assert (prints.sizes.dtype, prints.sizes.tolist()) == (np.int32, [[300, 451], [0, 0], [400, 600]])
    assert prints.digests.shape == (3, 16)
    assert prints.small.shape == (3, SIDE, SIDE)
    assert prints.sound.tolist() == [0, 2]
    for index, one in enumerate(prints):
        wanted = fingerprint(paths[index])
        assert (one.path, one.fault, one.size) == (wanted.path, wanted.fault, wanted.size)
        assert one.digest == (wanted.digest or bytes(16))
        assert np.array_equal(one.small, wanted.small)
    assert prints[-1].path == paths[2]
    assert [one.path for one in prints[1:]] == paths[1:]
    with pytest.raises(IndexError):
        prints[3]
    assert near_duplicates(Fingerprints.of(list(prints))) == near_duplicates(prints) == []
    empty = fingerprint_images([])
    assert (len(empty), same_files(empty), near_duplicates(empty)) == (0, [], [])
