"""``masu.draft``: each tool's form by hand and read back, what is left alone, and what is refused."""

import json
import os
import shutil

import numpy as np
import pytest
from defusedxml import ElementTree
from PIL import Image

import masu
from masu.data.formats import read_annotations
from masu.errors import InputError
from masu.verbs.convert import convert
from masu.words import DRAFT_TOOLS
from tests.drafts.finder import DRAWN, Finder, picture, pictures

VERSION = "cells-1f2e3d4c"


@pytest.fixture
def photos(tmp_path):
    pictures(tmp_path / "photos")
    return tmp_path / "photos"


def drafted(photos, to, out, **options):
    return masu.draft(Finder(), photos, to, out, version=VERSION, threshold=0.5, **options)


def rows_of(data):
    """Boxes and classes by the name of the picture."""
    found = {}
    for image, target in data:
        names = [data.names[label] for label in target.labels.tolist()]
        found[image.name] = list(zip(target.boxes.tolist(), names, strict=True))
    return found


def saved(out):
    """As LabelMe saves files in which somebody changed nothing but the flag that says draft."""
    for file in out.rglob("*.json"):
        page = json.loads(file.read_text("utf-8"))
        shapes = [shape | {"description": "", "mask": None} for shape in page["shapes"]]
        page |= {"version": "6.3.1", "shapes": shapes, "flags": {"draft": False}}
        file.write_text(json.dumps(page, indent=2))


def looked_at(out):
    """As somebody leaves a folder who has looked at every photograph."""
    (file,) = out.rglob("*.masu-drafts")
    file.unlink()


def accepted(out):
    """As Label Studio exports drafts that somebody submitted as they are."""
    tasks = json.loads((out / "tasks.json").read_text("utf-8"))
    for task in tasks:
        (prediction,) = task.pop("predictions")
        task["annotations"] = [{"result": prediction["result"], "was_cancelled": False}]
    (out / "tasks.json").write_text(json.dumps(tasks))


@pytest.mark.parametrize("to", DRAFT_TOOLS)
def test_read_back_they_are_what_was_found(photos, tmp_path, to):
    done = drafted(photos, to, tmp_path / "out")
    assert (done.images, done.boxes, done.empty, done.labelled) == (3, 3, 1, 0)
    assert (done.tool, done.out, done.version, done.faults) == (to, tmp_path / "out", VERSION, ())
    if to == "labelstudio":
        with pytest.raises(InputError, match="predictions that nobody has looked at"):
            read_annotations(tmp_path / "out")
        accepted(tmp_path / "out")
    if to in ("labelme", "xanylabeling"):
        with pytest.raises(InputError, match="3 photographs with drafts of a model that nobody confirmed"):
            masu.read_dataset(tmp_path / "out")
        saved(tmp_path / "out")
    if to in ("cvat", "coco", "yolo", "voc"):
        with pytest.raises(InputError, match="3 photographs with drafts of a model that nobody confirmed"):
            masu.read_dataset(tmp_path / "out")
        looked_at(tmp_path / "out")
    again = rows_of(masu.read_dataset(tmp_path / "out"))
    assert again.keys() == DRAWN.keys()
    for name, expected in DRAWN.items():
        assert [found for _, found in again[name]] == [found for _, found, _ in expected]
        for (box, _), (drawn, _, _) in zip(again[name], expected, strict=True):
            np.testing.assert_allclose(box, drawn, atol=1e-4)
    copied = {path.name for path in (tmp_path / "out").rglob("*.png")}
    assert copied == set(DRAWN)


