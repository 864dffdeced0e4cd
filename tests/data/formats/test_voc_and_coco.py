"""Reading Pascal VOC and COCO: hand-made files, the records they give, and what broken ones say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from masu.data.fitting import fit_box
from masu.data.formats import Fault, read_dataset, splits
from masu.errors import InputError


def picture(path: Path, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (10, 20, 30)).save(path)
    return path


def voc_object(name: str, box: str, difficult: int = 0) -> str:
    corners = "".join(
        f"<{tag}>{value}</{tag}>"
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box.split(), strict=True)
    )
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


SIZE = "<size><width>64</width><height>48</height><depth>3</depth></size>"


def voc_file(root: Path, stem: str, *objects: str, size: str = SIZE, image: bool = True) -> Path:
    file = root / "Annotations" / f"{stem}.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    name = f"<filename>{stem}.png</filename>"
    file.write_text(f"<annotation>{name}{size}{''.join(objects)}</annotation>")
    if image:
        picture(root / "JPEGImages" / f"{stem}.png")
    return file


def voc_split(root: Path, name: str, text: str) -> Path:
    file = root / "ImageSets" / "Main" / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    voc_file(tmp_path, "a", voc_object("dog", "1 2 30 40"), voc_object("cat", "5 5 10.5 10", difficult=1))
    voc_file(tmp_path, "b", voc_object("bird", "0 0 64 48"))
    voc_file(tmp_path, "c")
    voc_split(tmp_path, "train", "a 1\nc -1\n\n")
    voc_split(tmp_path, "val", "b.png\n")
    voc_split(tmp_path, "dog_train", "a 1\nc -1\n")
    return tmp_path


def coco(**changes: object) -> dict[str, object]:
    page: dict[str, object] = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 64, "height": 48},
            {"id": 9, "file_name": "b.png"},
        ],
        "annotations": [
            {"id": 57, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20]},
            {"id": 58, "image_id": 7, "category_id": 0, "bbox": [0.5, 0, 4, 4], "iscrowd": 1, "area": 16},
        ],
        "categories": [{"id": 3, "name": "dog"}, {"id": 0, "name": "cat"}, {"id": 90, "name": "bird"}],
    }
    return page | changes


def coco_file(file: Path, page: object, *images: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page if isinstance(page, str) else json.dumps(page))
    for name in images:
        picture(file.parent / name)
    return file


def annotation(**changes: object) -> dict[str, object]:
    return {"id": 57, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 20]} | changes


def refused(path: Path, split: str | None = None, names: list[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_dataset(path, split, names)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestVoc:
    def test_everything_without_a_split(self, voc: Path) -> None:
        data = read_dataset(voc)
        assert len(data) == 3
        assert data.names == ("bird", "cat", "dog")
        assert data.category_ids == (1, 2, 3)
        assert (data.split, data.splits, data.root, data.faults) == (None, ("train", "val"), voc, ())
        assert data[0].image == voc / "JPEGImages" / "a.png"
        assert data[0].target.boxes.tolist() == [[1, 2, 30, 40], [5, 5, 10.5, 10]]
        assert data[0].target.labels.tolist() == [2, 1]
        assert data[0].target.ignored.tolist() == [False, True]
        assert data[2].target.boxes.shape == (0, 4)

    def test_every_split_has_the_same_names(self, voc: Path) -> None:
        train, val = read_dataset(voc, "train"), read_dataset(voc, "val")
        assert [sample.image.stem for sample in train] == ["a", "c"]
        assert [sample.image.stem for sample in val] == ["b"]
        assert train.names == val.names == ("bird", "cat", "dog")
        assert val[0].target.labels.tolist() == [0]

    def test_valid_stands_for_val(self, voc: Path) -> None:
        assert read_dataset(voc, "valid").split == "val"

    def test_images_beside_the_xml(self, tmp_path: Path) -> None:
        voc_file(tmp_path, "a", voc_object("dog", "1 2 30 40"), image=False).rename(tmp_path / "a.xml")
        (tmp_path / "Annotations").rmdir()
        picture(tmp_path / "a.PNG")
        assert read_dataset(tmp_path)[0].image == tmp_path / "a.PNG"
        assert splits(tmp_path) == ()

    def test_filename_when_no_image_has_the_stem(self, tmp_path: Path) -> None:
        file = voc_file(tmp_path, "a", image=False)
        file.write_text("<annotation><filename>..\\..\\x\\other.png</filename></annotation>")
        picture(tmp_path / "JPEGImages" / "other.png")
        assert read_dataset(tmp_path)[0].image == tmp_path / "JPEGImages" / "other.png"

    def test_take(self, voc: Path) -> None:
        taken = read_dataset(voc).take([2, 0])
        assert [sample.image.stem for sample in taken] == ["c", "a"]
        assert taken.names == ("bird", "cat", "dog")

    @pytest.mark.parametrize(
        ("box", "kind", "found", "action"),
        [
            ("50 37 50 37", "no-area", "box 50 37 50 37 has no area", "skipped"),
            ("30 10 20 40", "inverted", "box 30 10 20 40 has its corners in the wrong order", "skipped"),
            ("nan 1 20 40", "not-finite", "box nan 1 20 40 is not finite", "skipped"),
            ("1 1 inf 40", "not-finite", "box 1 1 inf 40 is not finite", "skipped"),
            ("70 1 90 40", "outside", "box 70 1 90 40 lies outside the image of 64×48 pixels", "skipped"),
            (
                "-3 1 65 50",
                "overhang",
                "box -3 1 65 50 reaches outside the image of 64×48 pixels",
                "clipped to 0 1 64 48",
            ),
        ],
    )
    def test_faulty_boxes(self, tmp_path: Path, box: str, kind: str, found: str, action: str) -> None:
        file = voc_file(tmp_path, "a", voc_object("dog", "1 2 30 40"), voc_object("dog", box))
        data = read_dataset(tmp_path)
        assert data.faults == (Fault(kind, file, "object 2 (dog)", found, action),)
        assert str(data.faults[0]) == f"{file}: object 2 (dog): {found}, {action}"
        boxes = data[0].target.boxes.tolist()
        assert boxes == [[1, 2, 30, 40]] + ([[0, 1, 64, 48]] if action != "skipped" else [])
        assert len(data[0].target.labels) == len(boxes)

    @pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>", "<size/>"])
    def test_a_size_that_is_not_said_is_that_of_the_image(self, tmp_path: Path, size: str) -> None:
        voc_file(tmp_path, "a", voc_object("dog", "1 2 300 400"), size=size)
        data = read_dataset(tmp_path)
        assert [(fault.kind, fault.action) for fault in data.faults] == [("overhang", "clipped to 1 2 64 48")]
        assert data[0].target.boxes.tolist() == [[1, 2, 64, 48]]
        assert data.sizes.tolist() == [[48, 64]]

    def test_missing_image_is_left_out(self, voc: Path) -> None:
        (voc / "JPEGImages" / "b.png").unlink()
        data = read_dataset(voc)
        assert len(data) == 2
        assert data.faults[0].where == "image b.png"
        assert data.faults[0].found.startswith(f"no such file b.png, looked in {voc / 'JPEGImages'}, ")

    def test_list_with_an_unknown_and_a_double_entry(self, voc: Path) -> None:
        file = voc_split(voc, "val", "b\nnone\nb\n")
        data = read_dataset(voc, "val")
        assert len(data) == 1
        assert [str(fault) for fault in data.faults] == [
            f"{file}: line 2: none, which has no none.xml, skipped",
            f"{file}: line 3: b for a second time, skipped",
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the file: found broken XML (no element found: line 1, column 0), wanted a VOC annotation"),
            (
                "<annotation>",
                "the file: found broken XML (no element found: line 1, column 12), wanted a VOC annotation",
            ),
            ("<svg/>", "the file: found the root element <svg>, wanted <annotation>"),
            (
                '<!DOCTYPE x [<!ENTITY e "v">]><annotation>&e;</annotation>',
                "the file: found unusable XML (EntitiesForbidden: EntitiesForbidden(name='e', "
                "system_id=None, public_id=None)), wanted a VOC annotation",
            ),
            (
                "<annotation><object/></annotation>",
                "object 1: found no <name>, wanted the name of its class",
            ),
            (
                "<annotation><object><name>dog</name></object></annotation>",
                "object 1 (dog): found no <bndbox>, wanted one with xmin ymin xmax ymax",
            ),
            (
                "<annotation><object><name>dog</name><bndbox><xmin>1</xmin></bndbox></object></annotation>",
                "object 1 (dog): found no <ymin>, wanted a number of pixels",
            ),
            (
                f"<annotation>{voc_object('dog', '1 2 x3 4')}</annotation>",
                "object 1 (dog): found <xmax> 'x3', wanted a number of pixels",
            ),
        ],
    )
    def test_broken_annotation(self, voc: Path, text: str, message: str) -> None:
        file = voc / "Annotations" / "b.xml"
        file.write_text(text)
        data = read_dataset(voc)
        assert [str(fault) for fault in data.faults] == [f"{file}: {message}, skipped"]
        assert [image.stem for image, _ in data] == (["a", "c"] if "the file" in message else ["a", "b", "c"])

    @pytest.mark.parametrize("entry", ["../secret", "/etc/passwd", "C:\\x", "..", "sub/a"])
    def test_list_entry_that_leaves_the_root(self, voc: Path, entry: str) -> None:
        file = voc_split(voc, "train", f"c\n{entry}\n")
        assert refused(voc, "train") == (
            f"{file}, line 2: found {entry!r}, wanted the name of an annotation without folder or suffix; "
            "remove the folders; annotations and images lie within the data set"
        )

    def test_two_years_side_by_side_have_their_own_lists(self, tmp_path: Path) -> None:
        for year, name in (("VOC2007", "dog"), ("VOC2012", "cat")):
            root = tmp_path / "VOCdevkit" / year
            for stem in ("000001", "000002"):
                voc_file(root, stem, voc_object(name, "1 2 30 40"))
            voc_split(root, "train", "000001\n")
            voc_split(root, "test", "000002\n")
        assert splits(tmp_path) == ("train", "test")
        train = read_dataset(tmp_path, "train")
        assert [image.parent.parent.name for image, _ in train] == ["VOC2007", "VOC2012"]
        assert [train.names[int(target.labels)] for _, target in train] == ["dog", "cat"]
        assert {image.stem for image, _ in train} == {"000001"}

    def test_empty_list(self, voc: Path) -> None:
        voc_split(voc, "val", "\n")
        assert refused(voc, "val") == (
            f"{voc}, split 'val': found no image with an annotation, wanted at least one; check that the "
            "images lie where the annotations say (--images names another folder) and that the list of the split "
            "is not empty"
        )

    def test_no_image_at_all(self, tmp_path: Path) -> None:
        voc_file(tmp_path, "a", image=False)
        message = refused(tmp_path)
        assert message.startswith(f"{tmp_path}: found no image with an annotation; the first fault: ")
        assert "looked in" in message

    def test_list_that_is_no_text(self, voc: Path) -> None:
        (voc / "ImageSets" / "Main" / "val.txt").write_bytes(b"\xff\xfe\xff")
        assert "found a list that cannot be read" in refused(voc, "val")


class TestCoco:
    def test_single_file(self, tmp_path: Path) -> None:
        file = coco_file(tmp_path / "cells.json", coco(), "a.png", "images/b.png")
        data = read_dataset(file)
        assert (data.names, data.category_ids) == (("cat", "dog", "bird"), (0, 3, 90))
        assert [sample.image for sample in data] == [
            tmp_path / "a.png",
            tmp_path / "images" / "b.png",
        ]
        assert data[0].target.boxes.tolist() == [[1, 2, 11, 22], [0.5, 0, 4.5, 4]]
        assert data[0].target.labels.tolist() == [1, 0]
        assert data[0].target.ignored.tolist() == [False, True]
        assert len(data[1].target) == 0
        assert (data.splits, data.root) == ((), tmp_path)
        assert len(read_dataset(tmp_path)) == 2

    @pytest.mark.parametrize(
        ("json_name", "image_folder"),
        [
            ("annotations/instances_{}2017.json", "{}2017"),
            ("annotations/instances_{}2017.json", "{}"),
            ("annotations/instances_{}.json", "images/{}"),
            ("annotations/instances_{}.json", "images"),
            ("annotations/{}.json", "images/{}"),
            ("{}.json", "{}"),
            ("{}.json", "images"),
            ("{}.json", "."),
            ("{}/_annotations.coco.json", "{}"),
        ],
    )
    def test_folders(self, tmp_path: Path, json_name: str, image_folder: str) -> None:
        for split in ("val", "train"):
            coco_file(tmp_path / json_name.format(split), coco())
            for name in ("a.png", "b.png"):
                picture(tmp_path / image_folder.format(split) / name)
        assert splits(tmp_path) == ("train", "val")
        data = read_dataset(tmp_path, "train")
        assert data[1].image.resolve() == (tmp_path / image_folder.format("train") / "b.png").resolve()
        assert len(read_dataset(tmp_path)) == (4 if "{}" in image_folder else 2)

    def test_two_years_are_two_splits(self, tmp_path: Path) -> None:
        for year in (2014, 2017):
            coco_file(tmp_path / "annotations" / f"instances_train{year}.json", coco())
        assert splits(tmp_path) == ("train2014", "train2017")

    def test_ids_as_texts_and_floats(self, tmp_path: Path) -> None:
        file = coco_file(
            tmp_path / "x.json",
            coco(
                images=[{"id": "7", "file_name": "a.png"}, {"id": "007", "file_name": "b.png"}],
                categories=[{"id": "3", "name": "dog"}, {"id": 4.0, "name": "cat"}],
                annotations=[
                    annotation(image_id=7, category_id="4"),
                    annotation(image_id=7.0, category_id=3.0),
                    annotation(image_id="007", category_id=3),
                    annotation(image_id="9" * 5000),
                ],
            ),
            "a.png",
            "b.png",
        )
        data = read_dataset(file)
        assert (data.names, data.category_ids) == (("dog", "cat"), (3, 4))
        assert [target.labels.tolist() for _, target in data] == [[1, 0], [0]]
        assert [fault.kind for fault in data.faults] == ["unknown-image"]

    def test_two_categories_of_one_name_are_one_class(self, tmp_path: Path) -> None:
        page = coco(
            categories=[{"id": 0, "name": "dog"}, {"id": 3, "name": "dog"}], annotations=[annotation()]
        )
        data = read_dataset(coco_file(tmp_path / "x.json", page, "a.png", "b.png"))
        assert (data.names, data.category_ids) == (("dog",), (3,))

    @pytest.mark.parametrize(
        ("changes", "kind", "found"),
        [
            ({"bbox": [5, 5, 0, 5]}, "no-area", "box 5 5 5 10 has no area"),
            ({"bbox": [5, 5, -2, 5]}, "inverted", "box 5 5 3 10 has its corners in the wrong order"),
            ({"bbox": [float("nan"), 5, 2, 5]}, "not-finite", "box nan 5 nan 10 is not finite"),
            ({"bbox": [10**400, 5, 2, 5]}, "not-finite", "box inf 5 inf 10 is not finite"),
            (
                {"bbox": [100, 5, 2, 5]},
                "outside",
                "box 100 5 102 10 lies outside the image of 64×48 pixels",
            ),
            ({"category_id": 4}, "unknown-class", "unknown category id 4"),
            ({"image_id": 8}, "unknown-image", "unknown image id 8"),
        ],
    )
    def test_faulty_annotations(
        self, tmp_path: Path, changes: dict[str, object], kind: str, found: str
    ) -> None:
        where = "annotation id 57"
        page = coco(annotations=[annotation(**changes)])
        file = coco_file(tmp_path / "x.json", page, "a.png", "b.png")
        data = read_dataset(file)
        assert data.faults == (Fault(kind, file, where, found, "skipped"),)
        assert [len(sample.target) for sample in data] == [0, 0]

    def test_missing_and_double_images(self, tmp_path: Path) -> None:
        images = [{"id": k, "file_name": name} for k, name in enumerate(["a.png", "gone.png", "a.png"])]
        file = coco_file(tmp_path / "x.json", coco(images=images, annotations=[]), "a.png")
        data = read_dataset(file)
        assert len(data) == 1
        assert [str(fault) for fault in data.faults] == [
            f"{file}: image id 1: no such file gone.png, looked in {tmp_path}, skipped",
            f"{file}: image id 2: a.png for a second time, joined with the first",
        ]

    @pytest.mark.parametrize(
        ("page", "message"),
        [
            ("", ": found an empty file, wanted a JSON object"),
            (
                '{"images":\n [}',
                ": found broken JSON (a list that ends with another bracket: line 2), wanted annotations",
            ),
            (
                {"annotations": [], "categories": []},
                ": found no key 'images' (its keys: annotations, categories), wanted a list 'images'",
            ),
            (coco(categories=None), ", 'categories': found null, wanted a list"),
            (coco(images=[3]), ", 'images', entry 1: found a number, wanted an object"),
            (
                coco(categories=[{"id": "x", "name": "dog"}]),
                ", category 1 of the list: found 'id' \"x\", wanted a whole number",
            ),
            (
                coco(categories=[{"id": 3, "name": "dog"}, {"id": 3, "name": "cat"}]),
                ", category id 3: found it twice, wanted one entry for each id",
            ),
        ],
    )
    def test_broken_file(self, tmp_path: Path, page: object, message: str) -> None:
        file = coco_file(tmp_path / "train.json", page, "a.png", "b.png")
        assert refused(file) == f"{file}{message}; correct the file or export it again"
        assert refused(tmp_path) == refused(file)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"images": [{"file_name": "b.png"}, *coco()["images"]]},
                "image 1 of the list: found no 'id', wanted a whole number or a text",
            ),
            (
                {"images": [{"id": 8}, *coco()["images"]]},
                "image id 8: found no 'file_name', wanted a text",
            ),
            (
                {"images": [*coco()["images"], {"id": 7, "file_name": "b.png"}]},
                "image id 7: found it twice, wanted one entry for each id",
            ),
            (
                {"annotations": [annotation(bbox=[1, "2", 3, 4])]},
                'annotation id 57: found the bbox value "2", wanted a number of pixels',
            ),
            (
                {"annotations": [annotation(bbox=[1, None, 3, 4])]},
                "annotation id 57: found the bbox value null, wanted a number of pixels",
            ),
            (
                {"annotations": [annotation(bbox=[1, 2, 3])]},
                "annotation id 57: found a bbox of 3 values, wanted 4: x y width height",
            ),
            (
                {"annotations": [{"image_id": 7, "category_id": 3}]},
                "annotation 1 of the list: found no 'bbox', wanted a list",
            ),
        ],
    )
    def test_a_broken_entry_is_left_out(
        self, tmp_path: Path, changes: dict[str, object], message: str
    ) -> None:
        file = coco_file(tmp_path / "x.json", coco(**changes), "a.png", "b.png")
        data = read_dataset(file)
        assert [str(fault) for fault in data.faults] == [f"{file}: {message}, skipped"]
        assert len(data) == 2

    def test_an_entry_that_is_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("masu.data.formats.json_stream.MOST_BYTES", 100)
        monkeypatch.setattr("masu.data.formats.json_stream._BLOCK", 64)
        page = coco(annotations=[annotation(segmentation=[list(range(100))])])
        file = coco_file(tmp_path / "x.json", page, "a.png", "b.png")
        assert refused(file) == (
            f"{file}: found an entry of 'annotations' of more than 0 MB, wanted smaller ones; "
            "correct the file or export it again"
        )

    def test_not_utf8(self, tmp_path: Path) -> None:
        file = tmp_path / "x.json"
        file.write_bytes(b'{"images": "\xff", "annotations": []}')
        assert refused(file).startswith(f"{file}: found broken JSON in 'images' ('utf-8' codec can't decode")

    def test_nested_too_deep(self, tmp_path: Path) -> None:
        file = coco_file(
            tmp_path / "x.json", '{"images": ' + "[" * 200_000 + "]" * 200_000 + ', "annotations": []}'
        )
        assert refused(file).startswith(f"{file}: found broken JSON in 'images' (RecursionError: ")

    @pytest.mark.parametrize(
        "name", ["../a.png", "/etc/a.png", "C:\\a.png", "..\\a.png", "images/../../a.png"]
    )
    def test_file_name_that_leaves_the_root(self, tmp_path: Path, name: str) -> None:
        file = coco_file(tmp_path / "x.json", coco(images=[{"id": 7, "file_name": name}]))
        assert refused(file) == (
            f"{file}, image id 7: found the file name {name!r}, which leaves {tmp_path}, wanted a path "
            "inside the data set; write file names relative to the folder of the images, or say where they are "
            "with --images"
        )

    def test_file_name_that_stays_inside(self, tmp_path: Path) -> None:
        names = ["../images/a.png", str(tmp_path / "b.png"), "sub\\c.png"]
        images = [{"id": k, "file_name": name} for k, name in enumerate(names)]
        page = coco(images=images, annotations=[])
        file = coco_file(tmp_path / "annotations" / "instances_train.json", page)
        for name in ("images/a.png", "b.png", "train/sub/c.png"):
            picture(tmp_path / name)
        assert len(read_dataset(tmp_path, "train")) == 3
        assert len(read_dataset(file)) == 3

    def test_splits_that_disagree_on_a_category(self, tmp_path: Path) -> None:
        coco_file(tmp_path / "train.json", coco(), "a.png", "b.png")
        page = coco(categories=[{"id": 3, "name": "wolf"}], annotations=[annotation(bbox=[5, 6, 7, 8])])
        coco_file(tmp_path / "val.json", page)
        data = read_dataset(tmp_path)
        assert dict(zip(data.names, data.category_ids, strict=True)) == {
            "cat": 0,
            "dog": 3,
            "bird": 90,
            "wolf": 91,
        }
        assert [data.names[k] for k in data[0].target.labels] == ["dog", "cat", "wolf"]
        val = read_dataset(tmp_path, "val")
        labels = {image.name: [val.names[k] for k in target.labels] for image, target in val}
        assert labels == {"a.png": ["wolf"], "b.png": []}  # each split keeps its own

    def test_an_image_that_is_listed_twice_keeps_all_objects(self, tmp_path: Path) -> None:
        images = [{"id": key, "file_name": "a.png"} for key in (7, 9)]
        marked = [annotation(), annotation(image_id=9), annotation(image_id=9, bbox=[5, 6, 7, 8])]
        file = coco_file(tmp_path / "x.json", coco(images=images, annotations=marked), "a.png")
        assert read_dataset(file)[0].target.boxes.tolist() == [[1, 2, 11, 22], [5, 6, 12, 14]]


def of_class(name: str, *boxes: list[float], **changes: object) -> dict[str, object]:
    """A COCO file whose only class has id 1, with boxes in a.png and none in b.png."""
    marked = [annotation(id=k, category_id=1, bbox=box) for k, box in enumerate(boxes)]
    return coco(annotations=marked, categories=[{"id": 1, "name": name}]) | changes


class TestCocoFilesOfTheSameImages:
    @pytest.mark.parametrize("places", [("cats", "dogs"), ("annotations/instances_cats", "annotations/dogs")])
    def test_files_of_one_class_each_are_one_data_set(self, tmp_path: Path, places: tuple[str, str]) -> None:
        cats, dogs = (tmp_path / f"{place}.json" for place in places)
        if "/" in places[0]:
            dogs = dogs.with_name("instances_dogs.json")
        coco_file(cats, of_class("cat", [1, 2, 10, 20]))
        coco_file(dogs, of_class("dog", [1, 2, 10, 20], [5, 6, 0, 8]))
        for name in ("a.png", "b.png"):
            picture(tmp_path / name)
        assert splits(tmp_path) == ()
        data = read_dataset(tmp_path)
        assert (data.names, data.category_ids) == (("cat", "dog"), (1, 2))
        assert [len(target) for _, target in data] == [2, 0]
        assert data[0].target.labels.tolist() == [0, 1]
        assert [(f.file, f.where, f.kind) for f in data.faults] == [(dogs, "annotation id 1", "no-area")]

    def test_files_of_a_class_and_a_split(self, tmp_path: Path) -> None:
        for split in ("train", "val"):
            for name in ("cats", "dogs"):
                page = of_class(name, [1, 2, 10, 20])
                coco_file(tmp_path / "annotations" / f"instances_{split}2017_{name}.json", page)
            picture(tmp_path / split / "a.png")
            picture(tmp_path / split / "b.png")
        assert splits(tmp_path) == ("train", "val")
        assert [len(read_dataset(tmp_path, split)[0].target) for split in ("train", "val")] == [2, 2]
        assert len(read_dataset(tmp_path)) == 4

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (of_class("cat", [1, 2, 10, 20]), of_class("cat", [1, 2, 10, 20])),  # a part of the other
            (of_class("cat", [1, 2, 3, 4]), of_class("dog", images=[{"id": 7, "file_name": "c.png"}])),
        ],
    )
    def test_folds_and_parts_stay_splits(self, tmp_path: Path, first: object, second: object) -> None:
        coco_file(tmp_path / "one.json", first, "a.png", "b.png", "c.png")
        coco_file(tmp_path / "two.json", second)
        assert splits(tmp_path) == ("one", "two")
        assert len(read_dataset(tmp_path)[0].target) == 1

    def test_a_relabelled_split_stays_beside_the_first(self, tmp_path: Path) -> None:
        coco_file(tmp_path / "train.json", of_class("cat", [1, 2, 10, 20]), "a.png", "b.png")
        coco_file(tmp_path / "train_again.json", of_class("cat", [1, 2, 10, 21]))
        assert splits(tmp_path) == ("train", "train_again")


class TestFrontDoor:
    def test_nothing_there(self, tmp_path: Path) -> None:
        message = refused(tmp_path / "none")
        assert message.startswith(f"{tmp_path / 'none'}: found no such file or folder, wanted a data set, ")
        assert message.endswith("; check the path")

    def test_no_data_set(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("x")
        (tmp_path / "package.json").write_text("{}")
        assert ": found a folder with no known annotations (it holds: notes.txt, package.json)," in refused(
            tmp_path
        )
        assert ": found a file of no known kind, .txt, which begins with 'x', wanted" in refused(
            tmp_path / "notes.txt"
        )

    def test_photographs_without_labels(self, tmp_path: Path) -> None:
        Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
        assert refused(tmp_path).endswith(
            "; point at the folder that holds the annotations, or label these photographs: "
            f"masu label {tmp_path}"
        )

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert refused(tmp_path).startswith(f"{tmp_path}: found an empty folder, wanted Pascal VOC (")

    def test_absent_split(self, voc: Path) -> None:
        assert refused(voc, "test") == (
            f"{voc}: found no split 'test', wanted one of train, val; choose one of these"
        )

    def test_split_of_a_data_set_without_any(self, tmp_path: Path) -> None:
        voc_file(tmp_path, "a")
        assert refused(tmp_path, "train") == (
            f"{tmp_path}: found a data set without splits and the split 'train' asked for, wanted no split; "
            "leave the split out to read everything"
        )

    def test_names_of_a_model(self, voc: Path, tmp_path: Path) -> None:
        data = read_dataset(voc, names=["dog", "horse", "cat", "bird"])
        assert data.names == ("dog", "horse", "cat", "bird")
        assert data.category_ids == (3, 4, 2, 1)
        assert data[0].target.labels.tolist() == [0, 2]

    def test_class_the_model_does_not_know(self, voc: Path) -> None:
        assert refused(voc, names=["dog", "cat"]) == (
            f"{voc / 'Annotations' / 'b.xml'}, object 1 (bird): found class 'bird', wanted one of the known "
            "classes (dog, cat); rename the class in the annotations, or use a model trained with it"
        )
        assert len(read_dataset(voc, "train", names=["dog", "cat"])) == 2

    def test_names_that_repeat(self, voc: Path) -> None:
        assert refused(voc, names=["dog", "dog"]).startswith("names: found ['dog', 'dog'], wanted a sequence")


@pytest.mark.parametrize(
    ("box", "size", "fitted", "action"),
    [
        ((0, 0, 64.05, 48), (48, 64), (0, 0, 64, 48), ""),
        ((0, 0, 2e7, 5), None, None, "skipped"),
        ((0, 0, 2e7, 5), (48, 64), (0, 0, 64, 5), "clipped to 0 0 64 5"),
        ((5, 5, 5 + 1e-9, 6), None, None, "skipped"),
        ((64, 0, 70, 5), (48, 64), None, "skipped"),
    ],
)
def test_fit_box(box: tuple[float, ...], size: tuple[int, int] | None, fitted: object, action: str) -> None:
    got, kind, found, did = fit_box(box, size)  # type: ignore[arg-type]
    assert (got, did) == (fitted, action)
    assert bool(found) == bool(kind) == bool(action)


def test_voc_truncated_in_strange_words_costs_nothing(tmp_path: Path) -> None:
    """It is not carried, so no wording of it is wrong."""
    truncated = voc_object("dog", "1 2 30 40").replace("<bndbox>", "<truncated>half</truncated><bndbox>")
    voc_file(tmp_path, "a", truncated)
    data = read_dataset(tmp_path)
    assert data.boxes.tolist() == [[1, 2, 30, 40]]
    assert data.left_out == {"truncated": 1}
    assert data.faults == ()


def test_voc_difficult_in_strange_words_is_told_once(tmp_path: Path) -> None:
    strange = voc_object("dog", "1 2 30 40").replace(">0</difficult>", ">maybe</difficult>")
    voc_file(tmp_path, "a", strange, voc_object("cat", "5 5 10 10"))
    (fault,) = read_dataset(tmp_path).faults
    assert (fault.where, fault.found) == ("object 1 (dog)", "found <difficult> 'maybe', wanted 0 or 1")
