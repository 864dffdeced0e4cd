"""A detector that looks twice: laws with one that is wrong in a known way, and the same in every form."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

import masu
from masu.data.pixels.windows import Held
from masu.detectors.predict import Predictor
from masu.errors import InputError
from masu.evaluation.choice import set_suppression
from masu.exports.agreement import agreement_of
from masu.exports.exported import open_detector
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.runtime import Model
from masu.tiles import Tiles
from tests.detectors.test_tiling import same


@pytest.fixture(scope="module")
def photograph():
    return torch.from_numpy(load_sample_images().images[0][:200, :301].copy()).permute(2, 0, 1)


class Shifted(Predictor):
    """Finds the one bright rectangle, two pixels too far right, and less surely on the right half."""

    names, kind, thresholds, margins = ("bright",), "detector", {"bright": 0.4}, {"bright": 0.25}
    suppression, limit, device = 0.5, 3, torch.device("cpu")

    input = InputPolicy(64, 64)

    def with_tiles(self, tiles):
        return type("Tiled", (Shifted,), {"input": InputPolicy(64, 64, tiles=tiles)})()

    def of_pixels(self, images):
        found = []
        for image in images:
            y, x = (image[0] > 200).nonzero().unbind(1)
            if not len(x):
                found.append(Detections(np.zeros((0, 4)), [], [], ()))
                continue
            box = [x.min() + 2, y.min(), x.max() + 3, y.max() + 1]
            score = 0.5 if x.float().mean() > image.shape[2] / 2 else 0.75
            found.append(Detections([[float(side) for side in box]], [score], [0], self.names))
        return found


def scene(*boxes, size=(40, 100)):
    image = torch.zeros((3, *size), dtype=torch.uint8)
    for x1, y1, x2, y2 in boxes:
        image[:, y1:y2, x1:x2] = 255
    return image


def test_what_is_wrong_to_one_side_is_right_in_the_middle():
    (found,) = masu.with_tta(Shifted()).predict([scene((10, 10, 30, 20))])
    # 12..32 with 0.75; the mirror image 72..92 with 0.5, so 8..28
    assert found.boxes.tolist() == [[10, 10, 30, 20]]
    assert found.scores.tolist() == [0.625]
    assert found.names == ("bright",)


def test_nothing_found_and_images_in_any_order_and_number():
    images = [scene((10, 10, 30, 20)), scene(), scene((60, 5, 80, 25), size=(60, 90)), scene((4, 4, 40, 30))]
    detector = masu.with_tta(Shifted())
    single = [detector.predict([image])[0] for image in images]
    assert [len(found) for found in single] == [1, 0, 1, 1]
    for batch_size in (1, 3, 4):
        together = detector.predict(images[::-1], batch_size=batch_size)
        assert all(same(*pair) for pair in zip(together[::-1], single, strict=True))


def test_a_mirrored_picture_gives_mirrored_boxes(small, photograph):
    detector, width = masu.with_tta(small), photograph.shape[2]
    (found,) = detector.predict([photograph])
    (other,) = detector.predict([photograph.flip(-1)])
    assert len(found) > 50
    assert torch.equal(found.scores, other.scores)
    assert torch.equal(found.labels, other.labels)
    back = torch.stack([width - other.boxes[:, 2], width - other.boxes[:, 0]], 1)
    assert torch.allclose(back, found.boxes[:, [0, 2]], atol=1e-4)
    assert torch.equal(other.boxes[:, [1, 3]], found.boxes[:, [1, 3]])
    assert not torch.equal(small.predict([photograph])[0].scores, found.scores)


def test_boxes_stay_within_the_picture_and_the_limit_and_scores_within_0_and_1(small, photograph):
    detector = masu.with_tta(small)
    (found,) = detector.predict([photograph])
    assert 0 < found.scores.min() <= found.scores.max() <= 1
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2:] <= torch.tensor([301.0, 200.0])).all()
    assert len(found) == detector.limit == small.limit == 100
    config = small.config
    set_suppression(small, most=4)
    assert len(masu.with_tta(small).predict([photograph])[0]) == 4
    small.config = config


def test_each_tile_is_looked_at_twice():
    picture = Held(scene((10, 4, 30, 12), (150, 20, 170, 30), size=(40, 180)).permute(1, 2, 0).numpy())
    for detector in (masu.tiled(masu.with_tta(Shifted()), 100), masu.with_tta(masu.tiled(Shifted(), 100))):
        assert detector.input.tiles == Tiles(100)
        (found,) = detector.predict([picture])
        small = sorted(box for box in found.boxes.tolist() if box[2] - box[0] < 30)  # the whole shows one
        assert small[0] == [10, 4, 30, 12]
        # in its tile, from column 80 on, it is on the right: 72..92 with 0.5, the mirror image 68..88 with 0.75
        assert small[1] == [150, 20, 170, 30]
        assert len(small) == 2


def test_thresholds_margins_and_all_that_takes_a_detector(tmp_path):
    detector = masu.with_tta(Shifted())
    image = scene((10, 10, 30, 20)).permute(1, 2, 0).numpy()
    assert len(detector.predict(image, threshold=0.7)) == 0
    assert detector.thresholds == {"bright": 0.4}
    with pytest.raises(InputError, match="margins: found measured without --tta"):
        detector.predict(image, margins=True)
    detector.measured = detector.way
    grown = detector.predict(image, margins=True)
    assert grown.boxes[0, 1] == pytest.approx(10 - 0.25 * 200**0.5, abs=1e-4)
    assert len(list(detector.stream([image, image]))) == 2
    from PIL import Image

    Image.fromarray(image).save(tmp_path / "a.png")
    assert masu.detect(detector, tmp_path / "a.png").detections == 1
    assert detector.predict(tmp_path / "a.png").path == tmp_path / "a.png"


def test_an_exported_file_finds_the_same(small, photograph, onnx_file):
    wanted = masu.with_tta(small).predict([photograph])
    exported = masu.with_tta(open_detector(onnx_file)).predict([photograph])
    model = Model(onnx_file)
    (runtime,) = model.with_tta().predict([photograph.permute(1, 2, 0).numpy()])
    assert same(exported[0], Detections(runtime.boxes, runtime.scores, runtime.labels, runtime.names))
    agreed = agreement_of(small, wanted, exported)
    assert agreed.matched > 50
    assert agreed.unmatched <= agreed.detections // 50, agreed
    array = photograph.permute(1, 2, 0).numpy()
    assert not np.array_equal(model.predict([array])[0].scores, runtime.scores)  # it stays as it is


def test_what_is_no_detector_is_refused_and_twice_is_once(small):
    with pytest.raises(TypeError, match=r"with_tta: found a value of type str, .* masu.load opens one"):
        masu.with_tta("model.safetensors")
    detector = masu.with_tta(small)
    assert masu.with_tta(detector) is detector