def test_label_studio(photos, tmp_path):
    drafted(photos, "labelstudio", tmp_path / "out")
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text("utf-8"))
    assert [task["data"] for task in tasks] == [{"image": f"/data/local-files/?d=images/{n}"} for n in DRAWN]
    (first,) = tasks[0]["predictions"]
    assert (first["model_version"], first["score"]) == (VERSION, 0.6)
    assert first["result"][0] == {
        "id": "o0",
        "from_name": "label",
        "to_name": "image",
        "type": "rectanglelabels",
        "original_width": 40,
        "original_height": 30,
        "image_rotation": 0,
        "value": {
            "x": pytest.approx(100 * 1.23 / 40),
            "y": pytest.approx(100 * 2 / 30),
            "width": pytest.approx(100 * 19.27 / 40),
            "height": pytest.approx(100 * 10.12 / 30),
            "rotation": 0,
            "rectanglelabels": ["dog & <hen>"],
        },
        "score": 0.9123,
    }
    assert tasks[1]["predictions"] == [{"model_version": VERSION, "result": []}]
    view = ElementTree.fromstring((tmp_path / "out" / "config.xml").read_text("utf-8"))
    assert [label.get("value") for label in view.iter("Label")] == list(Finder.names)


def test_cvat(photos, tmp_path):
    drafted(photos, "cvat", tmp_path / "out")
    root = ElementTree.fromstring((tmp_path / "out" / "annotations.xml").read_text("utf-8"))
    box = root.find("image/box")
    assert {key: box.get(key) for key in ("label", "source", "xtl", "ytl", "xbr", "ybr", "occluded")} == {
        "label": "dog & <hen>",
        "source": "auto",
        "xtl": "1.23",
        "ytl": "2.0",
        "xbr": "20.5",
        "ybr": "12.12",
        "occluded": "0",
    }
    assert [(one.get("name"), one.text) for one in box] == [("score", "0.9123")]
    assert [one.get("name") for one in root.iter("image")] == list(DRAWN)
    labels = json.loads((tmp_path / "out" / "labels.json").read_text("utf-8"))
    assert labels == [{"name": name, "type": "rectangle", "attributes": []} for name in Finder.names]


@pytest.mark.parametrize(
    ("to", "version", "points", "more"),
    [
        ("labelme", "5.5.0", [[1.23, 2.0], [20.5, 12.12]], {}),
        (
            "xanylabeling",
            "3.2.0",
            [[1.23, 2.0], [20.5, 2.0], [20.5, 12.12], [1.23, 12.12]],
            {"checked": False, "description": ""},
        ),
    ],
)
def test_shapes_beside_the_photographs(photos, to, version, points, more):
    done = drafted(photos, to, None)
    assert (done.images, done.out, done.labelled) == (3, None, 0)
    assert sorted(path.name for path in photos.iterdir()) == sorted(
        [*DRAWN, *(name.replace("png", "json") for name in DRAWN)]
    )
    page = json.loads((photos / "a.json").read_text("utf-8"))
    assert page.pop("draft")["model"] == VERSION
    assert page.pop("shapes")[0] == {
        "label": "dog & <hen>",
        "points": points,
        "group_id": None,
        "difficult": False,
        "shape_type": "rectangle",
        "flags": {},
        "score": 0.9123,
    }
    assert (
        page
        == {
            "version": version,
            "flags": {"draft": True},
            "imagePath": "a.png",
            "imageData": None,
            "imageHeight": 30,
            "imageWidth": 40,
        }
        | more
    )
    assert json.loads((photos / "b.json").read_text("utf-8"))["shapes"] == []


def test_coco_has_scores_and_the_others_say_that_they_have_none(photos, tmp_path):
    drafted(photos, "coco", tmp_path / "coco")
    page = json.loads((tmp_path / "coco" / "annotations" / "instances.json").read_text("utf-8"))
    assert [one["score"] for one in page["annotations"]] == [0.9123, 0.6, 0.75]
    assert page["categories"] == [{"id": k, "name": name} for k, name in enumerate(Finder.names, 1)]
    for to, form in (("yolo", "YOLO"), ("voc", "VOC")):
        assert (
            f"{form} has no place for scores: they are in the list of drafts alone"
            in drafted(photos, to, tmp_path / to).lost
        )


