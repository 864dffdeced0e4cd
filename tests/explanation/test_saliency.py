import copy

import numpy as np
import pytest
import torch
from PIL import Image

import masu
from masu.errors import InputError
from masu.explanation.faithfulness import Faithfulness, Margins, faithfulness, margins, middle, scene
from masu.explanation.saliency import judged
from tests.networks import bright_cells, shifted_cells


@pytest.fixture(scope="module")
def red():
    """48×64 pixels: one cell that the hand-made network scores with the sigmoid of 3, in the dark."""
    image = torch.zeros(3, 48, 64)
    image[0, 16:24, 24:32] = 0.875
    return image


@pytest.fixture
def detector():
    return bright_cells((48, 64))


def test_the_map_of_a_network_worked_by_hand(detector, red):
    found = masu.saliency(detector, red, 0)
    assert (found.name, found.label, found.method) == ("object", 0, "gradient")
    assert found.box.tolist() == [16, 8, 32, 24]
    assert found.score == pytest.approx(torch.tensor(3.0).sigmoid().item())
    assert found.map.shape == (48, 64)
    assert found.map.dtype == torch.float32
    assert (found.map.min(), found.map.max()) == (0, 1)
    assert found.map[17:23, 25:31].min() > 0.4
    assert found.map.nonzero().amin(dim=0).tolist() == [12, 20]  # the cell, and 4 px of blur
    assert found.map.nonzero().amax(dim=0).tolist() == [27, 35]
    # all that counts, 64 pixels, is shown in the first tenth of 1024, and gone with it
    assert found.score_without == 0
    assert found.deletion == pytest.approx(found.score / 20)
    assert found.insertion == pytest.approx(found.score * 19 / 20)
    place = scene(detector, red, found.box, 0)
    assert found.of_middle == faithfulness(place, middle(place))
    assert found.margins == margins(place, found.of_middle)
    gain = found.insertion - found.deletion
    assert found.margins.middle < gain - found.of_middle.gain
    assert found.margins.random < gain
    assert found.trustworthy


def test_a_score_that_rests_on_another_place_is_told(red):
    elsewhere = torch.zeros_like(red)
    elsewhere[0, 40:48, 56:64] = 0.875
    found = masu.saliency(shifted_cells((48, 64)), elsewhere, box=[16, 8, 32, 24])
    assert not found.trustworthy
    assert found.verdict.startswith(
        "not trustworthy: 0.95 of the score 0.95 is left when the box and its surroundings are wiped out, so what "
        "the detection rests on lies elsewhere; insertion minus deletion is "
    )
    assert found.map.max() == 0
    assert found.margins is None  # nothing to tell from luck, so no predictions for it


def test_verdicts():
    of_middle = Faithfulness(0.3, 0.5)
    figures = "for a plain spot in the middle of the box 0.20, for a random order 0"
    assert judged("cat", 0.9, 0.0, Faithfulness(0.1, 0.6), of_middle, Margins(0.29, 0.49)) == (
        True,
        "trustworthy: the score follows the map more closely than the box alone; insertion minus deletion is "
        "0.50, for a plain spot in the middle of the box 0.20 ± 0.29, for a random order 0 ± 0.49",
    )
    assert judged("cat", 0.9, 0.0, Faithfulness(0.1, 0.6), of_middle, Margins(0.31, 0.49)) == (
        False,
        "not trustworthy beyond the box: a spot in its middle may, with luck, say as much; insertion minus deletion "
        "is 0.50, for a plain spot in the middle of the box 0.20 ± 0.31, for a random order 0 ± 0.49",
    )
    assert judged("cat", 0.9, 0.0, Faithfulness(0.1, 0.6), of_middle, Margins(0.1, 0.51)) == (
        False,
        "not trustworthy: a random order of the pixels may, with luck, say as much; insertion minus deletion is "
        "0.50, for a plain spot in the middle of the box 0.20 ± 0.10, for a random order 0 ± 0.51",
    )
    assert judged("cat", 0.9, 0.0, Faithfulness(0.3, 0.5), of_middle, None) == (
        False,
        "not trustworthy beyond the box: a spot in its middle says as much; insertion minus deletion is "
        f"0.20, {figures}",
    )
    assert judged("cat", 0.9, 0.0, Faithfulness(0.6, 0.5), of_middle, None) == (
        False,
        "not trustworthy: a random order of the pixels says as much; insertion minus deletion is "
        f"-0.10, {figures}",
    )
    assert judged("cat", 0.0, 0.0, Faithfulness(0, 0), Faithfulness(0, 0), None) == (
        False,
        "nothing to explain: no cat is found on this box",
    )


