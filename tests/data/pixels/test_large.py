"""Files read by windows are the files read as a whole, cropped."""

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from masu.data.pixels import large, tiff_windows, vips_windows
from masu.data.pixels.images import read_pixels, read_seen
from masu.data.pixels.large import large_picture
from masu.data.pixels.pictures import UnreadableImageError, upright
from masu.data.pixels.windows import Held
from masu.tiles import Tiles
from tests.data.pixels.packed_tiffs import write_packed

TILES = Tiles(64)
HEIGHT, WIDTH = 211, 307
WINDOWS = [(0, 0, 64, 64), (30, 10, 94, 74), (243, 147, 307, 211), (0, 200, 307, 211), (5, 0, 6, 211)]


@pytest.fixture(autouse=True)
def _all_are_large(monkeypatch):
    monkeypatch.setattr(large, "GLADLY", 0)
    monkeypatch.setattr(vips_windows, "ROWS", 16)
    monkeypatch.setattr(tiff_windows, "KEPT", 30_000)


def pixels(channels=3, kind=np.uint8):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, channels))
    made = (x * 0.5 + y * 0.2)[..., None] + noise + np.arange(channels) * 10
    return (made * (200 if kind == np.uint16 else 1)).astype(kind)


def assert_reads_as_a_whole(path, channels=None, exact=True):
    picture = large_picture(path, channels, TILES)
    assert picture is not None
    whole = read_pixels(path, channels).permute(1, 2, 0).numpy()
    assert picture.shape == (whole.shape[2], *whole.shape[:2])
    for left, top, right, bottom in WINDOWS:
        if right > picture.width or bottom > picture.height:
            left, top, right, bottom = top, left, bottom, right
        part, wanted = picture.read(left, top, right, bottom), whole[top:bottom, left:right]
        assert part.dtype == wanted.dtype
        if exact:
            assert np.array_equal(part, wanted)
        else:
            assert np.abs(part.astype(int) - wanted).max() <= 2
    return picture


TIFFS = {
    "tiles": {"tile": (32, 48)},
    "tiles, deflate": {"tile": (64, 64), "compression": "zlib"},
    "strips": {"rowsperstrip": 7},
    "one strip": {},
    "BigTIFF": {"bigtiff": True, "tile": (32, 32)},
    "planes apart": {"planarconfig": "separate", "tile": (32, 32)},
    "predictor": {"tile": (64, 64), "compression": "zlib", "predictor": True},
}


@pytest.mark.parametrize("options", TIFFS.values(), ids=TIFFS)
@pytest.mark.parametrize("channels", [None, 3])
def test_tiffs(tmp_path, options, channels):
    planes = pixels()
    if "planarconfig" in options:
        planes = planes.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", **options)
    assert_reads_as_a_whole(tmp_path / "a.tif", channels)


