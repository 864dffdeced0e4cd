import pytest
import torch
from torch.testing import assert_close

from masu.explanation.attribution import by_gradient, by_occlusion, integrated
from masu.explanation.faithfulness import scene
from tests.explanation.test_faithfulness import marked, place
from tests.networks import bright_cells, moving_cells


def test_integrated_gradients_add_up():
    g = torch.Generator().manual_seed(0)
    start, end, weight = torch.rand((3, 1, 5), generator=g)
    total = lambda x: (x * weight).sum(1)  # noqa: E731
    linear, curved = integrated(lambda x: torch.stack([total(x), total(x) ** 2], dim=1), start, end)
    assert_close(linear, weight * (end - start))
    assert curved.sum() == pytest.approx(float((total(end) ** 2 - total(start) ** 2)[0]), rel=1e-5)


def test_the_gradient_map_is_on_the_pixels_that_count_and_nowhere_else():
    image = torch.zeros(3, 48, 64)
    image[0, 16:24, 24:32] = 0.75
    image[1:, 0:16, 16:40] = 1  # bright, but the network looks at red
    at = scene(bright_cells((48, 64)), image, torch.tensor([16.0, 8, 32, 24]), 0)
    assert at.window == (8, 0, 40, 32)
    (values,) = by_gradient(at.detector, at)
    # each of 64 pixels carries 8/64 · 0.75 of the logit; the blur of sigma 1.6 px keeps the sum
    assert values.sum() == pytest.approx(6.0, rel=1e-3)
    inside = torch.zeros(32, 32)
    inside[16:24, 16:24] = 1
    assert (values * inside).sum() > 0.6 * 6
    inside[12:28, 12:28] = 1  # as far as the blur reaches: 3 sigma
    assert (values * (1 - inside)).max() == 0
    assert values[20, 20] == pytest.approx(8 / 64 * 0.75, rel=0.05)


def test_the_gradient_map_of_a_box_adds_up_to_what_the_window_adds_to_its_iou():
    image = torch.zeros(3, 48, 64)
    image[0, 16:24, 24:32] = 0.75
    at = scene(moving_cells((48, 64)), image, torch.tensor([28.0, 8, 44, 24]), 0)
    of_score, of_box = by_gradient(at.detector, at, answers=2)
    assert torch.equal(of_score, by_gradient(at.detector, at)[0])
    # without the window the box lies 12 of 16 px beside itself
    assert of_box.sum() == pytest.approx(1 - 4 / 28, rel=5e-3)
    assert_close(of_box / of_box.max(), of_score / of_score.max())  # both rest on the one cell
    still = scene(bright_cells((48, 64)), image, torch.tensor([16.0, 8, 32, 24]), 0)
    assert by_gradient(still.detector, still, answers=2)[1].max() == 0


def test_what_speaks_against_a_detection_is_not_shown():
    image = torch.ones(3, 48, 64) * 0.5
    image[0, 16:24, 24:32] = 0.1  # darker than the edge: the logit falls
    at = scene(bright_cells((48, 64)), image, torch.tensor([16.0, 8, 32, 24]), 0)
    assert by_gradient(at.detector, at).max() == 0


def test_the_occlusion_map_is_on_the_pixels_that_count():
    values = by_occlusion(place())
    assert values.shape == (40, 40)
    assert values.min() == 0
    assert marked().flatten()[values.argmax()] == 1
    far = torch.ones(40, 40)
    far[9:29, 7:33] = 0  # a cell of 5 pixels and more away from what is marked
    assert values[marked() > 0].mean() > 5 * values[far > 0].mean()
    assert torch.equal(values, by_occlusion(place()))
