"""Labelled data in the verbs' hands: where it is read at a path, and what may be said beside it."""

import pytest

import masu


@pytest.fixture(scope="module")
def coin_detector():
    return masu.build("faster_rcnn_lite0_fpn", ["coin"], "imagenet", image_size=64)


def test_explain_finds_images_elsewhere(coin_detector, coins, tmp_path):
    (coins / "images").rename(tmp_path / "elsewhere")
    page, images = tmp_path / "page.html", tmp_path / "elsewhere"
    shown = masu.explain(coin_detector, coins, page, worst=1, images=images).images
    assert [image.parent for image in shown] == [images / "val"]
