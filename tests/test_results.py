"""Detections as users handle them: picked from, counted, drawn, saved, handed to other libraries."""

import json
import pickle
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from masu.data.formats import read_dataset
from masu.errors import InputError
from masu.records import Detection, Detections
from masu.verbs.detect import detect

BOXES = [[4.0, 5, 24, 25], [30.12345, 2, 38, 12], [1, 1, 3, 3]]


def found(path=None):
    return Detections(BOXES, [0.98, 0.75, 0.5], [1, 0, 1], ["dog", "cat", "dog"], path)


@pytest.fixture
def photograph(tmp_path):
    file = tmp_path / "a.png"
    Image.new("RGB", (40, 30), (90, 90, 90)).save(file)
    return file


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        (0, [0]),
        (-1, [2]),
        (np.int64(1), [1]),
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (slice(7, 9), []),
        ([2, 0], [2, 0]),
        ([], []),
        ([True, False, True], [0, 2]),
        (np.array([False, True, False]), [1]),
        (torch.tensor([False, False, False]), []),
        (torch.tensor([1, -3]), [1, 0]),
        (torch.tensor(2), [2]),
    ],
)
def test_brackets_take_what_brackets_take(rows, kept):
    part = found("a.jpg")[rows]
    assert part.boxes.tolist() == torch.tensor(BOXES)[kept].reshape(-1, 4).tolist()
    assert part.scores.tolist() == torch.tensor([0.98, 0.75, 0.5])[kept].tolist()
    assert part.labels.tolist() == [[1, 0, 1][i] for i in kept]
    assert part.names == tuple(["dog", "cat", "dog"][i] for i in kept)
    assert (part.path.name, part.boxes.dtype, part.labels.dtype) == ("a.jpg", torch.float32, torch.int64)


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        (3, IndexError, "found index 3, wanted one of 3 detections"),
        ([0, -4], IndexError, "found index -4, wanted one of 3 detections"),
        ([True], IndexError, "found a mask of shape (1,), wanted (3,), one per box"),
        ("dog", TypeError, "found a str, wanted an index, a slice, a mask or a list of indices"),
        (None, TypeError, "found a NoneType, wanted an index, a slice, a mask or a list of indices"),
        (1.0, TypeError, "found shape () of torch.float32, wanted an index, a slice, a mask or a list"),
        ([[0]], TypeError, "found shape (1, 1) of torch.int64, wanted an index"),
    ],
)
def test_brackets_refuse_the_rest_in_one_line(rows, error, said):
    with pytest.raises(error) as caught:
        found()[rows]
    assert str(caught.value).startswith(f"detections[…]: {said}")


def test_a_walk_gives_one_object_at_a_time():
    first, second, third = found()
    assert first == Detection((4, 5, 24, 25), pytest.approx(0.98), 1, "dog")
    assert (second.name, second.label, third.box, third.score) == ("cat", 0, (1, 1, 3, 3), 0.5)
    assert list(found()[[]]) == []


def test_it_is_shown_in_a_line():
    assert repr(found()) == "Detections(3: 2 dog, 1 cat; best 0.98)"
    assert repr(found()[[]]) == "Detections(0)"
    many = Detections([BOXES[0]] * 7, [0.1] * 7, range(7), list("abcdefg"))
    assert repr(many) == "Detections(7: 1 a, 1 b, 1 c, 1 d, 1 e, …; best 0.10)"


def test_names_are_the_labels_where_none_are_given():
    assert Detections([BOXES[0]], [0.5], [12]).names == ("12",)
    assert Detections([], [], []).names == ()


def test_equality_is_identity():
    one = found()
    assert one == one
    assert one != found()


def test_labels_count_from_0_or_from_1():
    assert found().to_dict()["labels"].tolist() == [1, 0, 1]
    counted = found().to_dict(first=1)
    assert counted["labels"].tolist() == [2, 1, 2]
    assert counted["labels"].dtype == torch.int64
    with pytest.raises(ValueError, match=r"^to_dict: found first=2, wanted 0, or 1 as torchvision counts"):
        found().to_dict(first=2)


def test_the_path_goes_along():
    one = found().with_path("b/a.jpg")
    for other in (one.to("cpu"), one.above(0.6), one[1:], pickle.loads(pickle.dumps(one))):  # noqa: S301
        assert other.path.as_posix() == "b/a.jpg"
    assert found().path is None


