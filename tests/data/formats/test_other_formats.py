"""YOLO, CSV, LabelMe and metadata.jsonl: layouts by hand, and broken input with its exact message."""

import json
from pathlib import Path

import pytest
from PIL import Image

from masu.data.formats import read_annotations, read_dataset, splits
from masu.errors import InputError
from masu.verbs.check import check


def picture(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def text(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def stems(data) -> list[str]:
    return [image.stem for image, _ in data]


def boxes(data) -> list[list[list[float]]]:
    return [target.boxes.tolist() for _, target in data]


def faults(data) -> list[str]:
    return [str(fault) for fault in data.faults]


def refused(path: Path, split: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_dataset(path, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog]\n"


@pytest.fixture
def yolo(tmp_path):
    text(tmp_path / "data.yaml", YAML)
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        picture(tmp_path / "images" / split / f"{name}.png")
    text(tmp_path / "labels/train/a.txt", "1 0.5 0.5 0.5 0.25\n0 0.25 0.5 0.5 1\n")
    text(tmp_path / "labels/val/c.txt", "0 0.5 0.5 1 1\n")
    return tmp_path


class TestYolo:
    def test_labelled_images_that_no_list_names(self, yolo):
        (yolo / "data.yaml").write_text(
            "names: [dog, cat]\ntrain: train.txt\nhard: hard.txt\nnotes: none.txt\n"
        )
        (yolo / "train.txt").write_text("images/train/b.png\n")
        (yolo / "hard.txt").write_text("")
        assert splits(yolo) == ("train", "hard")
        assert stems(read_dataset(yolo, "train")) == ["b"]
        assert stems(read_dataset(yolo)) == ["b", "a", "c"]  # c is in a folder that nothing names

    def test_a_class_of_thousands_of_digits_where_nothing_names_the_classes(self, yolo):
        (yolo / "data.yaml").unlink()
        text(yolo / "labels/train/b.txt", f"{'9' * 5000} 0.5 0.5 1 1\n")
        data = read_dataset(yolo)
        assert (data.names, data.category_ids, len(data.faults)) == (("0", "1"), (0, 1), 1)

    def test_a_yaml_without_classes(self, yolo):
        text(yolo / "data.yaml", "train: images/train\nnames: []\n")
        data = read_dataset(yolo)
        assert (data.names, [len(target) for _, target in data]) == ((), [0, 0, 0])
        assert [fault.found for fault in data.faults] == [
            "class 1, known are 0 to -1",
            "class 0, known are 0 to -1",
            "class 0, known are 0 to -1",
        ]

    def test_a_yaml_with_two_splits(self, yolo):
        assert splits(yolo) == splits(yolo / "data.yaml") == ("train", "val")
        data = read_dataset(yolo, "train")
        assert (data.names, data.category_ids, data.faults) == (("cat", "dog"), (0, 1), ())
        assert boxes(data) == [[[16, 18, 48, 30], [0, 0, 32, 48]], []]
        assert data[0].target.labels.tolist() == [1, 0]
        assert stems(read_dataset(yolo / "data.yaml", "val")) == ["c"]
        assert stems(read_dataset(yolo)) == ["a", "b", "c"]

    def test_names_as_keys_lists_of_folders_and_of_images(self, yolo):
        (yolo / "data.yaml").unlink()
        text(yolo / "list.txt", "images/val/c.png\n./images/train/b.png\n\n")
        content = "train: [images/train, images/val]\ntest: list.txt\nnames:\n  0: cat\n  1: dog\nnc: 2\n"
        text(yolo / "set.yml", content)
        assert stems(read_dataset(yolo, "train")) == ["a", "b", "c"]
        assert sorted(stems(read_dataset(yolo, "test"))) == ["b", "c"]

    def test_folders_without_a_yaml(self, yolo):
        (yolo / "data.yaml").unlink()
        assert read_dataset(yolo, "train").names == read_dataset(yolo, "val").names == ("0", "1")
        text(yolo / "classes.txt", "cat\ndog\n")
        assert read_dataset(yolo, "val").names == ("cat", "dog")

    def test_the_layout_of_roboflow(self, tmp_path):
        content = "train: ../train/images\nval: ../valid/images\nnames: [cat]\n"
        text(tmp_path / "data.yaml", content)
        picture(tmp_path / "train/images/a.png")
        picture(tmp_path / "valid/images/b.png")
        text(tmp_path / "valid/labels/b.txt", "0 0.5 0.5 0.5 0.5")
        assert boxes(read_dataset(tmp_path, "val")) == [[[16, 12, 48, 36]]]
        (tmp_path / "data.yaml").unlink()
        text(tmp_path / "train/labels/x.txt", "")
        assert splits(tmp_path) == ("train", "val")

    def test_roboflow_names_a_test_split_that_may_not_exist(self, tmp_path):
        content = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [cat]\n"
        root = tmp_path / "inner"
        file = text(root / "data.yaml", content)
        picture(root / "train/images/a.png")
        picture(root / "valid/images/b.png")
        picture(tmp_path / "train/images/of_another_data_set.png")
        assert splits(root) == ("train", "val")
        assert stems(read_dataset(root, "train")) == ["a"]
        told = f"{file}: 'test': '../test/images', which does not exist, left out"
        assert faults(read_dataset(root)) == faults(read_dataset(root, "val")) == [told]
        read_dataset(root).refuse_bad(0)  # nothing was lost
        text(file, content.replace("valid", "nowhere"))
        assert refused(root, "val").startswith(
            f"{file}, 'val': found '../nowhere/images', which does not exist"
        )

    def test_labels_beside_the_images_as_labelimg_writes_them(self, tmp_path):
        root = tmp_path / "images"
        picture(root / "a.png")
        picture(root / "b.jpg")
        text(root / "classes.txt", "cat\ndog\n")
        text(root / "a.txt", "1 0.5 0.5 0.5 0.5\n")
        text(root / "notes.txt", "to do")
        lost = text(root / "lost.txt", "1 0.5 0.5 0.5 0.5\n")
        data = read_dataset(root)
        assert (data.names, boxes(data)) == (("cat", "dog"), [[[16, 12, 48, 36]], []])
        assert faults(data) == [f"{lost}: the file: no image lost, skipped"]

    def test_folders_in_capitals(self, tmp_path):
        picture(tmp_path / "Images/train/a.png")
        text(tmp_path / "Labels/train/a.txt", "0 0.5 0.5 0.5 0.5\n")
        assert splits(tmp_path) == ("train",)
        assert read_dataset(tmp_path).names == ("0",)
        assert boxes(read_dataset(tmp_path, "train")) == [[[16, 12, 48, 36]]]

    def test_labels_of_another_format_are_not_taken_for_none(self, tmp_path):
        picture(tmp_path / "images/a.png")
        text(tmp_path / "labels/a.xml", "<annotation/>")
        assert "found a folder with no known annotations" in refused(tmp_path)

    def test_backslashes_floats_for_classes_and_texts_for_their_numbers(self, yolo):
        text(yolo / "data.yaml", 'names: {"0": cat, "1": dog}\ntrain: images\\train\nval: list.txt\n')
        text(yolo / "list.txt", "images\\val\\c.png\n.\\images\\train\\b.png\n")
        text(yolo / "labels/val/c.txt", "1.0 0.5 0.5 0.5 0.5\n0.5 0.5 0.5 1 1\n")
        data = read_dataset(yolo, "val")
        assert (data.names, stems(data), data[1].target.labels.tolist()) == (("cat", "dog"), ["b", "c"], [1])
        assert faults(data) == [
            f"{yolo / 'labels/val/c.txt'}: line 2: found class '0.5', wanted a whole number, skipped"
        ]
        assert stems(read_dataset(yolo, "train")) == ["a", "b"]
        (yolo / "data.yaml").unlink()
        assert read_dataset(yolo, "val").names == ("0", "1")

    def test_a_polygon_is_the_box_around_it(self, yolo):
        text(yolo / "labels/val/c.txt", "1 0.25 0.25 0.75 0.5 0.5 1\n")
        assert boxes(read_dataset(yolo, "val")) == [[[16, 12, 48, 48]]]
        assert read_annotations(yolo).left_out == {"polygons": 1}

    def test_shares_are_of_the_upright_picture(self, yolo):
        exif = Image.Exif()
        exif[0x0112] = 6
        (yolo / "images/val/c.png").unlink()
        Image.new("RGB", (48, 64)).save(yolo / "images/val/c.jpg", exif=exif)
        assert boxes(read_dataset(yolo, "val")) == [[[0, 0, 64, 48]]]

    @pytest.mark.parametrize(
        ("line", "found"),
        [
            (
                "0 0.5 0.5 1",
                "found 4 values, wanted 5: class x y width height, or a class and at least 3 points (poses need "
                "kpt_shape)",
            ),
            ("cat 0.5 0.5 1 1", "found class 'cat', wanted a whole number"),
            ("-1 0.5 0.5 1 1", "found class -1, wanted a number from 0"),
            (f"{'9' * 5000} 0.5 0.5 1 1", f"found class {'9' * 40}, wanted at most 999999"),
            ("2 0.5 0.5 1 1", "class 2, known are 0 to 1"),
            ("0 0.5 x 1 1", "found 'x', wanted a share of the image, 0 to 1"),
            ("0 20 30 10 12", "found 30, wanted shares of the image, 0 to 1, not pixels"),
            ("0 0.5 0.5 0 1", "box 32 0 32 48 has no area"),
            ("0 0.5 0.5 -1 1", "box 64 0 0 48 has its corners in the wrong order"),
            ("0 nan 0.5 1 1", "box nan 0 nan 48 is not finite"),
            ("0 1.8 0.5 0.1 0.1", "box 112 21.6 118.4 26.4 lies outside the image of 64×48 pixels"),
        ],
    )
    def test_a_broken_line_costs_itself(self, yolo, line, found):
        file = text(yolo / "labels/val/c.txt", f"\n{line}\n1 0.5 0.5 0.5 0.5\n")
        data = read_dataset(yolo, "val")
        assert faults(data) == [f"{file}: line 2: {found}, skipped"]
        assert data[0].target.labels.tolist() == [1]

    def test_labels_that_are_no_text(self, yolo):
        file = yolo / "labels/val/c.txt"
        file.write_bytes(b"\xff\xfe\x00")
        data = read_dataset(yolo, "val")
        assert len(data) == 1
        assert faults(data)[0].startswith(
            f"{file}: the file: found a file that cannot be read ('utf-8' codec"
        )

    def test_labels_without_a_picture_and_a_picture_that_is_none(self, yolo):
        file = text(yolo / "labels/val/lost.txt", "0 0.5 0.5 1 1")
        broken = text(yolo / "images/val/d.jpg", "no picture")
        data = read_dataset(yolo, "val")
        assert sorted(faults(data)) == [
            f"{broken}: image: a damaged image (UnidentifiedImageError: cannot identify image file "
            f"'{broken}'), skipped",
            f"{file}: the file: no image lost, skipped",
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("names: [cat\ntrain: x", ": found broken YAML (while parsing"),
            ("names train", ": found YAML without keys, wanted a data.yaml with names, train, val"),
            ("names: [cat]\npath: .", ": found no train, val or test, wanted a folder for each split"),
            ("names: 3\ntrain: images/train", ", 'names': found '3', wanted a list, or 0: name, 1: name …"),
            (
                "names: {1: a}\ntrain: images/train",
                ", 'names': found {'1': 'a'}, wanted a list, or 0: name, 1: nam",
            ),
            ("names: [a, a]\ntrain: images/train", ", 'names': found 'a' twice, wanted each class name once"),
            ("names: [a]\nnc: 2\ntrain: images/train", ", 'nc': found 2, wanted 1, as many as names"),
            (
                "names: [a]\ntrain: nowhere",
                ", 'train': found 'nowhere', which does not exist, wanted a folder or",
            ),
            (
                "names: [a]\ntrain: {a: 1}",
                ", 'train': found {'a': '1'}, wanted a folder, a list of folders or a .txt",
            ),
            ("names: [a]\ntrain: ../../etc", ", 'train': found the file name "),
            ("names: [a]\ntrain: /etc", ", 'train': found the file name '/etc', which leaves "),
        ],
    )
    def test_a_broken_yaml(self, yolo, content, message):
        file = text(yolo / "data.yaml", content)
        assert refused(file if "YAML without" in message else yolo).startswith(f"{file}{message}")

    def test_a_list_that_leaves_or_misses(self, yolo):
        text(yolo / "data.yaml", "names: [cat, dog]\ntrain: list.txt\n")
        file = text(yolo / "list.txt", "images/val/c.png\nimages/none.png\n")
        assert faults(read_dataset(yolo)) == [f"{file}: line 2: no such file images/none.png, skipped"]
        text(file, "images/val/c.png\n/etc/passwd.png\n")
        assert refused(yolo).startswith(
            f"{file}, line 2: found the file name '/etc/passwd.png', which leaves "
        )

    def test_a_bomb_of_aliases_is_no_bomb(self, yolo):
        levels = "\n".join(
            f"{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        )
        text(yolo / "data.yaml", f"a: &a [x, x]\n{levels}\nnames: *i\ntrain: images/train\n")
        assert ", 'names': found " in refused(yolo)

    def test_a_yaml_that_is_too_large(self, yolo):
        file = text(yolo / "data.yaml", YAML + "#" * 1_000_001)
        assert (
            refused(yolo)
            == f"{file}: found a file of 1.0 MB, wanted at most 1 MB; correct the file or leave it out"
        )


@pytest.fixture
def pictures(tmp_path):
    for name in "abc":
        picture(tmp_path / "images" / f"{name}.png")
    return tmp_path


class TestCsv:
    @pytest.mark.parametrize(
        ("header", "row"),
        [
            ("file,x1,y1,x2,y2,class", "a.png,1,2,30,40,dog"),
            ("filename,width,height,class,xmin,ymin,xmax,ymax", "a.png,64,48,dog,1,2,30,40"),
            ("Image Path;Label;Left;Top;Right;Bottom", "images/a.png;dog;1;2;30;40"),
            ("image\tx_min\ty_min\tx_max\ty_max\tcategory", "a.png\t1\t2\t30\t40\tdog"),
            ("image,x,y,w,h,label", "a.png,1,2,29,38,dog"),
            ("img,bbox_x,bbox_y,bbox_width,bbox_height,name", "a.png,1,2,29,38,dog"),
            ("file|x1|y1|x2|y2|class", "a.png|1|2|30|40|dog"),
            ("file,x1,y1,x2,y2,class", "a.png,1,2,30,40,dog,,"),
            ("\ufefffile,x1,y1,x2,y2,class", '"a.png","1","2","30","40","dog"'),
        ],
    )
    def test_headers(self, pictures, header, row):
        file = text(pictures / "table.csv", f"{header}\n{row}\n")
        for data in (read_dataset(pictures), read_dataset(file)):
            assert (boxes(data), data.names, data.faults) == ([[[1, 2, 30, 40]]], ("dog",), ())

    def test_without_a_header(self, pictures):
        text(
            pictures / "table.csv",
            "images/a.png,1,2,30,40,dog\nimages/b.png,,,,,\nimages/a.png,3,4,5,6,cat\n",
        )
        data = read_dataset(pictures)
        assert boxes(data) == [[[1, 2, 30, 40], [3, 4, 5, 6]], []]
        assert data[0].target.labels.tolist() == [1, 0]

    def test_a_table_for_each_split_and_a_column_for_all(self, pictures):
        rows = {"train": "a.png,1,2,3,4,dog", "val": "b.png,1,2,3,4,cat"}
        for split, row in rows.items():
            text(pictures / f"{split}.csv", f"file,x1,y1,x2,y2,class\n{row}\n")
        assert splits(pictures) == ("train", "val")
        assert read_dataset(pictures, "val").names == ("cat", "dog")
        assert stems(read_dataset(pictures, "val")) == ["b"]
        for split in rows:
            (pictures / f"{split}.csv").unlink()
        lines = [f"{row},{split}" for split, row in rows.items()]
        text(pictures / "all.csv", "\n".join(["file,x1,y1,x2,y2,class,split", *lines]))
        assert splits(pictures) == ("train", "val")
        assert stems(read_dataset(pictures, "val")) == ["b"]
        assert stems(read_dataset(pictures)) == ["a", "b"]

    def test_one_picture_in_two_tables_keeps_the_boxes_of_both(self, pictures):
        rows = {"train": "a.png,1,2,3,4,dog", "val": "a.png,1,2,3,4,dog\na.png,5,6,9,9,cat"}
        for split, row in rows.items():
            text(pictures / f"{split}.csv", f"file,x1,y1,x2,y2,class\n{row}\n")
        assert boxes(read_dataset(pictures)) == [[[1, 2, 3, 4], [5, 6, 9, 9]]]
        assert boxes(read_dataset(pictures, "train")) == [[[1, 2, 3, 4]]]

    def test_a_row_that_is_there_twice_in_one_table_stays(self, pictures):
        text(pictures / "t.csv", "file,x1,y1,x2,y2,class\n" + "a.png,1,2,3,4,dog\n" * 2)
        assert boxes(read_dataset(pictures)) == [[[1, 2, 3, 4], [1, 2, 3, 4]]]

    def test_ignored_regions_and_names_with_commas(self, pictures):
        text(pictures / "t.csv", 'file,x1,y1,x2,y2,class,ignored\na.png,1,2,3,4,"big, <red>",1\n')
        data = read_dataset(pictures)
        assert data.names == ("big, <red>",)
        assert data[0].target.ignored.tolist() == [True]

    @pytest.mark.parametrize(
        ("row", "found"),
        [
            ("a.png,1,2", "found 3 columns, wanted 6"),
            (
                "a.png,1,2,3,4,big, red",
                "found 7 columns, wanted 6, with quotes around a text that holds the separator",
            ),
            ("a.png,1,2,x,4,dog", "found x2 'x', wanted a number of pixels"),
            ("a.png,1,2,,4,dog", "found x2 '', wanted a number of pixels"),
            (",1,2,3,4,dog", "found no file name, wanted the name of an image"),
            ("a.png,1,2,3,4,", "found no class, wanted the name of a class"),
            ("a.png,3,2,3,4,dog", "box 3 2 3 4 has no area"),
            ("a.png,5,2,3,4,dog", "box 5 2 3 4 has its corners in the wrong order"),
            ("a.png,inf,2,3,4,dog", "box inf 2 3 4 is not finite"),
        ],
    )
    def test_a_broken_row_costs_itself(self, pictures, row, found):
        file = text(pictures / "t.csv", f"file,x1,y1,x2,y2,class\na.png,1,2,30,40,dog\n{row}\n")
        data = read_dataset(pictures)
        assert faults(data) == [f"{file}: line 3: {found}, skipped"]
        assert boxes(data) == [[[1, 2, 30, 40]]]

    def test_a_missing_picture_is_told_once(self, pictures):
        file = text(
            pictures / "t.csv", "file,x1,y1,x2,y2,class\nb.png,1,2,3,4,dog\n" + "z.png,1,2,3,4,dog\n" * 2
        )
        data = read_dataset(pictures)
        looked = f"{pictures}, {pictures / 'images'}"
        assert faults(data) == [f"{file}: line 3: no such file z.png, looked in {looked}, skipped"]

    @pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "C:\\x.png"])
    def test_a_name_that_leaves(self, pictures, name):
        file = text(pictures / "t.csv", f"file,x1,y1,x2,y2,class\n{name},1,2,3,4,dog\n")
        assert refused(pictures) == (
            f"{file}, line 2: found the file name {name!r}, which leaves {pictures}, wanted a path inside the "
            "data set; write file names relative to the folder of the images, or say where they are with --images"
        )

    def test_utf_16_as_excel_writes_it(self, pictures):
        content = "file\tx1\ty1\tx2\ty2\tclass\na.png\t1\t2\t30\t40\tdög\n"
        for encoding in ("utf-16-le", "utf-16-be"):
            (pictures / "t.csv").write_bytes(("\ufeff" + content).encode(encoding))
            assert read_dataset(pictures).names == ("dög",)

    def test_width_and_height_are_compared_with_the_image(self, pictures):
        file = text(
            pictures / "t.csv",
            "filename,width,height,class,xmin,ymin,xmax,ymax\n"
            "a.png,64,48,dog,1,2,30,40\na.png,48,64,dog,1,2,20,40\nb.png,640,480,dog,1,2,30,40\n"
            "c.png,,,dog,1,2,30,40\n",
        )
        rows = {(f.file, f.where, f.found) for f in check(pictures).findings if f.kind == "wrong-size"}
        assert rows == {
            (file, "line 3", "48×64 pixels, 64×48 in an earlier row"),
            (file, "image b.png", "640×480 pixels in the annotation, 64×48 in b.png"),
        }

    def test_width_and_height_of_every_box_are_no_size_of_the_image(self, pictures):
        head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        text(pictures / "t.csv", f"{head}a.png,20,30,dog,10,10,30,40\nb.png,5,6,dog,40,40,45,46\n")
        data = read_dataset(pictures)
        assert (boxes(data), data.faults) == ([[[10, 10, 30, 40]], [[40, 40, 45, 46]]], ())

    def test_corners_from_0_to_1_are_shares_of_the_image(self, pictures):
        file = text(
            pictures / "t.csv",
            "image,label,xmin,xmax,ymin,ymax\na.png,dog,0.25,0.5,0,1\nb.png,dog,0.5,1.001,0,0.25\n",
        )
        data = read_dataset(pictures)
        assert boxes(data)[0] == [[16, 0, 32, 48]]
        assert faults(data) == [
            f"{file}: the file: x1, y1, x2 and y2 all from 0 to 1, taken for shares of the image"
        ]
        assert [(f.kind, f.where) for f in check(pictures).findings if f.kind == "shares"] == [
            ("shares", "the file")
        ]
        broken = text(pictures / "images/b.png", "no picture")
        assert faults(read_dataset(pictures))[1].startswith(f"{broken}: image: a damaged image (")
        text(file, "image,label,xmin,xmax,ymin,ymax\na.png,dog,0.25,0.5,0,1\na.png,dog,10,20,10,20\n")
        assert boxes(read_dataset(pictures)) == [[[0.25, 0, 0.5, 1], [10, 10, 20, 20]]]

    def test_shares_that_may_be_a_corner_or_the_middle_are_refused(self, pictures):
        file = text(pictures / "t.csv", "image,x,y,w,h,label\na.png,0.5,0.5,0.25,0.5,dog\n")
        assert refused(pictures) == (
            f"{file}: found x, y, w and h all from 0 to 1: shares of the image, x and y of a corner or of "
            "the middle, wanted pixels, or shares as x1, y1, x2, y2; write the corners"
        )

    def test_a_column_that_is_missing_is_named(self, pictures):
        file = text(pictures / "t.csv", "image,xmin,ymin,xmax,ymax,kind\na.png,1,2,3,4,dog\n")
        message = (
            f"{file}: found no column for class (its columns: image, xmin, ymin, xmax, ymax, kind), wanted class or "
            "label, class_name, name, category, label_name, object; rename its columns"
        )
        assert refused(pictures) == refused(file) == message
        text(file, "picture,left,top,w,h\n")
        assert refused(file).startswith(
            f"{file}: found no column for file, x2, y2, class (its columns: picture, left, top, w, h), wanted file "
            "or filename, file_name, image, image_path, path, img, … (12 in all); x2 or xmax, x_max, right; y2 or "
        )
        assert refused(text(pictures / "empty.csv", "")).startswith(
            f"{pictures / 'empty.csv'}: found no column for file, x1, y1, x2, y2, class (its columns: none), wanted "
        )

    def test_no_table(self, pictures):
        text(pictures / "notes.csv", "day,rain\n1,2\n")
        assert "found a folder with no known annotations" in refused(pictures)

    def test_a_table_that_is_no_text(self, pictures):
        file = pictures / "t.csv"
        file.write_bytes(b"file,x1,y1,x2,y2,class\na.png,1,2,3,4,\xff\n")
        assert refused(pictures).startswith(f"{file}: found a table that cannot be read ('utf-8' codec")

    def test_a_cell_without_end(self, pictures):
        file = text(pictures / "t.csv", 'file,x1,y1,x2,y2,class\na.png,1,2,3,4,"dog\n')
        assert refused(pictures).startswith(
            f"{file}: found a table that cannot be read (unexpected end of data)"
        )


def shape(points: object, **changes: object) -> dict[str, object]:
    return {"label": "dog", "points": points, "shape_type": "rectangle"} | changes


def labelme(folder: Path, name: str, *shapes: object, **changes: object) -> Path:
    picture(folder / f"{name}.png")
    content = {"shapes": list(shapes), "imagePath": f"{name}.png", "imageHeight": 48, "imageWidth": 64}
    return text(folder / f"{name}.json", content | changes)


class TestLabelMe:
    def test_shapes(self, tmp_path):
        labelme(
            tmp_path,
            "a",
            shape([[30, 40], [1, 2]]),
            shape([[1, 2], [30, 2], [15, 40]], shape_type="polygon", label="cat"),
            shape([[20, 20], [23, 24]], shape_type="circle"),
        )
        data = read_dataset(tmp_path)
        assert boxes(data) == [[[1, 2, 30, 40], [1, 2, 30, 40], [15, 15, 25, 25]]]
        assert (data.names, data.faults) == (("cat", "dog"), ())
        raw = read_annotations(tmp_path)
        assert (raw.form, raw.left_out) == ("labelme", {"polygons": 1})

    def test_two_files_of_one_picture(self, tmp_path):
        """The boxes of both; a fault names the file that it is in."""
        labelme(tmp_path, "a", shape([[1, 2], [30, 40]]))
        other = labelme(
            tmp_path, "b", shape([[5, 6], [9, 9]], label="cat"), shape([[1, 1], [1, 9]]), imagePath="a.png"
        )
        data = read_dataset(tmp_path)
        assert boxes(data) == [[[1, 2, 30, 40], [5, 6, 9, 9]]]
        assert faults(data) == [f"{other}: shape 2 (dog): box 1 1 1 9 has no area, skipped"]

    def test_files_that_disagree_on_the_size_of_a_picture(self, tmp_path):
        labelme(tmp_path, "a")
        other = labelme(tmp_path, "b", imagePath="a.png", imageWidth=99)
        assert faults(read_dataset(tmp_path)) == [
            f"{other}: imagePath: 99×48 pixels, but 64×48 in a.json, taken as 64×48"
        ]

    def test_splits_are_folders(self, tmp_path):
        for split in ("train", "val"):
            labelme(tmp_path / split, "a", shape([[1, 2], [3, 4]], label=split))
        assert splits(tmp_path) == ("train", "val")
        data = read_dataset(tmp_path, "val")
        assert (len(data), data.names) == (1, ("train", "val"))

    @pytest.mark.parametrize(
        ("broken", "where", "found"),
        [
            (7, "shape 2", "found no label, wanted the name of a class"),
            (shape([[1, 2], [3, 4]], label=""), "shape 2", "found no label, wanted the name of a class"),
            (shape([[1, 2]]), "shape 2 (dog)", "found 1 points, wanted at least 2"),
            (shape("x"), "shape 2 (dog)", "found 0 points, wanted at least 2"),
            (shape([[1, 2], [3]]), "shape 2 (dog)", "found a point that is no pair, wanted x and y"),
            (shape([[1, 2], [3, "4"]]), "shape 2 (dog)", 'found y "4", wanted a number of pixels'),
            (
                shape([[1, 2]], shape_type="point"),
                "shape 2 (dog)",
                "found a shape of type 'point', wanted one of rectangle, circle, polygon, mask, rotation, "
                "oriented_rectangle",
            ),
            (
                shape([[1, 2]], shape_type=[]),
                "shape 2 (dog)",
                "found a shape of type [], wanted one of rectangle, circle, polygon, mask, rotation, "
                "oriented_rectangle",
            ),
            (shape([[1, 2], [1, 9]]), "shape 2 (dog)", "box 1 2 1 9 has no area"),
            (
                shape([[70, 2], [90, 9]]),
                "shape 2 (dog)",
                "box 70 2 90 9 lies outside the image of 64×48 pixels",
            ),
        ],
    )
    def test_a_broken_shape_costs_itself(self, tmp_path, broken, where, found):
        file = labelme(tmp_path, "a", shape([[1, 2], [3, 4]]), broken)
        data = read_dataset(tmp_path)
        assert faults(data) == [f"{file}: {where}: {found}, skipped"]
        assert boxes(data) == [[[1, 2, 3, 4]]]

    @pytest.mark.parametrize(
        ("content", "found"),
        [
            ('{"shapes": [', "found broken JSON (Expecting value: line 1, column 13), wanted annotations"),
            ('{"shapes": 3}', "found no list 'shapes', wanted a file of LabelMe"),
        ],
    )
    def test_a_broken_file_costs_itself(self, tmp_path, content, found):
        labelme(tmp_path, "a", shape([[1, 2], [3, 4]]))
        picture(tmp_path / "b.png")
        file = text(tmp_path / "b.json", content)
        data = read_dataset(tmp_path)
        assert faults(data) == [f"{file}: the file: {found}, skipped"]
        assert stems(data) == ["a"]

    def test_the_picture_is_found_by_stem_or_told(self, tmp_path):
        labelme(tmp_path, "a", imagePath="other.jpg")
        file = labelme(tmp_path, "b")
        (tmp_path / "b.png").unlink()
        data = read_dataset(tmp_path)
        assert stems(data) == ["a"]
        assert faults(data) == [f"{file}: imagePath: no such file b.png, looked in {tmp_path}, skipped"]

    @pytest.mark.parametrize("path", ["C:\\photos\\a.png", "/home/me/a.png", "../elsewhere/a.png"])
    def test_a_path_of_another_machine_means_the_picture_beside_the_file(self, tmp_path, path):
        labelme(tmp_path, "a", imagePath=path)
        assert read_dataset(tmp_path)[0].image == tmp_path / "a.png"

    def test_pictures_in_a_folder_beside_that_of_the_files(self, tmp_path):
        labelme(tmp_path / "labels", "a", shape([[1, 2], [3, 4]]), imagePath="..\\images\\a.png")
        (tmp_path / "images").mkdir()
        (tmp_path / "labels/a.png").rename(tmp_path / "images/a.png")
        data = read_dataset(tmp_path)
        assert (boxes(data), data.faults) == ([[[1, 2, 3, 4]]], ())
        assert "no such file ..\\images\\a.png, looked in " in refused(tmp_path / "labels")
        apart = read_dataset(tmp_path / "labels", images=tmp_path / "images")
        assert apart[0].image == tmp_path / "images/a.png"

    def test_a_path_that_leaves_is_never_followed(self, tmp_path):
        picture(tmp_path / "secret.png")
        file = labelme(tmp_path / "set", "a", imagePath="..\\secret.png")
        assert read_dataset(tmp_path / "set")[0].image == tmp_path / "set/a.png"
        (tmp_path / "set/a.png").unlink()
        assert f"{file}: imagePath: no such file ..\\secret.png, " in refused(tmp_path / "set")


def metadata(folder: Path, *entries: object) -> Path:
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    return text(folder / "metadata.jsonl", "\n".join(lines) + "\n")


def entry(name: str = "a.png", **objects: object) -> dict[str, object]:
    return {"file_name": name, "objects": {"bbox": [[1, 2, 10, 20]], "categories": ["dog"]} | objects}


class TestMetadata:
    def test_texts_numbers_and_lists_of_objects(self, tmp_path):
        for name in "abc":
            picture(tmp_path / f"{name}.png")
        other = {"file_name": "b.png", "objects": [{"bbox": [0, 0, 4, 4], "category": "cat"}]}
        metadata(tmp_path, entry(), other, {"file_name": "c.png"})
        data = read_dataset(tmp_path)
        assert (data.names, data.category_ids, data.faults) == (("cat", "dog"), (1, 2), ())
        assert boxes(data) == [[[1, 2, 11, 22]], [[0, 0, 4, 4]], []]
        metadata(tmp_path, entry(categories=[10]), entry("b.png", categories=[9]))
        assert (read_dataset(tmp_path).names, read_dataset(tmp_path).category_ids) == (("9", "10"), (9, 10))

    def test_splits_are_folders(self, tmp_path):
        for split in ("train", "validation"):
            picture(tmp_path / split / "a.png")
            metadata(tmp_path / split, entry())
        assert splits(tmp_path) == ("train", "val")
        assert read_dataset(tmp_path, "val")[0].image == tmp_path / "validation" / "a.png"

    @pytest.mark.parametrize(
        ("broken", "where", "found"),
        [
            (
                "{",
                "line 2",
                "found broken JSON (JSONDecodeError: Expecting property name enclosed in double quotes: ",
            ),
            ("[" * 100_000, "line 2", "found broken JSON (RecursionError: "),
            ([], "line 2", "found no 'file_name', wanted the name of a picture"),
            (
                entry("b.png", categories=[]),
                "line 2",
                "found 1 boxes and 0 categories, wanted as many of each",
            ),
            (
                entry("b.png", bbox=3),
                "line 2",
                "found 'bbox' or 'categories' that is no list, wanted a list of each",
            ),
            (
                {"file_name": "b.png", "objects": 3},
                "line 2",
                "found 'objects' 3, wanted an object with bbox and ",
            ),
            (
                {"file_name": "b.png", "objects": [3]},
                "line 2",
                "found 'objects' with an entry that is no object, ",
            ),
            (
                entry("b.png", bbox=[[1, 2, 3]]),
                "line 2, object 1",
                "found bbox [1, 2, 3], wanted 4 numbers: x y wid",
            ),
            (
                entry("b.png", bbox=[[1, 2, 3, None]]),
                "line 2, object 1",
                "found the bbox value null, wanted a number",
            ),
            (
                entry("b.png", categories=[True]),
                "line 2, object 1",
                "found category true, wanted a text or a whole",
            ),
            (entry("b.png", bbox=[[1, 2, 0, 3]]), "line 2, object 1", "box 1 2 1 5 has no area, skipped"),
            (entry("z.png"), "line 2", "no such file z.png, looked in "),
            (entry("a.png"), "line 2", "a.png for a second time, joined with the first"),
        ],
    )
    def test_a_broken_line_costs_itself(self, tmp_path, broken, where, found):
        picture(tmp_path / "a.png")
        picture(tmp_path / "b.png")
        file = metadata(tmp_path, entry(), broken)
        data = read_dataset(tmp_path)
        assert len(data.faults) == 1
        assert faults(data)[0].startswith(f"{file}: {where}: {found}")
        assert boxes(data)[0] == [[1, 2, 11, 22]]

    def test_a_name_that_leaves(self, tmp_path):
        file = metadata(tmp_path, entry("../a.png"))
        assert refused(tmp_path).startswith(f"{file}, line 1: found the file name '../a.png', which leaves ")


@pytest.mark.parametrize("label", ["01", "9" * 5000])
def test_classes_that_are_the_same_number_or_too_long_for_one(tmp_path, label):
    picture(tmp_path / "a.png")
    metadata(tmp_path, entry(bbox=[[1, 2, 3, 4]] * 2, categories=["1", label]))
    data = read_dataset(tmp_path)
    assert (data.names, data.category_ids) == (tuple(sorted(("1", label))), (1, 2))


def test_halves_of_letters_in_class_names_become_their_escapes(tmp_path):
    labelme(tmp_path, "a", shape([[1, 2], [3, 4]], label="x\ud800"))
    assert read_dataset(tmp_path).names == ("x\\ud800",)


def test_a_format_can_be_forced(pictures):
    text(pictures / "t.csv", "file,x1,y1,x2,y2,class\na.png,1,2,3,4,dog\n")
    assert len(read_dataset(pictures, form="csv")) == 1
    with pytest.raises(InputError) as caught:
        read_dataset(pictures, form="tfrecord")
    assert str(caught.value).startswith(
        "--format: found 'tfrecord', wanted one of voc, yolo, labelme, coco, "
    )
    assert str(caught.value).endswith("; leave it out to have it found")
    with pytest.raises(InputError, match=r"wanted LabelMe \(a folder"):
        read_dataset(pictures, form="labelme")
