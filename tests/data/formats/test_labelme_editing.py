"""LabelMe's files changed in place."""

import json
from dataclasses import replace

import pytest

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.editing import Entry, Loaded
from masu.errors import InputError
from tests.data.formats.label_files import opened, opened_empty, photograph, read_back

TEXT = """{
  "version": "5.4.1",
  "flags": {"night": true},
  "mine": [1, 2.50, {"a": null}],
  "shapes": [
    {
      "label": "cat", "score": 0.50, "points": [[10, 20.500], [30, 40]], "group_id": null,
      "shape_type": "rectangle", "flags": {}, "attributes": {"age": "old"}
    },
    {"label": "dog", "points": [[1, 2], [9, 3], [5, 11]], "shape_type": "polygon"},
    {"label": "broken", "points": [[1, 2]], "shape_type": "polygon"},
    {"label": "car", "points": [[20, 20], [40, 20], [30, 30]], "shape_type": "polygon", "group_id": 7},
    {"label": "flat", "points": [[1, 2], [9, 2]], "shape_type": "rectangle"},
    {"label": "car", "points": [[40, 20], [60, 50]], "shape_type": "rectangle", "group_id": 7,
     "description": "behind the tree"}
  ],
  "imagePath": "a.png",
  "imageData": null,
  "imageHeight": 60,
  "imageWidth": 80
}
"""
SHAPES = json.loads(TEXT)["shapes"]
SIZE = (60, 80)


@pytest.fixture
def photo(tmp_path):
    (tmp_path / "a.json").write_text(TEXT)
    return photograph(tmp_path / "a.png")


def saved(photo, entries, version):
    opened(photo.parent).save(photo, SIZE, entries, version)
    return photo.with_suffix(".json").read_text()


def test_shapes_are_boxes_and_what_is_faulty_is_none(photo):
    loaded = opened(photo.parent).load(photo)
    assert [(one.box, one.name) for one in loaded.entries] == [
        ((10.0, 20.5, 30.0, 40.0), "cat"),
        ((1.0, 2.0, 9.0, 11.0), "dog"),
        ((20.0, 20.0, 60.0, 50.0), "car"),
    ]


def test_a_moved_rectangle_keeps_all_that_is_said_of_it(photo):
    cat, dog, car = (loaded := opened(photo.parent).load(photo)).entries
    text = saved(photo, [replace(cat, box=(10.0, 21.127, 30.0, 40.0)), dog, car], loaded.version)
    shapes = json.loads(text)["shapes"]
    assert shapes[0] == SHAPES[0] | {"points": [[10.0, 21.13], [30.0, 40.0]]}
    assert shapes[1:] == SHAPES[1:]
    start, end = TEXT.index('    {"label": "dog"'), len(TEXT)
    assert text.endswith(TEXT[start:end])
    assert text.startswith(TEXT[: TEXT.index('{\n      "label"')])


def test_a_moved_polygon_is_a_rectangle_and_no_other_shape_is_touched(photo):
    cat, dog, car = (loaded := opened(photo.parent).load(photo)).entries
    text = saved(photo, [cat, replace(dog, box=(1.0, 2.0, 9.0, 12.0)), car], loaded.version)
    shapes = json.loads(text)["shapes"]
    assert shapes[1] == {"label": "dog", "points": [[1.0, 2.0], [9.0, 12.0]], "shape_type": "rectangle"}
    assert shapes[:1] + shapes[2:] == SHAPES[:1] + SHAPES[2:]


def test_another_class_keeps_the_shape(photo):
    cat, dog, car = (loaded := opened(photo.parent).load(photo)).entries
    text = saved(photo, [cat, replace(dog, name="wölf"), replace(car, name="bus")], loaded.version)
    shapes = json.loads(text)["shapes"]
    assert shapes[1] == SHAPES[1] | {"label": "wölf"}
    assert '"wölf"' in text
    assert [shapes[3], shapes[5]] == [SHAPES[3] | {"label": "bus"}, SHAPES[5] | {"label": "bus"}]


def test_a_moved_object_of_several_shapes_is_one_rectangle(photo):
    cat, dog, car = (loaded := opened(photo.parent).load(photo)).entries
    text = saved(photo, [cat, dog, replace(car, box=(20.0, 20.0, 60.0, 55.0))], loaded.version)
    shapes = json.loads(text)["shapes"]
    assert shapes[3] == {
        "label": "car",
        "points": [[20.0, 20.0], [60.0, 55.0]],
        "shape_type": "rectangle",
        "group_id": None,
    }
    assert [*shapes[:3], *shapes[4:]] == [*SHAPES[:3], SHAPES[4]]