def test_a_photograph_on_its_side_is_drafted_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "photos" / "side.jpg", 30, 40, exif=exif.tobytes())
    drafted(tmp_path / "photos", "labelme", None)
    page = json.loads((tmp_path / "photos" / "side.json").read_text("utf-8"))
    assert (page["imageWidth"], page["imageHeight"]) == (40, 30)
    assert page["shapes"][0]["points"] == [[1.23, 2.0], [20.5, 12.12]]


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("to", ["labelme", "xanylabeling"])
def test_a_file_that_exists_is_never_overwritten(photos, to):
    (photos / "b.json").write_text("mine")
    os.symlink("nowhere", photos / "c.json")
    done = drafted(photos, to, None)
    assert (done.images, done.labelled) == (1, 2)
    assert (photos / "b.json").read_text() == "mine"
    assert os.readlink(photos / "c.json") == "nowhere"
    before = snapshot(photos)
    with pytest.raises(InputError) as caught:
        drafted(photos, to, None)
    assert caught.value.found == "labels or drafts for all 3"
    assert snapshot(photos) == before


def test_a_later_model_drafts_anew_what_nobody_has_saved(photos):
    drafted(photos, "labelme", None)
    saved_since = json.loads((photos / "b.json").read_text("utf-8")) | {"flags": {}}
    (photos / "b.json").write_text(json.dumps(saved_since))
    (photos / "c.json").rename(photos / "elsewhere")
    os.symlink("elsewhere", photos / "c.json")
    before = snapshot(photos)
    done = masu.draft(Finder(), photos, "labelme", version="cells-2a2a2a2a", threshold=0.5)
    assert (done.images, done.labelled) == (1, 2)
    after = snapshot(photos)
    assert [path.name for path in after if after[path] != before[path]] == ["a.json"]
    assert json.loads((photos / "a.json").read_text("utf-8"))["draft"]["model"] == "cells-2a2a2a2a"


def test_photographs_that_would_share_a_file_are_named_and_the_others_drafted(photos):
    picture(photos / "a.jpg", 40)
    (photos / "c.json").write_text("mine")
    picture(photos / "c.JPG", 60)
    done = drafted(photos, "labelme", None)
    assert (done.images, done.labelled) == (1, 0)
    said = "found a.png beside it, and a.json would be the file of both, wanted a name of its own; rename one"
    assert said in done.faults[0]
    assert [fault.partition(":")[0].rpartition(os.sep)[2] for fault in done.faults] == [
        "a.jpg",
        "a.png",
        "c.JPG",
        "c.png",
    ]
    assert {path.name for path in photos.glob("*.json")} == {"b.json", "c.json"}
    with pytest.raises(InputError) as caught:
        drafted(photos / "a.jpg", "labelme", None)
    assert (caught.value.thing, caught.value.wanted) == (str(photos / "a.jpg"), "a name of its own")


def test_a_file_that_comes_while_it_runs_is_left_alone(photos):
    class Slow(Finder):
        def predict(self, images, threshold=None, batch_size=1):
            (photos / "a.json").write_text("mine")
            return super().predict(images, threshold, batch_size)

    done = masu.draft(Slow(), photos, "labelme", threshold=0.5)
    assert (done.images, done.labelled) == (2, 1)
    assert (photos / "a.json").read_text() == "mine"


@pytest.mark.parametrize("form", ["coco", "voc", "yolo", "cvat", "labelme", "csv"])
def test_photographs_with_labels_of_any_format_are_left_out(coins, tmp_path, form):
    """Four photographs of the training split have labels in ``form``; two more lie beside them."""
    convert(coins, tmp_path / "set", form)
    picture(tmp_path / "set" / "new-1.png", 40)
    picture(tmp_path / "set" / "images" / "new-2.png", 50)
    before = snapshot(tmp_path / "set")
    done = drafted(tmp_path / "set", "coco", tmp_path / "out")
    assert (done.images, done.labelled, done.faults) == (2, 6, ())
    assert {path.name for path in (tmp_path / "out" / "images").iterdir()} == {"new-1.png", "new-2.png"}
    assert snapshot(tmp_path / "set") == before


def test_labels_beside_the_folder_of_images_count(tmp_path, photos):
    (tmp_path / "set").mkdir()
    photos.rename(tmp_path / "set" / "images")
    (tmp_path / "set" / "labels").mkdir()
    (tmp_path / "set" / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "set" / "data.yaml").write_text("train: images\nnames: [cat]\n")
    for source in (tmp_path / "set" / "images", f"{tmp_path}/set/images/*.png"):
        done = drafted(source, "coco", tmp_path / "out")
        assert {path.name for path in (tmp_path / "out" / "images").iterdir()} == {"b.png", "c.png"}
        assert (done.images, done.labelled) == (2, 1)
        shutil.rmtree(tmp_path / "out")


