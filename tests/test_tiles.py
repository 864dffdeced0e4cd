import numpy as np
import pytest

from masu.errors import InputError
from masu.tiles import Tiles


def test_windows_by_hand():
    assert Tiles(100, 0.2).windows(100, 250).tolist() == [
        [0, 0, 100, 100],
        [75, 0, 175, 100],
        [150, 0, 250, 100],
    ]
    assert Tiles(100).windows(60, 40).tolist() == [[0, 0, 40, 60]]


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("size", [(640, 640), (641, 100), (5_000, 3_333), (1, 7_001)])
def test_windows_cover_every_pixel_and_overlap_as_wanted(size, overlap):
    windows = Tiles(640, overlap).windows(*size)
    for low, high, length in ((0, 2, size[1]), (1, 3, size[0])):
        spans = np.unique(windows[:, [low, high]], axis=0)
        assert spans[0, 0] == 0
        assert spans[-1, 1] == length
        assert (spans[:, 1] - spans[:, 0] == min(640, length)).all()
        shared = spans[:-1, 1] - spans[1:, 0]
        assert (shared >= 640 * overlap - 1).all()


def test_a_picture_of_one_tile_is_not_cut():
    assert not Tiles(640).needed(640, 640)
    assert Tiles(640).needed(640, 641)


@pytest.mark.parametrize(("side", "overlap"), [(31, 0.2), (640, 1.0), (640, -0.1), (True, 0.2)])
def test_refuses_what_cannot_be_cut(side, overlap):
    with pytest.raises(InputError):
        Tiles(side, overlap)