@pytest.mark.parametrize(
    ("channels", "kind"), [(1, np.uint8), (1, np.uint16), (5, np.uint16), (4, np.float32), (2, np.int16)]
)
def test_tiffs_of_any_channels(tmp_path, channels, kind):
    made = pixels(channels, kind)
    made = made[..., 0] if channels == 1 else made
    options = {} if channels == 1 else {"planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", made, photometric="minisblack", tile=(32, 32), **options)
    assert_reads_as_a_whole(tmp_path / "a.tif", channels)
    if channels == 1:
        assert_reads_as_a_whole(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations(tmp_path, orientation):
    made = pixels()
    tag = (274, "H", 1, orientation, False)
    tifffile.imwrite(tmp_path / "a.tif", made, tile=(32, 48), photometric="rgb", extratags=[tag])
    picture = assert_reads_as_a_whole(tmp_path / "a.tif")
    assert picture.height == upright(made, orientation).shape[0]
    assert_reads_as_a_whole(tmp_path / "a.tif", 3)
    exif = Image.Exif()
    exif[274] = orientation
    for name in ("a.png", "a.jpg"):
        Image.fromarray(made).save(tmp_path / name, exif=exif)
        assert_reads_as_a_whole(tmp_path / name)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.jpg"])
def test_files_of_pillow(tmp_path, mode, name):
    given = "RGB" if name == "a.jpg" and mode == "RGBA" else mode
    Image.fromarray(pixels()).convert(given).save(tmp_path / name)
    assert_reads_as_a_whole(tmp_path / name, exact=name != "a.webp")


def test_a_palette(tmp_path):
    Image.fromarray(pixels()).quantize(16).save(tmp_path / "a.png")
    Image.fromarray(pixels()).quantize(16).save(tmp_path / "a.tif")
    assert_reads_as_a_whole(tmp_path / "a.png")
    assert_reads_as_a_whole(tmp_path / "a.tif")


def test_pages_are_channels_or_the_first_is_the_picture(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(5).transpose(2, 0, 1), photometric="minisblack")
    assert large_picture(tmp_path / "a.tif", 5, TILES) is None
    assert_reads_as_a_whole(tmp_path / "a.tif")


def test_windows_in_any_order(tmp_path):
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    picture = large_picture(tmp_path / "a.png", None, TILES)
    for top in (100, 0, 90, 200, 3):
        assert np.array_equal(picture.read(2, top, 90, top + 11), pixels()[top : top + 11, 2:90])


def test_what_pillow_converts_is_left_to_it(tmp_path):
    Image.fromarray(pixels()).convert("CMYK").save(tmp_path / "ink.jpg")
    tifffile.imwrite(tmp_path / "floats.tif", pixels()[..., 0].astype(np.float32))
    np.save(tmp_path / "a.npy", pixels())
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in ("ink.jpg", "floats.tif", "a.npy", "broken.png", "none.png"):
        assert large_picture(tmp_path / name, None, TILES) is None, name
    assert isinstance(read_seen(tmp_path / "ink.jpg", None, TILES), Held)  # cut, but from memory
    with pytest.raises(UnreadableImageError):
        read_seen(tmp_path / "broken.png", None, TILES)


def test_small_files_are_read_as_a_whole(tmp_path, monkeypatch):
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    assert large_picture(tmp_path / "a.png", None, Tiles(400)) is None
    assert large_picture(tmp_path / "a.png", None, None) is None
    monkeypatch.setattr(large, "GLADLY", HEIGHT * WIDTH)
    assert large_picture(tmp_path / "a.png", None, TILES) is None
    assert isinstance(read_seen(tmp_path / "a.png", None, Tiles(400)), torch.Tensor)


def test_a_whole_from_the_pyramid(tmp_path):
    made = pixels()
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(made, tile=(32, 32), photometric="rgb", subifds=2)
        for step in (2, 4):
            file.write(made[::step, ::step] // 2, tile=(32, 32), photometric="rgb", subfiletype=1)
    picture = large_picture(tmp_path / "a.tif", None, TILES)
    assert len(picture._levels) == 3
    small, across, down = picture.reduced(5)
    assert np.array_equal(small, made[::4, ::4] // 2)
    assert (across, down) == (WIDTH / 77, HEIGHT / 53)
    assert picture.reduced(2).pixels.shape == (106, 154, 3)
    assert picture.reduced(1).pixels.shape == made.shape
    assert picture.reduced(10).pixels.shape == (27, 39, 3)


def test_a_whole_without_a_pyramid_is_that_of_the_pixels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels(), tile=(32, 32), photometric="rgb")
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        whole = large_picture(tmp_path / name, None, TILES).reduced(3)
        assert np.array_equal(whole.pixels, Held(pixels()).reduced(3).pixels)
    Image.fromarray(pixels()).save(tmp_path / "a.jpg", quality=95)
    whole = large_picture(tmp_path / "a.jpg", None, TILES).reduced(9)
    assert whole.pixels.shape == (26, 38, 3)  # libvips leaves out what is no whole pixel
    assert (whole.across, whole.down) == (8, 8)


def test_a_whole_of_a_wide_picture_decodes_each_tile_about_once(tmp_path, monkeypatch):
    """A row of tiles is more than is kept, and each is needed by several strips."""
    tifffile.imwrite(tmp_path / "a.tif", pixels(), tile=(64, 64), photometric="rgb")
    monkeypatch.setattr("masu.data.pixels.windows.STRIP", 1000)
    monkeypatch.setattr(tiff_windows, "KEPT", 64 * 64 * 3 * 3)  # three of five
    picture = large_picture(tmp_path / "a.tif", None, TILES)
    decoded = []
    stored = picture._levels[0]
    decode = stored._decode
    monkeypatch.setattr(
        stored, "_decode", lambda *args, **more: decoded.append(args[1]) or decode(*args, **more)
    )
    assert np.array_equal(picture.reduced(4).pixels, Held(pixels()).reduced(4).pixels)
    assert set(decoded) | {0} == set(range(20))  # the first was a try
    assert len(decoded) <= 40  # those at the border of two bands twice
    assert stored._kept == {}


@pytest.mark.parametrize("options", [{"tile": (32, 32)}, {"rowsperstrip": 8}], ids=["tiles", "strips"])
def test_hardly_anything_is_decoded_twice(tmp_path, monkeypatch, options):
    tifffile.imwrite(tmp_path / "a.tif", pixels(), compression="zlib", photometric="rgb", **options)
    picture = large_picture(tmp_path / "a.tif", None, TILES)
    stored, decoded = picture._levels[0], []
    decode = stored._decode
    stored._decode = lambda data, index, **more: decoded.append(index) or decode(data, index, **more)
    windows = TILES.windows(picture.height, picture.width)
    ordered = picture.in_order(windows)
    assert sorted(map(tuple, ordered)) == sorted(map(tuple, windows))
    for window in ordered:
        picture.read(*window.tolist())
    assert len(decoded) <= 1.8 * len(set(decoded))


def test_tiles_that_a_file_lacks_are_black(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", shape=(128, 128, 3), dtype=np.uint8, tile=(64, 64), photometric="rgb"
    )
    assert not large_picture(tmp_path / "a.tif", None, TILES).read(10, 10, 100, 100).any()


def test_damage_within_is_said_by_the_file(tmp_path):
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, pixels(), tile=(64, 64), compression="zlib", photometric="rgb")
    picture = large_picture(file, None, TILES)
    with tifffile.TiffFile(file) as opened:
        offset = opened.pages.first.dataoffsets[7]
    content = bytearray(file.read_bytes())
    content[offset : offset + 40] = bytes(40)
    file.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"a\.tif"):
        picture.read(0, 0, WIDTH, HEIGHT)
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    picture = large_picture(tmp_path / "a.png", None, TILES)
    with pytest.raises(UnreadableImageError, match=r"a\.png"):
        picture.read(0, 0, WIDTH, HEIGHT)


