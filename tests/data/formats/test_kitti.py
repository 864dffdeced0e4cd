"""KITTI's label files: its lines, its regions that nobody labelled, splits, and broken lines."""

import pytest
from hypothesis import HealthCheck, given, settings

from masu.data.dataset import CROWD
from masu.data.formats import read_annotations
from tests.data.formats.samples import broken_text, faults, objects, picture, readable_or_refused, text

TRUCK = "Truck 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56"
CAR = "Car 0.30 2 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16.53 2.39 58.49 1.57"
DONT_CARE = "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10"


@pytest.fixture
def kitti(tmp_path):
    for place in ("training/image_2/000001.png", "training/image_2/000000.png", "testing/image_2/000001.png"):
        picture(tmp_path / place, (1242, 375))
    text(tmp_path / "training/label_2/000001.txt", "\n".join([TRUCK, CAR, DONT_CARE]) + "\n")
    text(tmp_path / "training/label_2/000000.txt", "")
    return tmp_path


def test_the_lines_of_kitti(kitti):
    data = read_annotations(kitti)
    region = [503.89, 169.71, 590.61, 190.13]
    assert (data.form, data.names, data.splits) == ("kitti", ("Car", "Truck"), ("train",))
    assert objects(data) == {
        "000000.png": [],
        "000001.png": [
            ("Truck", [599.41, 156.40, 629.75, 189.25], 0),
            ("Car", [387.63, 181.54, 423.81, 203.12], 0),
            ("Truck", region, CROWD),
            ("Car", region, CROWD),
        ],
    }
    assert {path.parent.parent.name for path in data.paths} == {"training"}
    assert data.left_out == {"truncated": 1, "occluded": 1, "box in space": 2}
    assert [data.where(row) for row in range(4)] == ["line 1", "line 2", "line 3", "line 3"]


def test_lists_of_splits_count_for_the_folder_that_they_are_about(kitti):
    text(kitti / "training/label_2/000002.txt", CAR + " 0.9")
    picture(kitti / "training/image_2/000002.png")
    for split, stems in (("train", "000000\n"), ("val", "000001\n"), ("test", "000000\n000001\n")):
        text(kitti / f"ImageSets/{split}.txt", stems)
    data = read_annotations(kitti)
    assert {split: [path.stem for path in data.part(split).paths] for split in data.splits} == {
        "train": ["000000"], "val": ["000001"],
    }  # fmt: skip
    assert data.left_out["score"] == 1


def test_labels_beside_images_in_folders_of_other_names(tmp_path):
    for split in ("train", "val"):
        text(tmp_path / split / "labels/a.txt", CAR)
        picture(tmp_path / split / "images/a.jpg")
    text(tmp_path / "b.txt", TRUCK)
    picture(tmp_path / "b.jpg")
    data = read_annotations(tmp_path, "kitti")
    assert (data.splits, len(data)) == (("train", "val"), 3)
    assert read_annotations(tmp_path / "b.txt").names == ("Truck",)


def test_lines_that_cannot_be_understood_are_told_and_the_rest_read(kitti):
    broken = [TRUCK, CAR.replace("387.63", "left"), CAR.rpartition(" ")[0], ""]
    text(kitti / "training/label_2/000001.txt", "\n".join(broken))
    (kitti / "training/label_2/000000.txt").write_bytes(b"\xff")
    data = read_annotations(kitti)
    assert objects(data) == {"000001.png": [("Truck", [599.41, 156.40, 629.75, 189.25], 0)]}
    assert faults(data)[0].startswith("the file: found a file that cannot be read ('utf-8' codec")
    assert faults(data)[1:] == [
        "line 2: found the value 'left', wanted a number, skipped",
        "line 3: found 14 values, wanted 15, or 16 with a score, skipped",
    ]


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken_text("\n".join([TRUCK, CAR, DONT_CARE])))
def test_a_broken_file_is_read_or_refused(kitti, content):
    readable_or_refused(text(kitti / "training/label_2/000001.txt", content).parent, "kitti")
