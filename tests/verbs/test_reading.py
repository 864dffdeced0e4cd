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


VERBS = {
    "anchors": lambda _, data, **options: masu.anchors(data, **options),
    "evaluate": masu.evaluate,
    "explain": lambda detector, data, **options: masu.explain(detector, data, "page.html", **options),
    "export": lambda detector, data, **options: masu.export(detector, "a.onnx", data=data, **options),
    "funnel": masu.funnel,
    "train": lambda _, data, **options: masu.train(data, **options),
}


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_of_a_path_is_refused_beside_a_data_set(coin_detector, coins, verb, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    data = masu.read_dataset(coins, "val")
    for option in ("split", "form", "images"):
        with pytest.raises(TypeError) as caught:
            VERBS[verb](coin_detector, data, **{option: "val"})
        assert str(caught.value) == (
            f"{verb}: found {option}= beside a data set in memory, wanted it beside a path; leave it out, or "
            "give it to masu.read_dataset"
        )
    with pytest.raises(TypeError, match=r"found split=, images= beside .*, wanted them beside a path"):
        VERBS[verb](coin_detector, data, split="val", images="val")
    assert [path.name for path in tmp_path.iterdir()] == ["coins"]


def test_what_is_of_a_path_is_refused_where_no_data_are(coin_detector, coins, tmp_path):
    with pytest.raises(TypeError, match=r"^explain: found split= beside a single image, "):
        masu.explain(coin_detector, coins / "images" / "val" / "0.png", tmp_path / "page.html", split="val")
    with pytest.raises(TypeError, match=r"^export: found form= beside no data, "):
        masu.export(coin_detector, tmp_path / "a.onnx", form="coco")