def test_without_the_package_the_limit_names_it(tmp_path, monkeypatch):
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    monkeypatch.setattr(vips_windows, "_vips", lambda: None)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableImageError, match=r"masu\[large\]"):
        read_seen(tmp_path / "a.png", None, TILES)


def test_a_part_too_large_to_be_decoded_is_refused(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", pixels(), photometric="rgb")  # one strip
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UnreadableImageError, match="too large"):
        large_picture(tmp_path / "a.tif", None, TILES)


@pytest.mark.parametrize("bits", [2, 4, 12])
def test_bits_that_fill_no_byte_are_read_as_a_whole_or_refused(tmp_path, monkeypatch, bits):
    """Windows would give them unstretched where a package decodes them."""
    values = np.random.default_rng(0).integers(0, 1 << bits, (HEIGHT, WIDTH))
    path = write_packed(tmp_path / "a.tif", values, bits)
    monkeypatch.setattr(tiff_windows._Stored, "decodes", lambda stored: True)
    assert tiff_windows.tiff_windows(path, None) is None
    if bits == 12:
        assert large_picture(path, None, TILES) is None
    else:
        assert_reads_as_a_whole(path)  # by libvips, which stretches them as Pillow does
    assert large_picture(path, 1, TILES) is None
    with pytest.raises(UnreadableImageError) as error:
        read_pixels(path, 1)
    assert error.value.found == f"a TIFF of {bits} bits a channel"
    assert error.value.fix == "install the package imagecodecs or save the file with 8 or 16 bits"


@pytest.mark.parametrize(("kind", "channels"), [(np.uint16, None), (np.uint16, 1), (np.uint8, 1)])
def test_grey_of_which_zero_is_white_is_not_left_to_libvips(tmp_path, kind, channels):
    tifffile.imwrite(tmp_path / "a.tif", pixels(1, kind)[..., 0], photometric="miniswhite")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages.first.photometric == 0
    assert not tiff_windows.reads_alike(tmp_path / "a.tif", channels)


@pytest.mark.parametrize(
    ("kind", "channels"),
    [(np.float32, None), (np.float32, 1), (np.int16, 1), (np.uint32, 1), (np.uint16, None)],
)
def test_other_kinds_of_numbers(tmp_path, kind, channels):
    tifffile.imwrite(tmp_path / "a.tif", pixels(1, kind)[..., 0], photometric="minisblack", tile=(32, 32))
    if (kind, channels) == (np.float32, None):
        assert large_picture(tmp_path / "a.tif", channels, TILES) is None
    else:
        assert_reads_as_a_whole(tmp_path / "a.tif", channels)
