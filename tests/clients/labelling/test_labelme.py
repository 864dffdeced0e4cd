"""LabelMe's own reader takes masu's drafts, scores included; what it writes back, masu reads."""

import pytest
from labelme._label_file import read_label_file, write_label_file

import masu
from masu.drafts.draft import draft_of


@pytest.fixture(scope="module")
def drafts(detector, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("drafts") / "out"
    masu.draft(detector, [path for path, _ in data], "labelme", out)
    return out


def test_it_reads_boxes_classes_and_scores(drafts, detector):
    met = 0
    for file in sorted(drafts.glob("*.json")):
        page = read_label_file(str(file))
        found = draft_of(detector.predict(file.with_suffix(".png"), threshold=0.5), (1, 1))
        assert [shape["label"] for shape in page.shapes] == list(found.names)
        assert [shape["shape_type"] for shape in page.shapes] == ["rectangle"] * len(found.names)
        assert [tuple(x for point in shape["points"] for x in point) for shape in page.shapes] == list(
            found.boxes
        )
        assert [shape["other_data"]["score"] for shape in page.shapes] == list(found.scores)
        assert page.image_data == file.with_suffix(".png").read_bytes()
        met += len(found.names)
    assert met > 10


def test_what_it_writes_back_is_what_masu_reads(drafts):
    before = masu.read_dataset(drafts)
    known = [(image.name, target.boxes.tolist(), target.labels.tolist()) for image, target in before]
    for file in drafts.glob("*.json"):
        page = read_label_file(str(file))
        shapes = [shape | shape.pop("other_data") | {"mask": None} for shape in map(dict, page.shapes)]
        height, width = before.sizes[[image.name for image, _ in before].index(file.with_suffix(".png").name)]
        write_label_file(
            str(file),
            shapes=shapes,
            image_path=page.image_path,
            image_height=int(height),
            image_width=int(width),
            image_data=None,
            other_data=page.other_data,
            flags=page.flags,
        )
    again = masu.read_dataset(drafts)
    assert [(image.name, target.boxes.tolist(), target.labels.tolist()) for image, target in again] == known
