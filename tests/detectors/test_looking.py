"""Detections and a feature of an image from one pass."""

import pytest
import torch

import masu
from masu.detectors.looking import looks
from masu.ops.images import batch_images


@pytest.mark.parametrize("architecture", ["faster_rcnn_lite0_fpn", "retinanet_lite0_fpn", "fcos_lite0_fpn"])
def test_a_look_finds_what_predict_finds(architecture):
    torch.manual_seed(0)
    detector = masu.build(architecture, ["a", "b"], weights="none", image_size=64).eval()
    images = [torch.randint(0, 256, (3, 60, 80), dtype=torch.uint8), torch.rand(3, 96, 64)]
    seen = list(looks(detector.prediction_network(), images))
    for look, found in zip(seen, detector.predict(images), strict=True):
        torch.testing.assert_close(look.detections.boxes, found.boxes)
        torch.testing.assert_close(look.detections.scores, found.scores)
        assert look.detections.names == found.names
    assert seen[0].feature.shape == (detector.pyramid.backbone.channels[-1],)
    assert not torch.allclose(seen[0].feature, seen[1].feature)


@pytest.mark.parametrize("side", [None, 64])
def test_two_looks_find_what_a_detector_with_tta_finds(small, side):
    network = masu.tiled(small, side).prediction_network()
    image = torch.randint(0, 256, (3, 90, 120), dtype=torch.uint8, generator=torch.manual_seed(0))
    (wanted,) = masu.with_tta(network).predict([image])
    (once,), (twice,) = (list(looks(network, [image], tta=tta)) for tta in (False, True))
    torch.testing.assert_close(twice.detections.boxes, wanted.boxes)
    torch.testing.assert_close(twice.detections.scores, wanted.scores)
    assert len(wanted) > 10
    assert not torch.equal(once.detections.scores, twice.detections.scores)
    assert torch.equal(once.feature, twice.feature)


def test_the_feature_is_the_mean_of_the_coarsest_map():
    detector = masu.build("faster_rcnn_lite0_fpn", ["a"], weights="none", image_size=64).eval()
    network = detector.prediction_network()
    image = torch.rand(3, 64, 64)
    with torch.inference_mode():
        batch = batch_images([image], detector.input)
        expected = network.detector.pyramid.backbone(batch.pixels)[-1].mean(dim=(2, 3))[0]
    (look,) = looks(network, [image])
    torch.testing.assert_close(look.feature, expected)
