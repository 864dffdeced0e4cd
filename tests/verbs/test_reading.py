"""Labelled data in the verbs' hands: where it is read at a path, and what may be said beside it."""

import json
import warnings

import pytest

import masu
from masu.verbs import export as exporting
from masu.verbs import reading


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


def spoil(coins, split, objects=1):
    """Move the first objects of a split out of their image."""
    file = coins / "annotations" / f"instances_{split}.json"
    described = json.loads(file.read_text())
    for annotation in described["annotations"][:objects]:
        annotation["bbox"] = [500, 0, 10, 10]
    file.write_text(json.dumps(described))


def test_funnel_and_evaluate_keep_faults_in_the_same_place(coin_detector, coins):
    spoil(coins, "val")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        faults = masu.funnel(coin_detector, coins).metrics.faults
    assert [fault.split(": ")[0] for fault in faults] == [str(coins / "annotations" / "instances_val.json")]
    assert faults == masu.evaluate(coin_detector, coins).faults
    assert masu.funnel(coin_detector, masu.read_dataset(coins, "val")).metrics.faults == ()


def test_export_tells_what_is_left_out_of_data_and_calibration(coin_detector, coins, tmp_path, monkeypatch):
    def stop(detector, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "_pictures", stop)
    spoil(coins, "train", 2)
    spoil(coins, "val")
    for int8, told in ((True, ["val", "train", "train"]), (None, ["val"])):
        said = []
        with pytest.raises(KeyboardInterrupt):
            masu.export(coin_detector, tmp_path / "a.onnx", data=coins, int8=int8, report=said.append)
        files = [line.split(": ")[0] for line in said[:-1]]
        assert files == [str(coins / "annotations" / f"instances_{split}.json") for split in told]
        were = "was" if len(told) == 1 else "were"
        assert said[-1].endswith(f" in the data {were} skipped or clipped")


def test_export_tells_which_calibration_images_cannot_be_read(coin_detector, coins):
    torn = coins / "images" / "train" / "1.png"
    torn.write_bytes(torn.read_bytes()[:5000])
    said = []
    images = exporting._images(masu.read_dataset(coins, "train"), coin_detector, said.append)
    assert len(images) == 3
    assert [line.split(": ")[0] for line in said] == [str(torn)]


def test_of_many_faults_the_first_are_told(coins, monkeypatch):
    monkeypatch.setattr(reading, "MOST_TOLD", 3)
    spoil(coins, "train", 5)
    data = masu.read_dataset(coins, "train")
    said = []
    reading.tell_faults(said.append, data, data)
    assert said == [*map(str, data.faults[:3]), "5 faults in the data were skipped or clipped, 3 shown"]


def test_one_folder_for_both_is_one_warning(coins):
    spoil(coins, "train")
    data = masu.read_dataset(coins, "train")
    with pytest.warns(UserWarning, match="1 fault skipped or clipped") as told:
        reading.warn_of_faults(data, data)
    assert len(told) == 1
