"""COCO's files changed in place."""

import json
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats.editing import Entry, Loaded
from masu.errors import InputError
from tests.data.formats.label_files import objects_of, opened, photograph, read_back

SIZE = (60, 80)
PAGE = {
    "info": {"year": 2017, "by": "Ä"},
    "images": [
        {"id": 3, "file_name": "a.png", "height": 60, "width": 80, "license": 5},
        {"id": 9, "file_name": "b.png", "height": 60, "width": 80},
    ],
    "annotations": [
        {"id": 40, "image_id": 9, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
        {
            "id": 7,
            "image_id": 3,
            "category_id": 2,
            "bbox": [10, 20.5, 20, 19.5],
            "area": 123.25,
            "iscrowd": 0,
            "attributes": {"age": [1, 2]},
            "segmentation": [[10, 20.5, 30, 20.5, 30, 40]],
        },
        {"id": 8, "image_id": 3, "category_id": 99, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0},
        {"id": 9, "image_id": 3, "category_id": 5, "bbox": [50, 5, 20, 20], "area": 400, "iscrowd": 1},
        {"id": 10, "image_id": 3, "category_id": 5, "bbox": [50, 5, 0, 20], "area": 0, "iscrowd": 0},
    ],
    "categories": [{"id": 2, "name": "cat", "supercategory": "animal"}, {"id": 5, "name": "dog"}],
    "licenses": [1, 2],
}
LAYOUTS = {
    "compact": {"separators": (",", ":")},
    "usual": {},
    "indented": {"indent": 2},
    "tabs": {"indent": "\t", "ensure_ascii": False},
}


def laid(root, page=PAGE, layout="usual", file="annotations/instances.json"):
    photographs = [photograph(root / "images" / name) for name in ("a.png", "b.png")]
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(page, **LAYOUTS[layout]))
    return photographs[0]


def saved(root, photo, change):
    """The text of the file after the entries of a photograph were changed."""
    files = opened(root)
    loaded = files.load(photo)
    files.save(photo, SIZE, change(*loaded.entries), loaded.version)
    return files.file_of(photo).read_text()


def dumped(layout, **lists):
    return json.dumps(PAGE | lists, **LAYOUTS[layout])


def annotations(*changes):
    """The annotations with some replaced, by position; None: one that goes; those beyond the end are new."""
    changed = dict(changes)
    every = [changed.get(at, one) for at, one in enumerate(PAGE["annotations"])]
    return [one for one in every if one is not None] + [new for at, new in changes if at >= len(every)]


