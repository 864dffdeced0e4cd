"""Sizes without decoding are what decoding gives."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from masu.data.pixels.headers import Header, read_header, read_headers
from masu.data.pixels.images import image_size, read_pixels
from masu.data.pixels.pictures import DECODER_ERRORS, UnreadableImageError

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
NAMES = ("a.jpg", "a.png", "a.tif", "a.webp", "a.avif", "a.gif", "a.bmp", "a.ppm", "a.jp2", "a.tga")
TURNABLE = ("a.jpg", "a.png", "a.tif", "a.webp", "a.avif", "a.jp2")


def picture(height: int = 5, width: int = 7, mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(noise).convert(mode)


def exif(orientation: object) -> Image.Exif:
    notes = Image.Exif()
    notes[0x010F] = "a maker of cameras"
    notes[0x0112] = orientation
    notes[0x0132] = "2020:01:02 03:04:05"
    return notes


def by_decoding(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    return upright.height, upright.width


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Pillow was asked")

    monkeypatch.setattr(Image, "open", refuse)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 1), (300, 200)])
def test_the_size_is_that_of_the_decoded_picture(tmp_path: Path, name: str, height: int, width: int) -> None:
    picture(height, width).save(tmp_path / name)
    assert read_header(tmp_path / name) == (height, width, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", TURNABLE)
def test_orientation(tmp_path: Path, name: str, orientation: int) -> None:
    options = {} if name == "a.jp2" else {"exif": exif(orientation)}
    picture().save(tmp_path / name, **options)
    found = read_header(tmp_path / name)
    assert found[:2] == by_decoding(tmp_path / name) == image_size(tmp_path / name)
    assert found.orientation == (1 if name == "a.jp2" else orientation)
    assert (found.height > found.width) == (found.orientation >= 5)


@pytest.mark.usefixtures("without_pillow")
@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "P", "RGBA", "LA", "1", "I;16"])
def test_plain_files_do_without_pillow(tmp_path: Path, suffix: str, mode: str) -> None:
    if mode in {"jpg": ("P", "RGBA", "LA", "1", "I;16"), "png": ("CMYK",)}[suffix]:
        return
    path = tmp_path / f"a.{suffix}"
    picture(5, 7, "L" if mode == "I;16" else mode).convert(mode).save(path, dpi=(72, 72))
    assert read_header(path) == (5, 7, 1)


@pytest.mark.usefixtures("without_pillow")
def test_a_phones_photograph_does_without_pillow(tmp_path: Path) -> None:
    for orientation in (*range(9), 99):
        picture().save(tmp_path / "a.jpg", exif=exif(orientation))
        sizes = (7, 5) if 5 <= orientation <= 8 else (5, 7)
        assert read_header(tmp_path / "a.jpg") == (*sizes, orientation if 1 <= orientation <= 8 else 1)


def test_progressive_with_thumbnail_and_long_segments(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    picture(20, 30).save(thumbnail, "JPEG")
    path = tmp_path / "a.jpg"
    for progressive in (False, True):
        picture(50, 70).save(
            path,
            progressive=progressive,
            exif=exif(6),
            icc_profile=bytes(150_000),
            comment=b"\xff\xc0" * 20_000,
        )
        whole = path.read_bytes()
        hidden = b"\xff\xe5\xff\xff" + (thumbnail.getvalue() * 99)[:65533]  # a picture within a segment
        path.write_bytes(whole[:2] + hidden + whole[2:])
        assert read_header(path) == (70, 50, 6)
        assert by_decoding(path) == (70, 50)


def test_xmp(tmp_path: Path) -> None:
    for orientation in (1, 3, 8):
        picture().save(tmp_path / "a.jpg", xmp=XMP % orientation)
        picture().save(tmp_path / "both.jpg", xmp=XMP % orientation, exif=exif(6))
        notes = PngImagePlugin.PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", (XMP % orientation).decode(), zip=orientation == 8)
        picture().save(tmp_path / "a.png", pnginfo=notes)
        picture().save(tmp_path / "a.webp", xmp=XMP % orientation)
        picture().save(tmp_path / "a.tif", tiffinfo={700: XMP % orientation})
        for name in ("a.jpg", "a.png", "a.webp", "a.tif"):
            assert read_header(tmp_path / name).orientation == orientation, name
            assert read_header(tmp_path / name)[:2] == by_decoding(tmp_path / name), name
        assert read_header(tmp_path / "both.jpg").orientation == 6


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "LA", "RGBA"])
def test_a_png_whose_notes_come_last(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    picture(40, 30, mode).save(path)
    whole = path.read_bytes()
    text = chunk(b"tEXt", b"Software\0paint")
    path.write_bytes(whole[:-12] + text + chunk(b"eXIf", exif(6).tobytes()[6:]) + whole[-12:])
    assert read_header(path) == (30, 40, 6) == (*by_decoding(path), 6)


def test_no_png_is_decoded_for_its_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Software", "paint", zip=True)
    path = tmp_path / "a.png"
    picture(300, 200, "P").save(path, pnginfo=notes, exif=exif(8), transparency=3, icc_profile=b"\0" * 99)
    seen: list[object] = []
    load = PngImagePlugin.PngImageFile.load
    monkeypatch.setattr(
        PngImagePlugin.PngImageFile, "load", lambda self: (seen.append(self.size), load(self))[1]
    )
    assert read_header(path) == (200, 300, 8)
    assert set(seen) <= {(1, 1)}


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif"])
@pytest.mark.filterwarnings("ignore")
def test_a_file_cut_short(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a.{suffix}"
    picture(90, 70).save(path, **({} if suffix == "gif" else {"exif": exif(orientation)}))
    whole, header = path.read_bytes(), read_header(path)
    for length in (0, 1, 4, 9):
        path.write_bytes(whole[:length])
        found = "a damaged image " if length else "an empty file"
        with pytest.raises(UnreadableImageError, match=f"found {found}"):
            read_header(path)
    start = {"jpg": whole.find(b"\xff\xda") + 14, "png": whole.find(b"IDAT") + 4, "tif": 900, "gif": 900}
    for length in range(start[suffix], len(whole), 199):
        path.write_bytes(whole[:length])
        assert read_header(path) == header, "what is damaged after the header does not show"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["jpg", "png"]),
    notes=st.sampled_from([None, 6]),
    changes=st.lists(st.tuples(st.integers(0, 699), st.integers(0, 255)), min_size=1, max_size=2),
    length=st.integers(0, 800),
)
@pytest.mark.filterwarnings("ignore")
def test_damage_in_a_header_is_judged_as_pillow_does(
    tmp_path: Path, suffix: str, notes: int | None, changes: list[tuple[int, int]], length: int
) -> None:
    path = tmp_path / f"a.{suffix}"
    picture(9, 13).save(path, **({} if notes is None else {"exif": exif(notes)}))
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content[: max(length, 400)])
    height = width = 0
    try:
        with Image.open(path) as image:
            height, width = image.height, image.width
            orientation = image.getexif().get(0x0112, 1)  # of a PNG the picture is decoded for it
    except (*DECODER_ERRORS, Image.DecompressionBombError):
        if suffix == "jpg" or not height:
            with pytest.raises(UnreadableImageError):
                read_header(path)
        return
    orientation = orientation if orientation in range(1, 9) else 1
    size = (width, height) if orientation >= 5 else (height, width)
    assert read_header(path) == (*size, orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_of_many_bands(tmp_path: Path, orientation: int) -> None:
    bands = np.zeros((5, 7, 6), np.float32)
    turn = [(0x0112, "H", 1, orientation, True)]
    size = (7, 5) if orientation >= 5 else (5, 7)
    tifffile.imwrite(
        tmp_path / "a.tif", bands, photometric="minisblack", planarconfig="contig", extratags=turn
    )
    tifffile.imwrite(tmp_path / "pages.tif", bands.transpose(2, 0, 1), photometric="minisblack")
    assert read_header(tmp_path / "a.tif") == read_header(tmp_path / "a.tif", 6) == (*size, orientation)
    assert tuple(read_pixels(tmp_path / "a.tif", 6).shape) == (6, *size)
    assert read_header(tmp_path / "pages.tif", 6) == (5, 7, 1)


def test_arrays(tmp_path: Path) -> None:
    for shape, channels, size in (
        ((5, 7), None, (5, 7)),
        ((5, 7, 3), None, (5, 7)),
        ((3, 5, 7), None, (5, 7)),
        ((3, 5, 3), None, (3, 5)),
        ((3, 5, 3), 3, (3, 5)),
        ((9, 5, 4), 9, (5, 4)),
        ((9, 5, 4), 4, (9, 5)),
        ((1, 5, 7, 3), 3, (5, 7)),
    ):
        np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
        assert read_header(tmp_path / "a.npy", channels) == (*size, 1), shape
    for shape in ((5,), (0, 7, 3), (2, 3, 4, 5)):
        np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
        with pytest.raises(UnreadableImageError, match=r"found shape \("):
            read_header(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((50, 70)))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:200])
    assert read_header(tmp_path / "a.npy") == (50, 70, 1)


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.jpg").write_text("text")
    (tmp_path / "link.jpg").symlink_to("none.jpg")
    picture(20, 20).save(tmp_path / "large.jpg")
    picture(20, 20).save(tmp_path / "large.png")
    picture(20, 10).save(tmp_path / "twice.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    names = ("none.jpg", "text.jpg", "link.jpg", "large.jpg", "large.png", "twice.png", "")
    found = read_headers([tmp_path / name for name in names], workers=2)
    starts = {
        0: "no such file",
        1: "a damaged image (UnidentifiedImageError: cannot identify image file",
        2: "a link to none.jpg, which does not exist: restore that or delete the link",
        3: "too large an image (Image size (400 pixels) exceeds",
        4: "too large an image (Image size (400 pixels) exceeds",
        6: "a damaged image (IsADirectoryError: ",
    }
    assert list(found.faults) == list(starts)
    for index, start in starts.items():
        assert found.faults[index].startswith(start)
        with pytest.raises(UnreadableImageError) as caught:
            read_header(tmp_path / names[index])
        assert caught.value.found == found.faults[index]
    assert found.sizes.tolist() == [[0, 0]] * 5 + [[20, 10]] + [[0, 0]]
    assert found.orientations.tolist() == [1] * 7


def test_many_files_in_their_order(tmp_path: Path) -> None:
    paths = []
    for number in range(1, 30):
        paths.append(tmp_path / f"{number}.{'jpg' if number % 2 else 'png'}")
        picture(number, 40).save(paths[-1], exif=exif(1 + number % 8))
    told: list[tuple[int, int]] = []
    found = read_headers(paths * 40, lambda done, total: told.append((done, total)), workers=3)
    assert found.sizes.dtype == np.int32
    assert found.orientations.dtype == np.uint8
    for index, path in enumerate(paths):
        assert Header(*found.sizes[index].tolist(), int(found.orientations[index])) == read_header(path)
    assert np.array_equal(found.sizes, np.tile(found.sizes[:29], (40, 1)))
    assert told[-1] == (1160, 1160)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert read_headers([]).sizes.shape == (0, 2)


def test_what_nobody_expects_is_raised(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        read_headers([None] * 900, workers=2)  # type: ignore[list-item]
    assert threading.active_count() < 9
