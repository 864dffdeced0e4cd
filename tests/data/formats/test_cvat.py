"""CVAT's XML: shapes worked out by hand, broken files, and what comes back of what is written."""

import pytest
from hypothesis import HealthCheck, given, settings

from masu.data.dataset import CROWD, DIFFICULT
from masu.data.formats import read_annotations, read_dataset
from masu.data.formats.writing import write_dataset
from masu.errors import InputError
from tests.data.formats.samples import broken_text, faults, objects, picture, readable_or_refused, same, text

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>4</id>
      <name>traffic</name>
      <size>2</size>
      <mode>annotation</mode>
      <subset>{subset}</subset>
      <labels>
        <label><name>wheel</name><color>#fa3253</color><type>any</type><attributes></attributes></label>
        <label><name> car </name><color>#fa3253</color><type>rectangle</type><attributes></attributes></label>
        <label><name>good_frame</name><type>tag</type><attributes></attributes></label>
      </labels>
    </task>
    <dumped>2018-09-25 11:38:28.799808+03:00</dumped>
  </meta>
"""

SHAPES = """  <image id="0" name="a.jpg" width="64" height="48">
    <box label="car" source="manual" occluded="1" xtl="7.50" ytl="8.00" xbr="20.00" ybr="18.25" z_order="4">
      <attribute name="is_crowd">true</attribute>
    </box>
    <box label="car" occluded="0" xtl="10" ytl="20" xbr="30" ybr="30" rotation="90.00" z_order="0">
      <attribute name="difficult">true</attribute>
      <attribute name="colour">red</attribute>
    </box>
    <polygon label="wheel" points="10.00,11.00;20.00,12.00;15.00,31.50" occluded="0" z_order="1"></polygon>
    <polyline label="wheel" points="1,2;3,9" occluded="0"></polyline>
    <ellipse label="wheel" cx="20" cy="30" rx="10" ry="5" rotation="0"></ellipse>
    <mask label="wheel" occluded="0" rle="3, 4, 5" left="4" top="6" width="4" height="3" z_order="0"></mask>
    <cuboid label="car" xtl1="1" ytl1="2" xbl1="1" ybl1="12" xtr1="9" ytr1="3" xbr1="9" ybr1="14" xtl2="4" ytl2="1" xbl2="4" ybl2="9" xtr2="12" ytr2="1.5" xbr2="12" ybr2="8"></cuboid>
    <points label="wheel" points="5,9;11,9" occluded="0" z_order="5"></points>
    <tag label="good_frame" source="manual"></tag>
  </image>
  <image id="1" name="sub/b.jpg" width="32" height="24"></image>