def test_objects_are_read_and_those_of_no_use_are_not(tmp_path):
    photo = laid(tmp_path)
    loaded = opened(tmp_path).load(photo)
    assert objects_of(loaded.entries) == [
        ([10.0, 20.5, 30.0, 40.0], "cat", 0),
        ([50.0, 5.0, 70.0, 25.0], "dog", CROWD),
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_moved_object_keeps_its_id_and_all_that_is_said_of_it(tmp_path, layout):
    photo = laid(tmp_path, layout=layout)
    made = saved(tmp_path, photo, lambda cat, dog: [cat, replace(dog, box=(50.0, 5.0, 70.0, 26.128))])
    moved = PAGE["annotations"][3] | {"bbox": [50.0, 5.0, 20.0, 21.13], "area": 422.6}
    assert made == dumped(layout, annotations=annotations((3, moved)))


def test_a_moved_mask_is_a_rectangle(tmp_path):
    made = saved(tmp_path, laid(tmp_path), lambda cat, dog: [replace(cat, box=(10.0, 20.5, 30.0, 41.0)), dog])
    moved = PAGE["annotations"][1] | {
        "bbox": [10.0, 20.5, 20.0, 20.5],
        "area": 410.0,
        "segmentation": [[10.0, 20.5, 30.0, 20.5, 30.0, 41.0, 10.0, 41.0]],
    }
    assert made == dumped("usual", annotations=annotations((1, moved)))


def test_another_class_or_flag_keeps_mask_and_area(tmp_path):
    made = saved(
        tmp_path,
        laid(tmp_path),
        lambda cat, dog: [replace(cat, name="dog", flag=CROWD), replace(dog, flag=0)],
    )
    one = PAGE["annotations"][1] | {"category_id": 5, "iscrowd": 1}
    two = PAGE["annotations"][3] | {"iscrowd": 0}
    assert made == dumped("usual", annotations=annotations((1, one), (3, two)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_new_objects_and_classes_come_last_with_ids_beyond_the_highest(tmp_path, layout):
    photo = laid(tmp_path, layout=layout)
    new = [Entry((1.0, 2.0, 3.5, 4.0), "cow"), Entry((5.0, 6.0, 7.0, 8.0), "cat", CROWD)]
    made = saved(tmp_path, photo, lambda *both: [*both, *new])
    entries = [
        {"id": 41, "image_id": 3, "category_id": 6, "bbox": [1.0, 2.0, 2.5, 2.0], "area": 5.0, "iscrowd": 0},
        {"id": 42, "image_id": 3, "category_id": 2, "bbox": [5.0, 6.0, 2.0, 2.0], "area": 4.0, "iscrowd": 1},
    ]
    categories = [*PAGE["categories"], {"id": 6, "name": "cow"}]
    assert made == dumped(
        layout, annotations=annotations((5, entries[0]), (6, entries[1])), categories=categories
    )
    assert opened(tmp_path).names == ("cat", "dog", "cow")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("kept", "gone"), [((0,), (3,)), ((1,), (1,)), ((), (1, 3))])
def test_deleted_objects_go_and_nothing_else_does(tmp_path, layout, kept, gone):
    photo = laid(tmp_path, layout=layout)
    made = saved(tmp_path, photo, lambda *both: [both[at] for at in kept])
    assert made == dumped(layout, annotations=annotations(*((at, None) for at in gone)))


@pytest.mark.parametrize("layout", LAYOUTS)
@given(
    owners=st.lists(st.booleans(), max_size=6),
    keep=st.lists(st.booleans(), min_size=6, max_size=6),
    added=st.integers(0, 2),
)
def test_any_objects_of_a_list_go_and_come(tmp_path_factory, layout, owners, keep, added):
    """First, last, all, none: commas and blanks are where they should be."""
    root = tmp_path_factory.mktemp("set")
    every = [
        {
            "id": n,
            "image_id": 3 if own else 9,
            "category_id": 2,
            "bbox": [n, 1, 5, 5],
            "area": 25,
            "iscrowd": 0,
        }
        for n, own in enumerate(owners)
    ]
    photo = laid(root, PAGE | {"annotations": every}, layout)
    files = opened(root)
    loaded = files.load(photo)
    left = [one for one, stays in zip(loaded.entries, keep, strict=False) if stays]
    new = [Entry((n + 20.0, 1.0, n + 25.0, 6.0), "cat") for n in range(added)]
    files.save(photo, SIZE, [*left, *new], loaded.version)
    stays = iter(keep)
    wanted = [one for one in every if one["image_id"] == 9 or next(stays)]
    highest = max((one["id"] for one in every), default=0)
    wanted += [
        {
            "id": highest + 1 + n,
            "image_id": 3,
            "category_id": 2,
            "bbox": [n + 20.0, 1.0, 5.0, 5.0],
            "area": 25.0,
            "iscrowd": 0,
        }
        for n in range(added)
    ]
    made = files.file_of(photo).read_text()
    assert json.loads(made) == PAGE | {"annotations": wanted}
    if every and wanted:
        assert made == json.dumps(PAGE | {"annotations": wanted}, **LAYOUTS[layout])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_photograph_that_is_not_listed(tmp_path, layout):
    laid(tmp_path, layout=layout)
    photo = photograph(tmp_path / "images" / "ü.png", (30, 40))
    files = opened(tmp_path)
    assert files.load(photo) == Loaded(None, "")
    version = files.save(photo, (30, 40), [], "")
    images = [*PAGE["images"], {"id": 10, "file_name": "ü.png", "height": 30, "width": 40}]
    assert json.loads(files.file_of(photo).read_text()) == PAGE | {"images": images}
    assert files.load(photo) == Loaded((), version)
    files.save(photo, (30, 40), [Entry((1.0, 2.0, 3.0, 4.0), "dog")], version)
    assert objects_of(opened(tmp_path).load(photo).entries) == [([1.0, 2.0, 3.0, 4.0], "dog", 0)]


@pytest.mark.parametrize("folder", ["images/more", "elsewhere"])
def test_a_photograph_of_another_folder_gets_a_name_that_is_found(tmp_path, folder):
    laid(tmp_path)
    photo = photograph(tmp_path / folder / "n.png")
    twin = photograph(tmp_path / "twins" / "n.png")
    files = opened(tmp_path)
    files.save(photo, SIZE, [Entry((1.0, 2.0, 3.0, 4.0), "dog")], "")
    files.save(twin, SIZE, [], "")
    again = opened(tmp_path)
    assert [len(again.load(one).entries) for one in (photo, twin)] == [1, 0]


def test_names_follow_those_of_the_folder(tmp_path):
    laid(tmp_path, PAGE | {"images": [PAGE["images"][0] | {"file_name": "images/a.png"}]}, file="labels.json")
    photo = photograph(tmp_path / "images" / "n.png")
    files = opened(tmp_path)
    files.save(photo, SIZE, [], "")
    assert json.loads((tmp_path / "labels.json").read_text())["images"][1]["file_name"] == "images/n.png"


def test_a_photograph_of_a_split_goes_into_its_file_and_classes_keep_their_ids(tmp_path):
    for split in ("train", "val"):
        photograph(tmp_path / split / f"{split}.png")
        page = {
            "images": [{"id": 1, "file_name": f"{split}.png", "height": 60, "width": 80}],
            "annotations": [],
            "categories": [{"id": 1, "name": "cat"}],
        }
        if split == "train":
            page["categories"].append({"id": 7, "name": "dog"})
        (tmp_path / f"{split}.json").write_text(json.dumps(page))
    photo = photograph(tmp_path / "val" / "new.png")
    files = opened(tmp_path)
    assert files.names == ("cat", "dog")
    assert files.file_of(photo) == tmp_path / "val.json"
    files.save(photo, SIZE, [Entry((1.0, 2.0, 3.0, 4.0), "dog"), Entry((1.0, 2.0, 3.0, 4.0), "cow")], "")
    page = json.loads((tmp_path / "val.json").read_text())
    assert page["categories"][1:] == [{"id": 7, "name": "dog"}, {"id": 8, "name": "cow"}]
    assert [one["category_id"] for one in page["annotations"]] == [7, 8]
    assert [one["file_name"] for one in page["images"]] == ["val.png", "new.png"]
    assert files.names == opened(tmp_path).names == ("cat", "dog", "cow")


@pytest.mark.parametrize(
    ("file", "folder", "why"),
    [
        ("instances_train2017.json", "test2017", "no file of annotations for the split 'test2017'"),
        ("instances_train2017.json", "val2017", "no file of annotations for the split 'val2017'"),
        ("instances_train2017.json", "more", ""),
        ("instances.json", "test2017", ""),
    ],
)
def test_a_photograph_of_a_split_without_a_file_teaches_no_other_split(tmp_path, file, folder, why):
    listed = photograph(tmp_path / "train2017" / "a.png")
    other = photograph(tmp_path / folder / "t.png")
    (tmp_path / "annotations").mkdir()
    page = PAGE | {"images": PAGE["images"][:1]}
    (tmp_path / "annotations" / file).write_text(json.dumps(page))
    files = opened(tmp_path)
    assert len(files.load(listed).entries) == 2
    loaded = files.load(other)
    assert loaded.entries is None
    assert why in loaded.why
    assert bool(why) == bool(loaded.why)
    if why:
        before = (tmp_path / "annotations" / file).read_text()
        with pytest.raises(InputError, match="no file of annotations"):
            files.save(other, SIZE, [], loaded.version)
        assert (tmp_path / "annotations" / file).read_text() == before
    else:
        files.save(other, SIZE, [], loaded.version)
        assert files.load(other).entries == ()


def test_an_answer_that_is_taken_back_is_kept_with_its_classes(tmp_path):
    photo = laid(tmp_path)
    files = opened(tmp_path)
    files.take_back(photo, files.load(photo).version, tmp_path / "kept")
    page = json.loads((tmp_path / "annotations" / "instances.json").read_text())
    assert page == PAGE | {"images": PAGE["images"][1:], "annotations": PAGE["annotations"][:1]}
    kept = json.loads((tmp_path / "kept" / "images" / "a.png.json.1").read_text())
    assert kept["images"] == PAGE["images"][:1]
    assert kept["annotations"] == PAGE["annotations"][1:]
    assert [one["name"] for one in kept["categories"]] == ["cat", "dog"]


def test_ids_that_are_texts(tmp_path):
    page = json.loads(json.dumps(PAGE))
    page["images"][0]["id"] = "frame"
    page["images"][1]["id"] = "9"
    for one in page["annotations"]:
        one["image_id"] = "frame" if one["image_id"] == 3 else "9"
    photo = laid(tmp_path, page)
    made = saved(tmp_path, photo, lambda *both: [*both, Entry((1.0, 2.0, 3.0, 4.0), "cat")])
    assert json.loads(made)["annotations"][-1]["image_id"] == "frame"
    assert len(opened(tmp_path).load(photo).entries) == 3
    assert len(opened(tmp_path).load(photo.with_name("b.png")).entries) == 1


def test_a_difficult_object_is_refused(tmp_path):
    photo = laid(tmp_path)
    with pytest.raises(InputError) as caught:
        saved(tmp_path, photo, lambda *_: [Entry((1.0, 2.0, 3.0, 4.0), "cat", DIFFICULT)])
    assert (caught.value.thing, caught.value.found) == (str(photo), "a difficult object (cat)")


def test_a_photograph_that_is_listed_twice_is_not_changed(tmp_path):
    photo = laid(tmp_path, PAGE | {"images": [*PAGE["images"], PAGE["images"][0] | {"id": 77}]})
    loaded = opened(tmp_path).load(photo)
    assert loaded.entries is None
    assert "a.png listed 2 times" in loaded.why


def test_an_id_of_two_images_is_not_changed(tmp_path):
    photo = laid(tmp_path, PAGE | {"images": [PAGE["images"][0], PAGE["images"][1] | {"id": 3}]})
    assert "the id of a.png twice" in opened(tmp_path).load(photo).why


@pytest.mark.parametrize(
    "content", ['{"images": [', '{"images": [], "annotations": []}', "[]", '{"images": 3}']
)
def test_a_file_that_breaks_meanwhile_is_told_and_not_overwritten(tmp_path, content):
    photo = laid(tmp_path)
    other = photograph(tmp_path / "images" / "n.png")
    files = opened(tmp_path)
    loaded = files.load(photo)
    file = files.file_of(photo)
    file.write_text(content)
    for one in (photo, other):
        broken = files.load(one)
        assert broken.entries is None
        assert broken.why.startswith(f"{file}: found ")
        with pytest.raises(InputError):
            files.save(one, SIZE, loaded.entries, broken.version)
    assert file.read_text() == content
    file.write_text(json.dumps(PAGE))
    assert files.load(photo) == loaded


def test_a_broken_file_is_told_at_once(tmp_path):
    photo = laid(tmp_path)
    file = tmp_path / "annotations" / "instances.json"
    file.write_text(file.read_text()[:-40])
    with pytest.raises(InputError) as caught:
        opened(tmp_path).load(photo)
    assert caught.value.thing == str(file)


def test_boxes_of_the_stored_picture(tmp_path):
    photo = photograph(tmp_path / "images" / "a.jpg", (80, 60), orientation=6)
    page = json.loads(json.dumps(PAGE).replace("a.png", "a.jpg"))
    (tmp_path / "instances.json").write_text(json.dumps(page))
    photograph(tmp_path / "images" / "b.png")
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert loaded.entries[0].box == (20.0, 10.0, 39.5, 30.0)
    files.save(photo, (80, 60), [*loaded.entries, Entry((35.0, 10.0, 40.0, 30.0), "cat")], loaded.version)
    made = json.loads((tmp_path / "instances.json").read_text())
    assert made["annotations"][:-1] == page["annotations"]
    assert made["annotations"][-1]["bbox"] == [10.0, 20.0, 20.0, 5.0]


def test_names_of_lvis_by_address(tmp_path):
    photo = photograph(tmp_path / "images" / "val2017" / "01.png")
    image = {"id": 3, "coco_url": "http://images.cocodataset.org/val2017/01.png", "height": 60, "width": 80}
    page = PAGE | {"images": [image | {"neg_category_ids": [5]}]}
    (tmp_path / "instances.json").write_text(json.dumps(page))
    files = opened(tmp_path)
    loaded = files.load(photo)
    assert len(loaded.entries) == 2
    files.save(photo, SIZE, loaded.entries[1:], loaded.version)
    assert json.loads((tmp_path / "instances.json").read_text())["images"] == page["images"]


def test_new_objects_of_a_data_set_of_masks_have_one(tmp_path):
    first = PAGE["annotations"][1]
    photo = laid(tmp_path, PAGE | {"annotations": [first]})
    made = saved(tmp_path, photo, lambda cat: [cat, Entry((1.0, 2.0, 3.0, 4.0), "cat")])
    assert json.loads(made)["annotations"][1]["segmentation"] == [[1.0, 2.0, 3.0, 2.0, 3.0, 4.0, 1.0, 4.0]]
    assert read_back(tmp_path)["a.png"][1] == ([1.0, 2.0, 3.0, 4.0], "cat", 0)


def test_changes_by_others_are_told_photograph_by_photograph(tmp_path):
    photo = laid(tmp_path)
    files = opened(tmp_path)
    file = files.file_of(photo)
    file.write_text(dumped("tabs"))
    assert files.changed() == (photo, photo.with_name("b.png"))  # every entry is written in another way
    file.write_text(dumped("tabs", annotations=annotations((0, None))))
    assert files.changed() == (photo.with_name("b.png"),)
    files.save(photo, SIZE, [], files.load(photo).version)
    file.write_text(file.read_text().replace('"licenses"', '"licences"'))
    assert files.changed() == ()


def test_a_file_that_others_replace_is_where_its_folders_new_photographs_go(tmp_path):
    photographs = [photograph(tmp_path / "images" / name) for name in ("a.png", "b.png", "new.png")]
    page = PAGE | {"annotations": []}
    for name, images in (("one", PAGE["images"][:1]), ("two", [])):
        (tmp_path / f"{name}.json").write_text(json.dumps(page | {"images": images}))
    files = opened(tmp_path)
    assert files.file_of(photographs[2]) == tmp_path / "one.json"
    (tmp_path / "one.json").write_text(json.dumps(page | {"images": []}))
    (tmp_path / "two.json").write_text(json.dumps(page | {"images": PAGE["images"]}))
    assert files.load(photographs[2]) == Loaded(None, "")
    assert files.file_of(photographs[2]) == tmp_path / "two.json"


def test_a_photograph_that_is_not_listed_is_looked_up_and_not_searched_for(tmp_path):
    """Few calls of functions, however many others are listed."""
    count = 2000
    photo = photograph(tmp_path / "images" / "a" / "0.png")
    new = [photograph(tmp_path / "images" / "b" / name) for name in ("first.png", "second.png")]
    for number in range(1, count):
        photo.with_name(f"{number}.png").hardlink_to(photo)
    images = [{"id": n, "file_name": f"{n}.png", "height": 60, "width": 80} for n in range(count)]
    (tmp_path / "instances.json").write_text(json.dumps(PAGE | {"images": images, "annotations": []}))
    files = opened(tmp_path)
    files.load(new[0])
    calls = []
    sys.setprofile(lambda frame, event, value: calls.append(event) if event == "call" else None)
    try:
        loaded = files.load(new[1])
    finally:
        sys.setprofile(None)
    assert loaded == Loaded(None, "")
    assert len(calls) < count / 2
