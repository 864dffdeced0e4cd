import sys

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from masu.data.audit.fingerprints import fingerprint
from masu.data.dataset import Dataset, Sample
from masu.data.loading import statistics
from masu.data.loading.statistics import pixel_statistics
from masu.data.pixels import large
from masu.data.pixels.images import displayable, image_size, read_image, read_pixels
from masu.errors import InputError
from masu.records import Target
from masu.tiles import Tiles

DEEP = (np.arange(5 * 7, dtype=np.uint16).reshape(5, 7) * 1871)[..., None]
FIVE = np.arange(5 * 7 * 5, dtype=np.float32).reshape(5, 7, 5) - 60


def files(folder):
    """Each file with what is in it as ``(H, W, C)``, the numbers that masu makes of it."""
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    deep_rgb = np.random.default_rng(1).integers(0, 65536, (5, 7, 3), np.uint16)
    Image.fromarray(rgb).save(folder / "rgb.png")
    Image.fromarray(rgb[..., 0]).save(folder / "grey.png")
    Image.fromarray(DEEP[..., 0]).save(folder / "deep.png")
    tifffile.imwrite(folder / "deep.tif", deep_rgb, photometric="rgb")
    tifffile.imwrite(folder / "five.tif", FIVE, photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(folder / "pages.tif", FIVE.transpose(2, 0, 1), photometric="minisblack")
    np.save(folder / "five.npy", FIVE)
    np.save(folder / "planes.npy", FIVE.transpose(2, 0, 1))
    np.save(folder / "grey.npy", FIVE[..., 0])
    np.save(folder / "whole.npy", FIVE.astype(np.int32))
    return {
        "rgb.png": rgb,
        "grey.png": rgb[..., :1],
        "deep.png": DEEP.astype(np.float32) / 65535,
        "deep.tif": deep_rgb.astype(np.float32) / 65535,
        "five.tif": FIVE,
        "pages.tif": FIVE,
        "five.npy": FIVE,
        "planes.npy": FIVE,
        "grey.npy": FIVE[..., :1],
        "whole.npy": FIVE,
    }


def test_files_keep_their_values(tmp_path):
    for name, wanted in files(tmp_path).items():
        found = read_pixels(tmp_path / name, wanted.shape[2])
        assert torch.equal(found, torch.from_numpy(wanted.transpose(2, 0, 1).copy())), name


def test_arrays_pictures_and_tensors_are_like_files(tmp_path):
    for wanted in files(tmp_path).values():
        planes = torch.from_numpy(wanted.transpose(2, 0, 1).copy())
        assert torch.equal(read_pixels(wanted, wanted.shape[2]), planes)
        assert torch.equal(read_pixels(planes, wanted.shape[2]), planes)
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    assert torch.equal(read_pixels(Image.fromarray(grey), 1), torch.from_numpy(grey)[None])


def test_without_channels_it_is_read_image(tmp_path):
    files(tmp_path)
    assert torch.equal(read_pixels(tmp_path / "rgb.png"), read_image(tmp_path / "rgb.png"))


@pytest.fixture
def without_imagecodecs(monkeypatch):
    """tifffile as it is where that package is missing."""
    monkeypatch.setitem(sys.modules, "imagecodecs", None)


@pytest.mark.usefixtures("without_imagecodecs")
@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "group4", "tiff_adobe_deflate"])
def test_compressed_tiffs_are_read_without_imagecodecs(tmp_path, compression):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    picture = Image.fromarray(rgb).convert("1" if compression == "group4" else "RGB")
    path = tmp_path / "a.tif"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(path, compression=compression, exif=exif)
    whole = read_pixels(path, 1 if compression == "group4" else 3)
    assert torch.equal(whole.expand(3, -1, -1), read_image(path))
    assert (fingerprint(path).fault, fingerprint(path).size) == ("", (7, 5))


