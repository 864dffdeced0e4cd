"""Made pictures: the same ones everywhere, edges at every scale."""

import pytest
import torch

from masu.exports.pictures import HEIGHT, WIDTH, made_picture


def test_a_picture_is_that_of_its_seed():
    first = made_picture(0)
    assert (first.shape, first.dtype) == ((3, HEIGHT, WIDTH), torch.uint8)
    assert torch.equal(first, made_picture(0))
    assert (first != made_picture(1)).float().mean() > 0.9


@pytest.mark.parametrize("scale", [1, 4, 16, 64])
def test_neighbours_differ_at_every_scale(scale):
    """Of a twentieth of the cells, single pixels as well, the mean is tens of grey levels from the next one's."""
    for seed in range(2):
        cells = torch.nn.functional.avg_pool2d(made_picture(seed).float(), scale)
        steps = (cells[..., 1:] - cells[..., :-1]).abs().amax(0).flatten()
        assert steps.quantile(0.95) > 30


def test_every_part_has_something_in_it():
    for seed in range(2):
        parts = made_picture(seed)[:, :416, :640].float().reshape(3, 26, 16, 40, 16)  # cells of 16 px
        spread = parts.std((2, 4)).amax(0)
        assert (spread > 15).float().mean() > 0.6