def test_a_plot_is_of_the_file_or_of_what_is_given(photograph):
    drawn = found(photograph).plot()
    assert (drawn.size, drawn.mode) == ((40, 30), "RGB")
    assert np.abs(np.asarray(drawn).astype(int) - 90).max() > 40
    assert drawn.tobytes() == found().plot(np.full((30, 40, 3), 90, np.uint8)).tobytes()
    white = found(photograph).plot(Image.new("RGB", (40, 30), "white"))
    assert white.getpixel((27, 28)) == (255, 255, 255)
    with pytest.raises(InputError) as caught:
        found().plot()
    assert str(caught.value) == (
        "plot: found no image, wanted the one that predict was given; write plot(image)"
    )


@pytest.mark.parametrize(("name", "form"), [("a.jpg", "JPEG"), ("a.PNG", "PNG"), ("a.webp", "WEBP")])
def test_saved_as_a_picture(photograph, tmp_path, name, form):
    file = found(photograph).save(tmp_path / "out" / name)
    with Image.open(file) as picture:
        assert (picture.format, picture.size) == (form, (40, 30))


def test_saved_as_masu_detect_writes_it(photograph, tmp_path):
    class Finder:
        names, kind, thresholds = ("cat", "dog"), "detector", {}
        input = type("Input", (), {"channels": None, "tiles": None})

        def predict(self, images, threshold=None, batch_size=1):
            return [found() for _ in images]

    for suffix in ("json", "csv"):
        file = found(photograph).save(str(tmp_path / f"a.{suffix}"))
        assert file.read_text() == detect(Finder(), [photograph], to=suffix).text
    (one,) = json.loads((tmp_path / "a.json").read_text())
    assert (one["file"], one["width"], one["height"]) == (str(photograph), 40, 30)
    assert one["detections"][1] == {"box": [30.123, 2, 38, 12], "score": 0.75, "label": 0, "name": "cat"}


def test_saved_without_an_image(tmp_path):
    (one,) = json.loads(found().save(tmp_path / "a.json").read_text())
    assert (one["file"], one["width"], one["height"]) == (None, None, None)
    (one,) = json.loads(found(tmp_path / "gone.jpg").save(tmp_path / "a.json").read_text())
    assert (one["file"], one["width"]) == (str(tmp_path / "gone.jpg"), None)
    (one,) = json.loads(found().save(tmp_path / "a.json", Image.new("L", (9, 7))).read_text())
    assert (one["width"], one["height"]) == (9, 7)
    assert found().save(tmp_path / "a.csv").read_text().splitlines()[:2] == [
        "file,x1,y1,x2,y2,score,label,name",
        ",4.0,5.0,24.0,25.0,0.98,1,dog",
    ]


@pytest.mark.parametrize("name", ["a", "a.txt", "a.pcd"])
def test_a_suffix_that_says_nothing(photograph, tmp_path, name):
    with pytest.raises(InputError) as caught:
        found(photograph).save(tmp_path / name)
    assert str(caught.value) == (
        f"{tmp_path / name}: found the suffix {'.' + name[2:] if name[1:] else ''!r}, wanted .jpg, .png or "
        "another picture that Pillow writes, .json or .csv; rename it"
    )
    assert not (tmp_path / name).exists()


def test_what_is_saved_is_read_again_as_a_data_set(photograph):
    found(photograph).save(photograph.parent / "boxes.csv")
    data = read_dataset(photograph.parent / "boxes.csv")
    assert data[0].target.boxes.tolist()[0] == BOXES[0]


def test_as_supervision_has_it():
    supervision = pytest.importorskip("supervision")
    other = found().to_supervision()
    assert isinstance(other, supervision.Detections)
    assert other.xyxy.tolist() == found().boxes.tolist()
    assert (other.class_id.tolist(), other["class_name"].tolist()) == ([1, 0, 1], ["dog", "cat", "dog"])
    assert other.confidence.tolist() == found().scores.tolist()
    assert len(found()[[]].to_supervision()) == 0
    assert len(other[other.confidence > 0.6]) == 2


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_as_a_data_frame(package, monkeypatch):
    library = pytest.importorskip(package)
    if package == "polars":
        monkeypatch.setitem(sys.modules, "pandas", None)
    table = found().to_dataframe()
    assert isinstance(table, library.DataFrame)
    assert list(table.columns) == ["x1", "y1", "x2", "y2", "score", "label", "name"]
    assert list(table["name"]) == ["dog", "cat", "dog"]
    assert (table["x2"][0], table["label"][0], table.shape) == (24, 1, (3, 7))
    assert found()[[]].to_dataframe().shape == (0, 7)


@pytest.mark.parametrize(("call", "package"), [("to_supervision", "supervision"), ("to_dataframe", "pandas")])
def test_a_package_that_is_missing_is_named(monkeypatch, call, package):
    for name in ("supervision", "pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError) as caught:
        getattr(found(), call)()
    assert str(caught.value) == (
        f"{package}: found no such package, wanted the package {package}; pip install {package}"
    )