@pytest.mark.usefixtures("without_imagecodecs")
def test_a_tiff_of_several_pictures_is_its_first(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 7, 3), np.uint8)
    pages = [Image.fromarray(page) for page in rgb]
    for name, options in (("plain", {}), ("lzw", {"compression": "tiff_lzw"})):
        path = tmp_path / f"{name}.tif"
        pages[0].save(path, save_all=True, append_images=pages[1:], **options)
        assert torch.equal(read_pixels(path, 3), torch.from_numpy(rgb[0].transpose(2, 0, 1).copy()))
        assert (fingerprint(path).fault, fingerprint(path).size) == ("", (5, 7))
    greys = [page.convert("L") for page in pages]
    greys[0].save(path, save_all=True, append_images=greys[1:])
    assert read_pixels(path, 1).tolist() == [np.asarray(greys[0]).tolist()]


@pytest.mark.parametrize("error", [ValueError("LZW requires the 'imagecodecs' package"), ImportError("zstd")])
def test_depth_that_pillow_would_drop_is_not_dropped(tmp_path, monkeypatch, error):
    def refuse(file):
        raise error

    monkeypatch.setattr(tifffile.TiffFile, "asarray", refuse)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.arange(105, dtype=np.uint8).reshape(5, 7, 3), photometric="rgb")
    assert read_pixels(path, 3)[0, 0].tolist() == [0, 3, 6, 9, 12, 15, 18]
    for deep in (np.zeros((5, 7, 3), np.uint16), np.zeros((5, 7, 5), np.uint16)):
        kind = "rgb" if deep.shape[2] == 3 else "minisblack"
        tifffile.imwrite(path, deep, photometric=kind, planarconfig="contig")
        with pytest.raises(InputError) as caught:
            read_pixels(path, deep.shape[2])
        assert str(caught.value) == (
            f"{path}: found a compressed TIFF of 16 bits a channel, wanted one that can be read in full; "
            "install the package imagecodecs or save the file uncompressed"
        )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_as_pillow_has_it(tmp_path, orientation):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    assert torch.equal(read_pixels(path, 3), read_image(path))