</annotations>
"""


@pytest.fixture
def task(tmp_path):
    text(tmp_path / "annotations.xml", HEAD.format(subset="") + SHAPES)
    picture(tmp_path / "images/a.jpg")
    picture(tmp_path / "images/sub/b.jpg", (32, 24))
    return tmp_path


def test_every_shape(task):
    data = read_annotations(task)
    assert (data.form, data.names, data.category_ids, data.splits) == ("cvat", ("wheel", "car"), (1, 2), ())
    assert objects(data) == {
        "a.jpg": [
            ("car", [7.5, 8.0, 20.0, 18.25], CROWD),
            ("car", [15.0, 15.0, 25.0, 35.0], DIFFICULT),  # 20×10 around (20, 25) becomes 10×20
            ("wheel", [10.0, 11.0, 20.0, 31.5], 0),
            ("wheel", [1.0, 2.0, 3.0, 9.0], 0),
            ("wheel", [10.0, 25.0, 30.0, 35.0], 0),
            ("wheel", [4.0, 6.0, 8.0, 9.0], 0),
            ("car", [1.0, 1.0, 12.0, 14.0], 0),
        ],
        "b.jpg": [],
    }
    assert data.sizes.tolist() == [[48, 64], [24, 32]]
    assert data.left_out == {
        "occluded": 1, "attributes": 1, "rotated boxes": 1, "polygons": 5, "keypoints": 1, "tags": 1,
    }  # fmt: skip
    assert data.where(1) == "image 1 of the file, shape 2 (car)"
    assert data.faults == read_dataset(task / "annotations.xml").faults == ()


@pytest.mark.parametrize(("rotation", "box"), [("0", [10, 20, 30, 30]), ("180", [10, 20, 30, 30]),
    ("30", [20 - 11.160254, 25 - 9.330127, 20 + 11.160254, 25 + 9.330127]),
    ("-30", [20 - 11.160254, 25 - 9.330127, 20 + 11.160254, 25 + 9.330127])])  # fmt: skip
def test_a_turned_box_has_the_box_around_it(tmp_path, rotation, box):
    picture(tmp_path / "a.jpg")
    shape = f'<box label="c" xtl="10" ytl="20" xbr="30" ybr="30" rotation="{rotation}"/>'
    text(tmp_path / "x.xml", f'<annotations><image name="a.jpg">{shape}</image></annotations>')
    assert read_annotations(tmp_path).boxes.tolist() == [pytest.approx(box)]


def test_a_turned_ellipse(tmp_path):
    picture(tmp_path / "a.jpg")
    shape = '<ellipse label="c" cx="20" cy="20" rx="10" ry="5" rotation="45"/>'
    text(tmp_path / "x.xml", f'<annotations><image name="a.jpg">{shape}</image></annotations>')
    half = ((10**2 + 5**2) / 2) ** 0.5
    assert read_annotations(tmp_path).boxes.tolist() == [
        pytest.approx([20 - half, 20 - half, 20 + half, 20 + half])
    ]


def test_splits_are_subsets_of_images_of_the_task_or_folders(tmp_path):
    images = (
        '<image name="a.jpg" subset="Train"/><image name="b.jpg" subset="Validation"/><image name="c.jpg"/>'
    )
    text(tmp_path / "annotations.xml", HEAD.format(subset="Test") + images + "</annotations>")
    for place in ("images/Train/a.jpg", "images/Validation/b.jpg", "images/c.jpg"):
        picture(tmp_path / place)
    data = read_annotations(tmp_path)
    assert {split: [p.name for p in data.part(split).paths] for split in data.splits} == {
        "train": ["a.jpg"], "val": ["b.jpg"], "test": ["c.jpg"],
    }  # fmt: skip


def test_one_name_in_two_subsets_is_two_images(tmp_path):
    images = '<image name="a.jpg" subset="Train"/><image name="a.jpg" subset="Test"/>'
    text(tmp_path / "annotations.xml", HEAD.format(subset="") + images + "</annotations>")
    for place in ("images/Train/a.jpg", "images/Test/a.jpg"):
        picture(tmp_path / place)
    assert [p.parent.name for p in read_annotations(tmp_path).paths] == ["Train", "Test"]


def test_folders_are_splits_where_nothing_else_is(tmp_path):
    for split in ("train", "valid"):
        body = f'<annotations><image name="{split}.jpg"/></annotations>'
        picture(text(tmp_path / split / "annotations.xml", body).parent / f"{split}.jpg")
    assert read_annotations(tmp_path).splits == ("train", "val")


def test_what_cannot_be_understood_is_told_and_the_rest_read(tmp_path):
    picture(tmp_path / "a.jpg")
    shapes = (
        '<box label="c" xtl="x" ytl="0" xbr="1" ybr="1"/><box label=" " xtl="0" ytl="0" xbr="1" ybr="1"/>'
        '<polygon label="c" points="1,2;3"/><blob label="c"/><box label="c" xtl="1" ytl="2" xbr="3"/>'
        '<ellipse label="c" cx="1" cy="1" rx="1" ry="1" rotation="inf"/><box label="c" xtl="1" ytl="2" xbr="3" ybr="4"/>'
    )
    text(tmp_path / "x.xml", f'<annotations><image name="a.jpg">{shapes}</image><image/></annotations>')
    data = read_annotations(tmp_path)
    assert objects(data) == {"a.jpg": [("c", [1.0, 2.0, 3.0, 4.0], 0)]}
    at = "image 1 of the file, shape"
    assert faults(data) == [
        f"{at} 1 (c): found xtl 'x', wanted a number, skipped",
        f"{at} 2 (box): found no label, wanted the name of a class, skipped",
        f"{at} 3 (c): found points '1,2;3', wanted x,y;x,y;…, skipped",
        f"{at} 4 (c): found a shape <blob>, wanted one of box, polygon, polyline, ellipse, mask, cuboid, skipped",
        f"{at} 5 (c): found ybr None, wanted a number, skipped",
        f"{at} 6 (c): found a rotation of inf, wanted a number of degrees, skipped",
        "image 2 of the file: found no name, wanted the name of an image, skipped",
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('<annotations><meta><task/></meta><track id="0" label="car"><box frame="0"/></track></annotations>',
         "the tracks of a video, which name no images"),
        ('<annotations><image name="a.jpg">', "broken XML (no element found: line 1, column 33)"),
        ('<other><annotations><image name="a.jpg"/></annotations></other>',
         "the root element <other>, wanted <annotations>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations><image name="&b;"/></annotations>', "unusable XML (EntitiesForbidden"),
    ],
)  # fmt: skip
def test_files_that_are_refused(tmp_path, body, message):
    file = text(tmp_path / "annotations.xml", body)
    with pytest.raises(InputError, match="export it again as") as caught:
        read_annotations(file, "cvat")
    assert f"{file}: found {message}" in str(caught.value)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken_text(HEAD.format(subset="train") + SHAPES))
def test_a_broken_file_is_read_or_refused(task, content):
    readable_or_refused(text(task / "annotations.xml", content), "cvat")


def source(folder):
    """Two splits, an image of both, one of none; crowd and difficult objects; digits that float32 lacks."""
    crowd, difficult = (
        '<attribute name="is_crowd">true</attribute>',
        '<attribute name="difficult">1</attribute>',
    )
    box = '<box label="{}" xtl="{}" ytl="0.1" xbr="30.123456789" ybr="24">{}</box>'
    images = "".join(
        f'<image name="{name}" width="64" height="48"{split}>{inner}</image>'
        for name, split, inner in (
            ("a.jpg", ' subset="train"', box.format("zebra &amp; co", 1, crowd) + box.format("ant", 2, "")),
            ("b.jpg", ' subset="test"', box.format("ant", 3.3, difficult)),
            ("c.jpg", ' subset="test"', ""),
            ("c.jpg", ' subset="train"', ""),
            ("d.jpg", "", box.format("ant", 4, "")),
        )
    )
    labels = "".join(f"<label><name>{name}</name></label>" for name in ("zebra &amp; co", "ant", "unused"))
    subsets = "<subsets><subset>train</subset><subset>test</subset><subset>holiday</subset></subsets>"
    meta = f"<meta><project>{subsets}<labels>{labels}</labels></project></meta>"
    text(folder / "annotations.xml", f"<annotations>{meta}{images}</annotations>")
    for name in "abcd":
        picture(folder / f"{name}.jpg")
    return read_annotations(folder)


def test_what_is_written_comes_back(tmp_path):
    data = source(tmp_path / "in")
    assert data.splits == ("train", "test", "holiday")
    said = write_dataset(tmp_path / "out", "cvat", data)
    again = read_annotations(tmp_path / "out")
    same(data, again)
    assert again.names == data.names == ("zebra & co", "ant", "unused")
    assert again.faults == ()
    assert said == [
        "an image of CVAT is in one subset: 1 images are listed once for each of their splits",
        "CVAT has no crowd regions: 1 have the attribute is_crowd",
        "CVAT has no difficult objects: 1 have the attribute difficult",
    ]


def test_what_is_written_without_splits_and_flags(tmp_path):
    picture(tmp_path / "in/a.jpg")
    box = '<box label="c" xtl="1" ytl="2" xbr="3" ybr="4"/>'
    text(
        tmp_path / "in/x.xml",
        f'<annotations><image name="a.jpg" width="64" height="48">{box}</image></annotations>',
    )
    assert write_dataset(tmp_path / "out", "cvat", read_annotations(tmp_path / "in")) == []
    written = (tmp_path / "out/annotations.xml").read_text()
    assert '<image id="0" name="a.jpg" width="64" height="48">' in written
    assert (
        '<box label="c" source="manual" occluded="0" xtl="1.0" ytl="2.0" xbr="3.0" ybr="4.0" z_order="0" />'
        in written
    )
    same(read_annotations(tmp_path / "in"), read_annotations(tmp_path / "out"))


def test_a_class_that_xml_cannot_hold_is_refused(tmp_path):
    picture(tmp_path / "in/a.png")
    text(
        tmp_path / "in/a.json",
        {
            "imagePath": "a.png",
            "shapes": [{"label": "a\x01", "points": [[1, 2], [3, 4]], "shape_type": "rectangle"}],
        },
    )
    with pytest.raises(InputError, match="would not be read back"):
        write_dataset(tmp_path / "out", "cvat", read_annotations(tmp_path / "in"))
