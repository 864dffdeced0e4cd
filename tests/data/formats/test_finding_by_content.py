"""A minimal folder of each format: its own reader finds it, and no other does."""

import pytest

from masu.data.formats import find_format, formats
from masu.data.formats.form import POSSIBLE, Place
from masu.data.formats.tree import Tree
from tests.data.formats.samples import text

MINIMAL = [
    ("voc", "Annotations/a.xml", "<annotation><filename>a.jpg</filename></annotation>"),
    ("coco", "train.json", {"images": [], "annotations": [], "categories": []}),
    ("labelme", "a.json", {"version": "5.5.0", "shapes": [], "imagePath": "a.jpg"}),
    ("csv", "train.csv", "file,x1,y1,x2,y2,class\na.jpg,1,2,3,4,c\n"),
    ("metadata", "metadata.jsonl", '{"file_name": "a.jpg", "objects": {"bbox": [], "categories": []}}\n'),
    ("yolo", "data.yaml", "train: images/train\nnames: [c]\n"),
    (
        "supervisely",
        "ds/ann/a.jpg.json",
        {"description": "", "tags": [], "size": {"height": 4, "width": 4}, "objects": [{"classTitle": "c"}]},
    ),
    ("cvat", "annotations.xml", '<annotations><version>1.1</version><image name="a.jpg"/></annotations>'),
    (
        "labelstudio",
        "project-1-at-2026-01-01.json",
        [{"id": 1, "data": {"image": "/data/upload/1/a.jpg"}, "annotations": [{"result": []}]}],
    ),
    ("openimages", "train-annotations-bbox.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/0,0,1,0,1\n"),
    ("kitti", "training/label_2/000000.txt", f"Car 0.00 0 1.85 387.63 181.54 423.81 203.12{' -1' * 7}\n"),
    (
        "createml",
        "_annotations.createml.json",
        [
            {
                "image": "a.jpg",
                "annotations": [{"label": "c", "coordinates": {"x": 1, "y": 1, "width": 2, "height": 2}}],
            }
        ],
    ),
    (
        "via",
        "via_region_data.json",
        {"a.jpg123": {"filename": "a.jpg", "size": 123, "regions": [], "file_attributes": {}}},
    ),
    (
        "labelstudio",
        "project-2.json",
        [{"id": 1, "annotations": [], "data": {"image": "/data/upload/1/a.jpg"}, "predictions": []}],
    ),
    ("labelstudio", "1.json", {"id": 1, "data": {"image": "a.jpg"}, "annotations": [], "predictions": []}),
    ("labelstudio", "min.json", [{"image": "a.jpg", "id": 1, "annotation_id": 2, "lead_time": 1.5}]),
    ("labelstudio", "5.json", {"id": 5, "result": [], "task": {"id": 1, "data": {"image": "a.jpg"}}}),
    ("createml", "boxes.json", [{"imagefilename": "a.jpg", "annotation": []}]),
    ("via", "project.json", {"_via_settings": {}, "_via_img_metadata": {}, "_via_attributes": {}}),
    (
        "via",
        "via_export_csv.csv",
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n",
    ),
]
"""Format, file and content; Supervisely's is there for what must not be taken for it."""


@pytest.mark.parametrize(("name", "place", "content"), MINIMAL)
@pytest.mark.parametrize("named", ["the folder", "the file"])
def test_each_reader_finds_its_own_and_no_other(tmp_path, name, place, content, named):
    file = text(tmp_path / place, content)
    path = file if named == "the file" else tmp_path
    tree = Tree(tmp_path)
    known = {form for form, _, _ in MINIMAL} & formats().keys()
    found = {form: one for form in known if (one := formats()[form].find(Place(path, tree)))}
    if name in known:
        assert find_format(path, None, None)[0].name == name
        assert found.pop(name).confidence > POSSIBLE or name == "csv"
    assert all(named == "the file" and other.confidence == POSSIBLE for other in found.values())
