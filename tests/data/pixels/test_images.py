"""Whatever holds a picture becomes (3, H, W); whatever does not says so in one line."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from masu.data.pixels.headers import read_header
from masu.data.pixels.images import read_image
from masu.data.pixels.pictures import (
    IMAGE_SUFFIXES,
    UNREAD_SUFFIXES,
    UnreadableImageError,
    decoders_silent,
    find_images,
    is_image_name,
    passed_over,
)
from masu.errors import InputError
from tests.data.pixels.packed_tiffs import write_packed

ARRAY = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
TENSOR = torch.from_numpy(ARRAY).permute(2, 0, 1)


def refused(value: object) -> str:
    with pytest.raises(InputError) as caught:
        read_image(value)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_same_picture_in_every_form(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(ARRAY).save(file)
    for form in (file, str(file), Image.open(file), Image.fromarray(ARRAY), ARRAY, TENSOR):
        image = read_image(form)
        assert image.dtype == torch.uint8
        assert image.is_contiguous()
        assert torch.equal(image, TENSOR)


def test_array_is_not_shared() -> None:
    array = np.zeros((4, 4, 3), np.uint8)
    read_image(array).fill_(9)
    assert array.max() == 0


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("L", 77, [77, 77, 77]),
        ("1", 1, [255, 255, 255]),
        ("RGBA", (9, 8, 7, 0), [9, 8, 7]),
        ("LA", (50, 3), [50, 50, 50]),
        ("I;16", 257 * 100, [100, 100, 100]),
        ("I", 257 * 100, [100, 100, 100]),
        ("F", 200.0, [200, 200, 200]),
        ("F", 0.2, [51, 51, 51]),
        ("CMYK", (0, 0, 0, 0), [255, 255, 255]),
    ],
)
def test_modes(mode: str, colour: object, rgb: list[int]) -> None:
    image = read_image(Image.new(mode, (3, 2), colour))  # type: ignore[arg-type]
    assert image.shape == (3, 2, 3)
    assert image[:, 0, 0].tolist() == rgb


def test_16_bit_png(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3), 65535, np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").unique().tolist() == [255]


@pytest.mark.parametrize("turned", [False, True])
def test_grey_of_12_bits_is_as_bright_as_it_was_stored(tmp_path: Path, turned: bool) -> None:
    """4095 is white; the values halfway between two of 8 bits go up."""
    values = np.array([[0, 1, 2048], [255, 4000, 4095]])
    path = write_packed(tmp_path / "a.tif", values, 12, orientation=3 if turned else 1)
    wanted = [[0, 0, 128], [16, 249, 255]]
    if turned:
        wanted = [row[::-1] for row in wanted[::-1]]
    assert read_image(path)[1].tolist() == wanted
    with Image.open(path) as picture:
        assert read_image(picture)[2].tolist() == wanted


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", transparency=b"\x00\x80")
    assert read_image(tmp_path / "a.png")[:, 0, 0].tolist() == [10, 20, 30]


def test_exif_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera stood on its side: turn by 90° clockwise
    Image.fromarray(ARRAY).save(tmp_path / "a.png", exif=exif)
    assert torch.equal(read_image(tmp_path / "a.png"), TENSOR.rot90(-1, (1, 2)))


def test_floats_pass_through() -> None:
    values = torch.rand(3, 4, 5)
    assert torch.equal(read_image(values), values)
    assert torch.equal(read_image(values.permute(1, 2, 0).numpy()), values)
    assert read_image(values.double()).dtype == torch.float32


def test_one_and_four_channels() -> None:
    assert read_image(np.full((2, 3), 5, np.uint8)).tolist() == [[[5] * 3] * 2] * 3
    assert read_image(torch.full((1, 2, 3), 5, dtype=torch.uint8)).shape == (3, 2, 3)
    assert read_image(torch.zeros(4, 2, 3)).shape == (3, 2, 3)
    assert read_image(np.full((2, 3), 257, np.uint16)).unique().tolist() == [1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            None,
            "image: found a value of type NoneType, wanted a path, a Pillow image, an array (H, W, 3) or a "
            "tensor (3, H, W); pass one of these",
        ),
        (
            np.zeros((2, 2, 2), np.uint8),
            "image array: found shape (2, 2, 2), wanted (H, W) or (H, W, 3); "
            "transpose or index it to that shape",
        ),
        (
            np.zeros((2, 2), np.int64),
            "image array: found values of type int64, wanted uint8, uint16 or floats 0–1; "
            "convert it to uint8",
        ),
        (
            np.full((2, 2), 255.0),
            "image: found floats from 255 to 255, wanted floats 0–1; divide by 255 or convert to uint8",
        ),
        (
            torch.full((3, 2, 2), float("nan")),
            "image: found floats from nan to nan, wanted floats 0–1; divide by 255 or convert to uint8",
        ),
        (
            torch.zeros(5, 6, 3),
            "image tensor: found shape (5, 6, 3), wanted (3, H, W); permute(2, 0, 1) it to that shape",
        ),
        (
            torch.zeros(2, 3, 5, 5),
            "image tensor: found shape (2, 3, 5, 5), wanted (3, H, W); index or stack it to that shape",
        ),
        (
            torch.zeros(3, 2, 2, dtype=torch.int64),
            "image tensor: found values of type torch.int64, wanted uint8 or floats 0–1; convert it to uint8",
        ),
        (
            np.zeros((0, 4, 3), np.uint8),
            "image tensor: found shape (3, 0, 4), wanted (3, H, W); index or stack it to that shape",
        ),
    ],
)
def test_values_that_are_no_image(value: object, message: str) -> None:
    assert refused(value) == message


def test_missing_file_folder_and_empty_file(tmp_path: Path) -> None:
    wanted = "wanted an image Pillow can read"
    missing, empty, text = tmp_path / "none.png", tmp_path / "empty.png", tmp_path / "text.png"
    empty.touch()
    text.write_text("hello")
    assert refused(missing) == f"{missing}: found no such file, {wanted}; check the path"
    assert refused(tmp_path) == f"{tmp_path}: found a folder, {wanted}; name the files in it"
    assert refused(empty) == f"{empty}: found an empty file, {wanted}; convert it to PNG or JPEG"
    assert refused(text) == (
        f"{text}: found a file that is no image or of an unknown kind, {wanted}; convert it to PNG or JPEG"
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp", "gif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_file(tmp_path: Path, suffix: str, share: float) -> None:
    file = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(noise).save(file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    message = refused(file)
    assert message.startswith(f"{file}: found a")
    assert ", wanted an image Pillow can read; " in message


def test_truncated_file_opened_by_the_caller(tmp_path: Path) -> None:
    file = tmp_path / "a.bmp"
    Image.new("RGB", (60, 80)).save(file)
    file.write_bytes(file.read_bytes()[:5000])
    with Image.open(file) as image:
        assert refused(image).startswith(f"{file}: found a damaged image (OSError: image file is truncated")


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (100, 100)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableImageError, match="found too large an image") as caught:
        read_image(tmp_path / "a.png")
    assert "cut it into tiles" in str(caught.value)
    assert caught.value.found.startswith("too large an image")


def test_files_are_closed(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(ARRAY).save(file)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        read_image(file)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before


def test_find_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "sub/c.jpeg", "note.txt", ".hidden.png", "odd[1].png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inside = [tmp_path / name for name in ("a.JPG", "b.png", "odd[1].png", "sub/c.jpeg")]
    assert find_images([str(tmp_path)]) == inside
    assert find_images(str(tmp_path)) == inside
    assert find_images([f"{tmp_path}/*.png", f"{tmp_path}/sub", f"{tmp_path}/b.png"]) == [
        tmp_path / "b.png",
        tmp_path / "odd[1].png",
        tmp_path / "sub" / "c.jpeg",
    ]
    assert find_images([f"{tmp_path}/**/*.jpeg", f"{tmp_path}/odd[1].png", f"{tmp_path}/note.txt"]) == [
        tmp_path / "sub" / "c.jpeg",
        tmp_path / "odd[1].png",
        tmp_path / "note.txt",
    ]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([], "images: found no source, wanted a file, a folder or a pattern; name at least one"),
        (
            ["none/*.jpg"],
            "none/*.jpg: found no such file and no match, wanted an image, a folder of images or a pattern "
            "such as 'shots/*.jpg'; check the path",
        ),
    ],
)
def test_find_nothing(sources: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        find_images(sources)
    assert str(caught.value) == message


def test_find_nothing_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found a folder without images"):
        find_images([tmp_path])


@pytest.mark.parametrize(
    "suffix", ["JPE", "mpo", "avif", "j2k", "J2C", "jpf", "jpx", "pnm", "pbm", "tga", "apng"]
)
def test_rare_suffixes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(ARRAY).save(path, "JPEG2000" if suffix in ("J2C", "jpf") else None)
    assert find_images(tmp_path) == [path]
    assert read_image(path).shape == (3, 2, 3)
    assert read_header(path) == (2, 3, 1)


def test_names_of_images() -> None:
    assert all(
        is_image_name(f"a{suffix}") and is_image_name(f"A{suffix.upper()}") for suffix in IMAGE_SUFFIXES
    )
    assert not any(is_image_name(f"a{suffix}") for suffix in UNREAD_SUFFIXES)
    for name in ("._a.jpg", ".a.png", ".jpg", "jpg", "a.txt", "a.jpg.xml", ""):
        assert not is_image_name(name), name


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.jpg"])
def test_heic_without_its_package(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / name).write_bytes(HEIC)
    message = (
        f"{tmp_path / name}: found HEIC, which needs the package pillow-heif, wanted an image Pillow can read; "
        "pip install pillow-heif, or convert the file to JPEG"
    )
    assert refused(tmp_path / name) == message
    with pytest.raises(UnreadableImageError) as caught:
        read_header(tmp_path / name)
    assert str(caught.value) == message


def test_heic_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plugin:
        """Stands for pillow-heif: after this Pillow knows the kind."""

        @staticmethod
        def register_heif_opener() -> None:
            opened.append("registered")
            monkeypatch.setattr(Image, "open", lambda path: Image.fromarray(ARRAY))

    opened: list[str] = []
    monkeypatch.setitem(sys.modules, "pillow_heif", Plugin)
    (tmp_path / "a.heic").write_bytes(HEIC)
    assert torch.equal(read_image(tmp_path / "a.heic"), TENSOR)
    assert opened == ["registered"]


def test_a_photograph_that_is_only_named_heic(tmp_path: Path) -> None:
    Image.fromarray(ARRAY).save(tmp_path / "a.heic", "PNG")
    assert find_images(tmp_path) == [tmp_path / "a.heic"]
    assert torch.equal(read_image(tmp_path / "a.heic"), TENSOR)


def test_films_and_raw_files_are_told(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.MOV", "c.cr2", "._d.mov", "e.txt", "sub/f.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    inside = [tmp_path / name for name in ("b.MOV", "c.cr2", "sub/f.mp4")]
    assert passed_over([tmp_path, tmp_path / "sub"]) == passed_over(tmp_path) == inside
    assert passed_over([tmp_path / "b.MOV", f"{tmp_path}/*.cr2"]) == [tmp_path / "c.cr2"]
    assert find_images([tmp_path]) == [tmp_path / "a.jpg"]
    with pytest.raises(InputError) as caught:
        find_images([tmp_path / "sub"])
    assert str(caught.value) == (
        f"{tmp_path / 'sub'}: found no image, only f.mp4, wanted an image, a folder of images or a pattern such "
        "as 'shots/*.jpg'; films are read by name: masu detect MODEL f.mp4"
    )


def test_a_picture_of_many_strips_is_the_same_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (1203, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[..., 0]).convert("P").save(tmp_path / "p.png", transparency=3)
    assert (read_image(tmp_path / "a.png").permute(1, 2, 0).numpy() == pixels).all()
    assert (read_image(tmp_path / "p.png").numpy() == pixels[..., 0]).all()


def test_decoders_in_two_threads_leave_warnings_as_they_were():
    """They overlap, and the first to begin is the first to end."""
    before = list(warnings.filters)
    one, two = decoders_silent(), decoders_silent()
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    warnings.warn("unheard: an error, were it heard", stacklevel=1)
    two.__exit__(None, None, None)
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="heard again"):
        warnings.warn("heard again", stacklevel=1)
