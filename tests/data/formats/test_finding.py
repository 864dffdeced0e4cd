"""A minimal folder of each format: its own reader finds it, and no other does."""

import pytest

from masu.data.formats import find_format, formats
from masu.data.formats.form import POSSIBLE, Place
from masu.data.formats.tree import Tree
from tests.data.formats.samples import text

MINIMAL = {
    "voc": ("Annotations/a.xml", "<annotation><filename>a.jpg</filename></annotation>"),
    "coco": ("train.json", {"images": [], "annotations": [], "categories": []}),
    "labelme": ("a.json", {"version": "5.5.0", "shapes": [], "imagePath": "a.jpg"}),
    "csv": ("train.csv", "file,x1,y1,x2,y2,class\na.jpg,1,2,3,4,c\n"),
    "metadata": ("metadata.jsonl", '{"file_name": "a.jpg", "objects": {"bbox": [], "categories": []}}\n'),
    "yolo": ("data.yaml", "train: images/train\nnames: [c]\n"),
    "supervisely": (
        "ds/ann/a.jpg.json",
        {"description": "", "tags": [], "size": {"height": 4, "width": 4}, "objects": [{"classTitle": "c"}]},
    ),
    "cvat": ("annotations.xml", '<annotations><version>1.1</version><image name="a.jpg"/></annotations>'),
    "labelstudio": (
        "project-1-at-2026-01-01.json",
        [{"id": 1, "data": {"image": "/data/upload/1/a.jpg"}, "annotations": [{"result": []}]}],
    ),
    "openimages": ("train-annotations-bbox.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/0,0,1,0,1\n"),
    "kitti": ("training/label_2/000000.txt", f"Car 0.00 0 1.85 387.63 181.54 423.81 203.12{' -1' * 7}\n"),
    "createml": (
        "_annotations.createml.json",
        [
            {
                "image": "a.jpg",
                "annotations": [{"label": "c", "coordinates": {"x": 1, "y": 1, "width": 2, "height": 2}}],
            }
        ],
    ),
}
"""By format: the file and its content; Supervisely's is known for what must not be taken for it."""


@pytest.mark.parametrize("name", MINIMAL)
@pytest.mark.parametrize("named", ["the folder", "the file"])
def test_each_reader_finds_its_own_and_no_other(tmp_path, name, named):
    place, content = MINIMAL[name]
    file = text(tmp_path / place, content)
    path = file if named == "the file" else tmp_path
    tree = Tree(tmp_path)
    found = {
        form: candidate
        for form in MINIMAL
        if form in formats() and (candidate := formats()[form].find(Place(path, tree)))
    }
    if name in formats():
        assert find_format(path, None, None)[0].name == name
        assert found.pop(name).confidence > POSSIBLE or name == "csv"
    assert all(named == "the file" and other.confidence == POSSIBLE for other in found.values())