def test_deleted_shapes_go_and_faulty_ones_stay(photo):
    loaded = opened(photo.parent).load(photo)
    text = saved(photo, [], loaded.version)
    assert json.loads(text) == json.loads(TEXT) | {"shapes": [SHAPES[2], SHAPES[4]]}
    assert '"mine": [1, 2.50, {"a": null}]' in text


def test_a_new_box_comes_last_in_the_form_of_the_file(photo):
    loaded = opened(photo.parent).load(photo)
    new = [Entry((1.0, 2.0, 3.0, 4.0), "cat", CROWD), Entry((5.0, 6.0, 7.0, 8.0), "cat", DIFFICULT)]
    text = saved(photo, [*loaded.entries, *new], loaded.version)
    shapes = json.loads(text)["shapes"]
    assert shapes[:-2] == SHAPES
    assert [(one["points"], one["flags"], one["difficult"]) for one in shapes[-2:]] == [
        ([[1.0, 2.0], [3.0, 4.0]], {"iscrowd": True}, False),
        ([[5.0, 6.0], [7.0, 8.0]], {}, True),
    ]
    assert '\n    {\n      "label": "cat",\n      "points": [\n        [\n          1.0,' in text


def test_a_shape_that_comes_back_is_the_polygon_that_it_was(photo):
    files = opened(photo.parent)
    loaded = files.load(photo)
    version = files.save(photo, SIZE, loaded.entries[:1], loaded.version)
    files.save(photo, SIZE, loaded.entries, version)
    shapes = json.loads(photo.with_suffix(".json").read_text())["shapes"]
    assert sorted(map(json.dumps, shapes)) == sorted(map(json.dumps, SHAPES))


def test_a_flag_is_changed_and_the_shape_stays(photo):
    cat, dog, car = (loaded := opened(photo.parent).load(photo)).entries
    text = saved(photo, [replace(cat, flag=CROWD), dog, car], loaded.version)
    assert json.loads(text)["shapes"][0] == SHAPES[0] | {"flags": {"iscrowd": True}, "difficult": False}


def test_files_of_x_anylabeling_get_its_rectangles(tmp_path):
    photo = photograph(tmp_path / "a.png")
    text = TEXT.replace('"mine"', '"checked": false, "mine"').replace(
        "[[10, 20.500], [30, 40]]", "[[10, 20.5], [30, 20.5], [30, 40], [10, 40]]"
    )
    (tmp_path / "a.json").write_text(text)
    files = opened(tmp_path)
    loaded = files.load(photo)
    moved = replace(loaded.entries[0], box=(10.0, 20.0, 30.0, 40.0))
    files.save(photo, SIZE, [moved, Entry((1.0, 2.0, 3.0, 4.0), "cat")], loaded.version)
    shapes = json.loads((tmp_path / "a.json").read_text())["shapes"]
    assert shapes[0]["points"] == [[10.0, 20.0], [30.0, 20.0], [30.0, 40.0], [10.0, 40.0]]
    assert shapes[-1]["points"] == [[1.0, 2.0], [3.0, 2.0], [3.0, 4.0], [1.0, 4.0]]


def test_a_turned_shape_that_is_moved_stands_upright(tmp_path):
    photo = photograph(tmp_path / "a.png")
    shape = {
        "label": "ship",
        "points": [[10, 5], [20, 10], [15, 20], [5, 15]],
        "shape_type": "rotation",
        "direction": 0.46,
    }
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [shape], "imagePath": "a.png"}))
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert loaded.entries[0].box == (5.0, 5.0, 20.0, 20.0)
    files.save(photo, SIZE, [replace(loaded.entries[0], box=(6.0, 5.0, 20.0, 20.0))], loaded.version)
    assert json.loads((tmp_path / "a.json").read_text())["shapes"] == [
        {"label": "ship", "points": [[6.0, 5.0], [20.0, 20.0]], "shape_type": "rectangle"}
    ]


def test_a_folder_without_labels_gets_files_beside_the_photographs(tmp_path):
    photo = photograph(tmp_path / "inner" / "a.png")
    files = opened_empty(tmp_path)
    assert files.names == ()
    assert files.file_of(photo) == tmp_path / "inner" / "a.json"
    files.save(photo, SIZE, [Entry((1.0, 2.0, 3.5, 4.0), "cat")], "")
    assert read_back(tmp_path) == {"a.png": [([1.0, 2.0, 3.5, 4.0], "cat", 0)]}
    content = json.loads((tmp_path / "inner" / "a.json").read_text())
    assert (content["imagePath"], content["imageHeight"], content["imageWidth"]) == ("a.png", 60, 80)