def test_what_an_image_is_given_as_changes_nothing(detector, tmp_path):
    pixels = np.random.default_rng(0).integers(150, 255, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    first = masu.saliency(detector, tmp_path / "a.png", 2)
    for same in (pixels, Image.fromarray(pixels), tensor, tensor / 255):
        other = masu.saliency(detector, same, 2)
        torch.testing.assert_close(other.map, first.map, atol=1e-5, rtol=0)
        assert other.verdict == first.verdict
    found = detector.predict([pixels])[0]
    assert torch.equal(first.box, found.boxes[2])
    by_box = masu.saliency(detector, pixels, box=first.box + 1, label=first.name)
    assert torch.equal(by_box.box, first.box)
    assert torch.equal(by_box.map, first.map)


def test_the_detector_is_left_as_it_was(small, red):
    detector = copy.deepcopy(small).train()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    wanted = [p.requires_grad for p in detector.parameters()]
    masu.saliency(detector, red, box=[8, 8, 40, 40], label="cat")
    assert detector.training
    assert all(module.training for module in detector.rpn.backbone.modules())
    assert all(p.grad is None for p in detector.parameters())
    assert wanted == [p.requires_grad for p in detector.parameters()]
    assert all(torch.equal(before[name], tensor) for name, tensor in detector.state_dict().items())


def test_what_is_not_found_can_be_asked_for(detector, red):
    found = masu.saliency(detector, red * 0, box=[16, 8, 32, 24.5])
    assert found.box.tolist() == [16, 8, 32, 24.5]
    assert found.verdict == "nothing to explain: no object is found on this box"


def test_what_has_only_predict_is_asked_by_covering(detector, red):
    class Exported:
        """As an exported file: no gradient."""

        names, kind, input, predict = detector.names, detector.kind, detector.input, detector.predict

    found = masu.saliency(Exported(), red, 0)
    assert found.method == "occlusion"
    assert found.map[16:24, 24:32].mean() > 5 * found.map[30:].mean()
    assert torch.equal(found.map, masu.saliency(detector, red, 0, method="occlusion").map)
    with pytest.raises(InputError) as caught:
        masu.saliency(Exported(), red, 0, method="gradient")
    assert str(caught.value) == (
        "method: found gradient with an exported file, which has none, wanted occlusion; leave method out or "
        "give the model that was exported"
    )


def test_the_overlay_is_grey_where_nothing_supports_the_detection(detector, red):
    coloured = red.clone()
    coloured[2] = 0.5
    picture = np.asarray(masu.saliency(detector, coloured, 0).overlay()).astype(int)
    assert picture.shape == (48, 64, 3)
    assert np.ptp(picture[44, 60]) == 0
    assert picture[20, 28, 0] > picture[20, 28, 2] + 50  # yellow where the map is highest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"detection": 9999}, "detection: found 9999, wanted 0 to "),
        ({"detection": -1}, "detection: found -1, wanted 0 to "),
        (
            {},
            "saliency: found neither a detection nor a box, wanted one of them; give detection=0, or box and label",
        ),
        (
            {"detection": 0, "box": [1, 1, 9, 9]},
            "saliency: found a detection and a box, wanted one of them; give detection=0, or box and label",
        ),
        (
            {"box": [9, 9, 1, 1], "label": "cat"},
            "box: found 9, 9, 1, 1, wanted x1, y1, x2, y2 of a box in the 48×64 image; give pixels, not shares",
        ),
        (
            {"box": [70, 9, 80, 19], "label": 0},
            "box: found 70, 9, 80, 19, wanted x1, y1, x2, y2 of a box in the ",
        ),
        (
            {"box": [1, 2, 3], "label": 0},
            "box: found 1, 2, 3, wanted x1, y1, x2, y2 of a box in the 48×64 image; ",
        ),
        (
            {"box": [1, 1, 9, 9], "label": "cow"},
            "label: found 'cow', wanted one of cat, dog, hen; give a class id or name",
        ),
        (
            {"box": [1, 1, 9, 9], "label": 3},
            "label: found 3, wanted one of cat, dog, hen; give a class id or name",
        ),
        ({"box": [1, 1, 9, 9]}, "label: found None, wanted one of cat, dog, hen; give a class id or name"),
        (
            {"detection": 0, "method": "magic"},
            "method: found 'magic', wanted gradient or occlusion; choose one of them",
        ),
    ],
)
def test_wrong_questions(small, red, arguments, message):
    with pytest.raises(InputError) as caught:
        masu.saliency(small, red, **arguments)
    assert str(caught.value).startswith(message)
    named = "cow" in message or "magic" in message
    assert caught.value.code == ("unknown-name" if named else "bad-input")


def test_an_image_in_which_nothing_is_found(small, red):
    class Blind:
        names, kind, input = ("cat",), "detector", small.input

        def predict(self, images, threshold=None, batch_size=1):
            return [masu.Detections([], [], [], ()) for _ in images]

    with pytest.raises(InputError) as caught:
        masu.saliency(Blind(), red, 0)
    assert str(caught.value) == (
        "detection: found 0, wanted an image in which something is found; it counts what predict gives, best score "
        "first"
    )
