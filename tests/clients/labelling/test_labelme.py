"""LabelMe's own reader takes masu's drafts, scores included; what it writes back, masu reads."""

import pytest
from labelme._label_file import read_label_file, write_label_file

import masu
from masu.data.pixels.headers import read_header
from masu.drafts.draft import draft_of
from masu.errors import InputError


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
    """A save makes labels of drafts, also where nothing but the flag ``draft`` was changed."""
    with pytest.raises(InputError, match="nobody confirmed"):
        masu.read_dataset(drafts)
    known = {}
    for file in sorted(drafts.glob("*.json")):
        page = read_label_file(str(file))
        assert page.flags == {"draft": True}
        shapes = [shape | shape.pop("other_data") | {"mask": None} for shape in map(dict, page.shapes)]
        header = read_header(file.with_suffix(".png"))
        write_label_file(
            str(file),
            shapes=shapes,
            image_path=page.image_path,
            image_height=header.height,
            image_width=header.width,
            image_data=None,
            other_data=page.other_data,
            flags={"draft": False},
        )
        known[file.with_suffix(".png").name] = [
            [x for point in shape["points"] for x in point] for shape in shapes
        ]
    again = masu.read_dataset(drafts)
    found = {image.name: target.boxes.tolist() for image, target in again}
    assert found.keys() == known.keys()
    for name, boxes in known.items():
        assert found[name] == [pytest.approx(box, abs=1e-4) for box in boxes]
