"""Label Studio's SDK takes masu's detections as predictions."""

import json

import numpy as np
from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface

from examples.clients.with_label_studio import as_prediction
from tests.clients.answers import assert_same

CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">
<Label value="zero"/><Label value="one"/><Label value="four"/></RectangleLabels></View>"""


def test_its_interface_takes_the_prediction(detector, pictures):
    interface = LabelInterface(CONFIG)
    for picture in pictures[:3]:
        found = detector.predict([picture], threshold=0.5)[0]
        height, width = picture.shape[:2]
        made = json.loads(json.dumps(as_prediction(found, width, height)))
        assert interface.validate_prediction(made, return_errors=True) == []
        made["result"][0]["value"]["rectanglelabels"] = ["nine"]
        assert interface.validate_prediction(made, return_errors=True) != []


def test_its_converter_reads_the_boxes_back(detector, data, pictures, tmp_path):
    """As an accepted annotation, exported by Label Studio's converter as COCO."""
    tasks, every = [], []
    for i, ((path, _), picture) in enumerate(zip(data, pictures, strict=True)):
        found = detector.predict([picture], threshold=0.5)[0]
        height, width = picture.shape[:2]
        made = as_prediction(found, width, height)
        for number, region in enumerate(made["result"]):
            region["id"] = f"r{i}-{number}"
        tasks.append(
            {
                "id": i,
                "data": {"image": str(path)},
                "annotations": [{"id": i, "was_cancelled": False, "result": made["result"]}],
            }
        )
        every.append(found)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "tasks.json").write_text(json.dumps(tasks))
    Converter(CONFIG, str(tmp_path), download_resources=False).convert_to_coco(
        str(tmp_path / "in"), str(tmp_path / "out"), output_image_dir=str(tmp_path / "out" / "images")
    )
    coco = json.loads((tmp_path / "out" / "result.json").read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    met = 0
    for image in coco["images"]:
        i = next(k for k, (path, _) in enumerate(data) if path.name in image["file_name"])
        mine = [one for one in coco["annotations"] if one["image_id"] == image["id"]]
        boxes = [np.array([x, y, x + w, y + h]) for x, y, w, h in (one["bbox"] for one in mine)]
        if mine:
            met += len(mine)
            found = every[i]
            assert_same(found, boxes, found.scores, [names[one["category_id"]] for one in mine])
    assert met == sum(len(found) for found in every) > 10
