import weakref

import pytest
import torch
from torch.testing import assert_close
from torchvision.transforms.v2.functional import gaussian_blur

from masu.explanation import attribution
from masu.explanation.attribution import by_gradient, by_occlusion, integrated
from masu.explanation.faithfulness import TOGETHER, scene
from masu.records import Detections
from tests.explanation.test_faithfulness import Counts, marked, picture, place
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


@pytest.mark.parametrize("size", [(37, 23), (5, 40), (1, 1)])
@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.6, 4.2, 15.0])  # the last reaches beyond the window
def test_the_blur_is_that_of_torchvision(size, sigma):
    values = torch.rand((2, *size), generator=torch.Generator().manual_seed(0))
    reach = max(int(3 * sigma), 1)
    padded = torch.nn.functional.pad(values, [reach] * 4)  # torchvision reflects what is at the edge: zeros
    known = gaussian_blur(padded, [2 * reach + 1] * 2, [max(sigma, 1e-3)] * 2)[
        ..., reach:-reach, reach:-reach
    ]
    assert_close(attribution._blurred(values, sigma), known, atol=1e-6, rtol=0)


def test_the_occlusion_map_is_on_the_pixels_that_count():
    values = by_occlusion(place())
    assert values.shape == (40, 40)
    assert values.min() == 0
    assert marked().flatten()[values.argmax()] == 1
    far = torch.ones(40, 40)
    far[9:29, 7:33] = 0  # a cell of 5 pixels and more away from what is marked
    assert values[marked() > 0].mean() > 5 * values[far > 0].mean()
    assert torch.equal(values, by_occlusion(place()))


def test_the_occlusion_map_is_the_covariance_of_all_masks(monkeypatch):
    monkeypatch.setattr(attribution, "MASKS", 4 * TOGETHER + 3)  # the last chunk is smaller
    at = place()
    generator = torch.Generator().manual_seed(0)
    masks = torch.stack([attribution._mask(40, 40, generator) for _ in range(4 * TOGETHER + 3)]).double()
    scores = torch.tensor(at.score([at.mixed(mask) for mask in masks]), dtype=torch.float64)
    known = torch.einsum("n,nhw->hw", scores - scores.mean(), masks - masks.mean(dim=0)) / len(masks)
    assert_close(by_occlusion(at), known.clamp(min=0).float(), atol=1e-7, rtol=0)


def test_occlusion_holds_no_more_masks_than_are_asked_for_at_once(monkeypatch):
    alive, most = weakref.WeakSet(), 0

    def counted(*of, make=attribution._mask):
        nonlocal most
        made = make(*of)
        alive.add(made)
        most = max(most, len(alive))
        return made

    monkeypatch.setattr(attribution, "_mask", counted)
    by_occlusion(place())
    assert most <= 2 * TOGETHER  # while a chunk is made the one before is still there


def test_a_score_that_nothing_changes_gives_an_empty_map():
    class Sure(Counts):
        def predict(self, images, threshold=None, batch_size=1):
            whole = [torch.equal(image, picture()) for image in images]
            scores = [1.0 if given else self.score for given in whole]
            return [Detections(self.boxes, [score], self.labels, ("thing",)) for score in scores]

    for score in (0.0, 0.3, 1.0):  # of every covered image
        sure = Sure()
        sure.score = score
        assert by_occlusion(place(sure)).max() == 0