def test_photographs_of_one_stem_have_a_file_each(tmp_path):
    photos = [photograph(tmp_path / "a.png"), photograph(tmp_path / "a.jpg")]
    files = opened_empty(tmp_path)
    for number, photo in enumerate(photos):
        assert files.load(photo) == Loaded(None, "")
        files.save(photo, SIZE, [Entry((1.0, 2.0, 3.0, 4.0 + number), "cat")], "")
    assert read_back(tmp_path) == {
        "a.png": [([1.0, 2.0, 3.0, 4.0], "cat", 0)],
        "a.jpg": [([1.0, 2.0, 3.0, 5.0], "cat", 0)],
    }


def test_a_file_elsewhere_that_names_the_photograph_is_its_file(tmp_path):
    photo = photograph(tmp_path / "train" / "images" / "a.png")
    file = tmp_path / "train" / "labels" / "x.json"
    file.parent.mkdir()
    file.write_text(TEXT)
    files = opened(tmp_path)
    assert files.file_of(photo) == file
    files.save(photo, SIZE, [], files.load(photo).version)
    assert json.loads(file.read_text())["shapes"] == [SHAPES[2], SHAPES[4]]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"shapes": [', "broken JSON"),
        (b'{"reading": 5}', "no list 'shapes'"),
        (b'{"shapes": [], "imagePath": "b.png"}', "the labels of b.png"),
        ('{"shapes": [], "imagePath": "a.png"}'.encode("utf-16"), "another encoding"),
    ],
)
def test_a_broken_or_foreign_file_is_never_overwritten(tmp_path, content, why):
    photo = photograph(tmp_path / "a.png")
    photograph(tmp_path / "b.png")
    (tmp_path / "a.json").write_bytes(content)
    files = opened_empty(tmp_path)
    loaded = files.load(photo)
    assert loaded.entries is None
    assert loaded.why.startswith(f"{tmp_path / 'a.json'}: found {why}")
    with pytest.raises(InputError) as caught:
        files.save(photo, SIZE, [], loaded.version)
    assert caught.value.thing == str(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == content


def test_two_files_of_one_photograph_are_not_changed(tmp_path):
    photo = photograph(tmp_path / "a.png")
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(TEXT)
    files = opened(tmp_path)
    assert "b.json" in files.load(photo).why


def test_boxes_of_the_stored_picture_are_shown_upright_and_written_as_stored(tmp_path):
    photo = photograph(tmp_path / "a.jpg", (80, 60), orientation=6)
    (tmp_path / "a.json").write_text(TEXT.replace("a.png", "a.jpg"))
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert loaded.entries[0].box == (20.0, 10.0, 39.5, 30.0)
    new = Entry((35.0, 10.0, 40.0, 30.0), "new")
    files.save(photo, (80, 60), [*loaded.entries, new], loaded.version)
    text = (tmp_path / "a.json").read_text()
    shapes = json.loads(text)["shapes"]
    assert shapes[:-1] == SHAPES
    assert shapes[-1]["points"] == [[10.0, 20.0], [30.0, 25.0]]
    assert files.load(photo).entries[-1].box == (35.0, 10.0, 40.0, 30.0)


def test_a_box_that_reaches_outside_stays_as_it_is_written(tmp_path):
    photo = photograph(tmp_path / "a.png")
    shape = {"label": "cat", "points": [[-5, 3], [12, 100]], "shape_type": "rectangle"}
    text = json.dumps({"shapes": [shape], "imagePath": "a.png"})
    (tmp_path / "a.json").write_text(text)
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert loaded.entries[0].box == (0.0, 3.0, 12.0, 60.0)
    assert files.save(photo, SIZE, loaded.entries, loaded.version) == loaded.version
    assert (tmp_path / "a.json").read_text() == text


def test_a_mark_at_the_start_and_line_ends_of_windows_stay(tmp_path):
    photo = photograph(tmp_path / "a.png")
    content = b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()
    (tmp_path / "a.json").write_bytes(content)
    files = opened(tmp_path)
    loaded = files.load(photo)
    files.save(photo, SIZE, [*loaded.entries, Entry((1.0, 2.0, 3.0, 4.0), "cat")], loaded.version)
    made = (tmp_path / "a.json").read_bytes()
    assert made.startswith(content[: content.index(b'     "description"')])
    assert made.count(b"\n") == made.count(b"\r\n")


def test_a_photograph_that_cannot_be_read(photo):
    photo.write_bytes(b"no picture")
    loaded = opened(photo.parent).load(photo)
    assert loaded.entries is None
    assert "a.png" in loaded.why