@pytest.mark.parametrize(
    ("name", "channels", "message"),
    [
        (
            "rgb.png",
            4,
            "found shape (5, 7, 3), wanted an image of 4 channels (H, W, 4); leave it out, or train with "
            "--channels 3",
        ),
        ("none.npy", 1, "found no such file, wanted an image Pillow can read; check the path"),
        (
            "nan.npy",
            1,
            "found values that are not finite, wanted finite numbers in every channel; replace them",
        ),
        (
            "pickle.npy",
            1,
            "found a damaged image (ValueError: Object arrays cannot be loaded when allow_pickle=False), "
            "wanted an image Pillow can read; replace the file or leave it out",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path, name, channels, message):
    files(tmp_path)
    np.save(tmp_path / "nan.npy", np.array([[1.0, np.nan]]))
    np.save(tmp_path / "pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError) as caught:
        read_pixels(tmp_path / name, channels)
    assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_a_picture_that_is_too_large(tmp_path, monkeypatch):
    files(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for function in (lambda: read_pixels(tmp_path / "rgb.png", 3), lambda: image_size(tmp_path / "rgb.png")):
        with pytest.raises(InputError, match=r"rgb\.png: found too large an image \(Image size"):
            function()


@pytest.mark.parametrize("name", ["five.tif", "pages.tif", "five.npy", "planes.npy"])
def test_bands_that_are_too_large_are_not_decoded(tmp_path, monkeypatch, name):
    files(tmp_path)
    for most in (17, 21, 22):  # of 5 × 7 pixels of 5 bands: too many pixels; too many values; enough
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        if most == 22:
            assert read_pixels(tmp_path / name, 5).shape == (5, 5, 7)
            assert image_size(tmp_path / name, 5) == (5, 7)
            return
        with monkeypatch.context() as inner:
            inner.setattr(np, "load", None)
            inner.setattr(tifffile.TiffFile, "asarray", None)
            inner.setattr(tifffile.TiffPage, "asarray", None)
            for function in (read_pixels, image_size):
                with pytest.raises(InputError) as caught:
                    function(tmp_path / name, 5)
                assert str(caught.value) == (
                    f"{tmp_path / name}: found too large an image (35 pixels, 175 values; the limit is {2 * most}, "
                    f"{8 * most}), wanted an image Pillow can read; cut it into tiles"
                )


def test_a_tensor_without_channels_is_one_channel():
    assert torch.equal(read_pixels(torch.ones(2, 3), 1), torch.ones(1, 2, 3))
    with pytest.raises(InputError, match=r"image tensor: found shape \(2, 3, 1\), wanted an image of 4"):
        read_pixels(torch.ones(2, 3), 4)


def test_size_of_a_picture_that_lies_on_its_side(tmp_path):
    files(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(tmp_path / "rgb.png").save(tmp_path / "turned.jpg", exif=exif)
    assert image_size(tmp_path / "rgb.png") == (5, 7)
    assert (
        image_size(tmp_path / "turned.jpg") == (7, 5) == tuple(read_image(tmp_path / "turned.jpg").shape[1:])
    )
    assert image_size(tmp_path / "five.tif", 5) == (5, 7)


def test_a_damaged_tiff(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0rubbish")
    with pytest.raises(InputError, match=r"a\.tif: found a damaged image"):
        read_pixels(tmp_path / "a.tif", 2)


def test_a_picture_of_any_channels():
    assert displayable(torch.tensor([[[0, 7]]], dtype=torch.uint8)).tolist() == [[[0, 7]]] * 3
    assert displayable(torch.tensor([[[0.0, 1.0]], [[9.0, 9.0]]])).tolist() == [[[0, 255]]] * 3
    assert displayable(torch.tensor([[[-10.0, 30.0]]])).tolist() == [[[0, 255]]] * 3
    assert displayable(torch.zeros(5, 2, 2)).shape == (3, 2, 2)
    assert displayable(torch.full((1, 1, 1), 7.0)).tolist() == [[[0]]] * 3


def dataset(*paths):
    samples = tuple(
        Sample(path, Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))) for path in paths
    )
    return Dataset.of(samples, ("a",), root=paths[0].parent)


def test_mean_and_deviation_by_hand(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[1.0, 5.0], [3.0, 5.0]]], np.float32))  # (1, 2, 2)
    np.save(tmp_path / "b.npy", np.array([[[5.0, 5.0], [7.0, 5.0]]], np.float32))
    (tmp_path / "c.npy").write_bytes(b"")
    mean, std = pixel_statistics(dataset(*(tmp_path / f"{n}.npy" for n in "abc")), 2)
    assert mean == (4.0, 5.0)
    assert std == (pytest.approx(5**0.5), 1.0)


def test_mean_and_deviation_of_bytes_count_as_shares(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "a.png")
    assert pixel_statistics(dataset(tmp_path / "a.png"), 1) == ((0.5,), (0.5,))


def test_of_a_picture_read_by_windows_tiles_are_measured(tmp_path, monkeypatch):
    """Nothing is read as a whole; with tiles that lie side by side and are all read, each pixel counts once."""
    values = np.random.default_rng(0).integers(0, 60_000, (128, 192, 2)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig", tile=(32, 32)
    )
    monkeypatch.setattr(large, "GLADLY", 20_000)
    monkeypatch.setattr(statistics, "GLADLY", 128 * 192)
    monkeypatch.setattr(statistics, "read_pixels", None)
    mean, std = pixel_statistics(dataset(tmp_path / "a.tif"), 2, Tiles(64, 0.0))
    shares = (values / 65535).reshape(-1, 2)
    assert mean == pytest.approx(tuple(shares.mean(0)), rel=1e-6)
    assert std == pytest.approx(tuple(shares.std(0)), rel=1e-6)
    monkeypatch.setattr(statistics, "GLADLY", 3 * 64 * 64)  # three of the six tiles: every other one
    mean, _ = pixel_statistics(dataset(tmp_path / "a.tif"), 2, Tiles(64, 0.0))
    seen = np.concatenate([values[:64, :64], values[:64, 128:], values[64:, 64:128]]) / 65535
    assert mean == pytest.approx(tuple(seen.mean((0, 1))), rel=1e-6)


def test_no_image_that_can_be_read(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        pixel_statistics(dataset(tmp_path / "a.npy"), 2)
