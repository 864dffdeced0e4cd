import numpy as np
import pytest

from masu.data.pixels.windows import Held, means


def test_means_of_squares_by_hand():
    pixels = np.array([[0, 1, 10], [2, 4, 20], [7, 8, 255]], np.uint8)[..., None]
    assert means(pixels, 2)[..., 0].tolist() == [[2, 15], [8, 255]]  # 1.75 and 7.5 are rounded
    assert means(pixels.astype(np.float32), 2)[..., 0].tolist() == [[1.75, 15], [7.5, 255]]


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_picture_in_memory(kind, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(kind)
    picture = Held(pixels)
    assert (picture.shape, picture.height, picture.width, picture.ndim) == ((3, 37, 53), 37, 53, 3)
    assert np.array_equal(picture.read(3, 5, 20, 37), pixels[5:37, 3:20])
    assert np.array_equal(picture.reduced(1).pixels, pixels)
    whole, across, down = picture.reduced(4)
    assert (across, down) == (4, 4)
    assert whole.shape == (10, 14, 3)
    assert whole.dtype == kind
    monkeypatch.setattr("masu.data.pixels.windows.STRIP", 1)  # strip by strip
    assert np.array_equal(picture.reduced(4).pixels, whole)