def test_links_to_photographs_are_looked_at_where_they_are(coins, tmp_path):
    """Labels beside the originals are not those of the folder that was named."""
    (tmp_path / "new").mkdir()
    picture(coins / "images" / "train" / "0.png", 40)
    (tmp_path / "new" / "a.png").symlink_to(coins / "images" / "train" / "0.png")
    assert drafted(tmp_path / "new", "coco", tmp_path / "out").images == 1
    with pytest.raises(InputError, match="labels or drafts for all 1"):
        drafted(coins / "images" / "train" / "0.png", "coco", tmp_path / "other")


def test_answers_of_a_detector_are_no_labels(photos, tmp_path):
    masu.detect(Finder(), photos, to="coco", out=photos, pictures=False)
    assert drafted(photos, "coco", tmp_path / "out").images == 3


def test_labelled_ones_are_drafted_where_that_is_asked(coins, tmp_path):
    class Any(Finder):
        def predict(self, images, threshold=None, batch_size=1):
            return super().predict([image[:, :, :40] for image in images], threshold, batch_size)

    before = snapshot(coins)
    with pytest.raises(InputError) as caught:
        masu.draft(Any(), coins, "coco", tmp_path / "out")
    assert (caught.value.code, caught.value.found) == ("no-images", "labels or drafts for all 6")
    assert not (tmp_path / "out").exists()
    done = masu.draft(Any(), coins, "coco", tmp_path / "out", labelled_too=True, link=True)
    assert (done.images, done.labelled) == (6, 0)
    assert all(path.is_symlink() for path in (tmp_path / "out" / "images").iterdir())
    assert snapshot(coins) == before


def test_labels_that_cannot_be_read_are_told_and_the_photographs_drafted(photos, tmp_path):
    (photos / "instances_train.json").write_text('{"images": [], "annotations": [], "categories": [')
    done = drafted(photos, "coco", tmp_path / "out")
    assert done.images == 3
    assert len(done.faults) == 1
    assert "instances_train.json" in done.faults[0]


def test_a_photograph_that_cannot_be_read_is_passed_over(photos, tmp_path):
    (photos / "d.png").write_bytes(b"no picture")
    done = drafted(photos, "labelme", tmp_path / "out")
    assert (done.images, len(done.faults)) == (3, 1)
    for name in DRAWN:
        (photos / name).unlink()
    with pytest.raises(InputError) as caught:
        drafted(photos, "labelme", tmp_path / "other")
    assert (caught.value.code, caught.value.thing) == ("unreadable-image", "photographs")
    assert not (tmp_path / "other").exists()


def test_thresholds_are_those_of_the_model(photos, tmp_path):
    strict = Finder({"dog & <hen>": 0.95, "cat": 0.1, "ünnamed": 0.8})
    done = masu.draft(strict, photos, "coco", tmp_path / "own")
    assert (done.boxes, done.empty) == (1, 2)
    assert masu.draft(strict, photos, "coco", tmp_path / "asked", threshold=0.7).boxes == 2


@pytest.mark.parametrize(
    ("to", "out", "options", "thing"),
    [
        ("excel", "new", {}, "--to"),
        ("coco", None, {}, "--out"),
        ("labelme", None, {"labelled_too": True}, "--labelled-too"),
        ("labelme", None, {"link": True}, "--link"),
        ("xanylabeling", "photos", {}, "photos"),
        ("coco", "new", {"threshold": 2}, "threshold"),
        ("coco", "new", {"batch_size": 0}, "batch_size"),
    ],
)
def test_what_is_refused_before_the_work(photos, tmp_path, to, out, options, thing):
    before = snapshot(tmp_path)
    with pytest.raises(InputError) as caught:
        masu.draft(Finder(), photos, to, None if out is None else tmp_path / out, **options)
    assert caught.value.thing.endswith(thing)
    assert snapshot(tmp_path) == before
