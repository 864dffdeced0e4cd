"""Open Images' tables of boxes: its columns in any order, names of classes, splits, and broken rows."""

import pytest
from hypothesis import HealthCheck, given, settings

from masu.data.dataset import CROWD
from masu.data.formats import open_images, read_annotations, read_dataset
from masu.errors import InputError
from tests.data.formats.samples import broken_text, faults, objects, picture, readable_or_refused, text

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
ROWS = [
    "000a1249af2bc5f0,xclick,/m/0cmcup,1,0.242188,0.445312,0.406250,0.718750,1,0,0,0,0",
    "000a1249af2bc5f0,xclick,/m/0cmlid,1,0.5,0.75,0.25,0.5,0,1,1,0,0",
    "0005339c44e6071b,activemil,/m/0cmcup,1,0,1,0,0.5,-1,-1,-1,-1,-1",
    "000a1249af2bc5f0,xclick,/m/0cmcup,1,0.1,0.2,0.3,0.4,0,0,0,1,1",
]


@pytest.fixture
def tables(tmp_path):
    picture(tmp_path / "images/000a1249af2bc5f0.jpg", (100, 200))
    picture(tmp_path / "images/0005339c44e6071b.jpg", (64, 32))
    picture(tmp_path / "images/00000000000000aa.jpg")
    text(tmp_path / "train-annotations-bbox.csv", "\n".join([HEADER, *ROWS]) + "\n")
    return tmp_path


EXPECTED = {
    "000a1249af2bc5f0.jpg": [
        ("/m/0cmcup", [0.242188, 0.40625, 0.445312, 0.71875], 0),
        ("/m/0cmlid", [0.5, 0.25, 0.75, 0.5], CROWD),
        ("/m/0cmcup", [0.1, 0.3, 0.2, 0.4], 0),
    ],
    "0005339c44e6071b.jpg": [("/m/0cmcup", [0.0, 0.0, 1.0, 0.5], 0)],
}


def test_a_table_as_it_is_downloaded(tables):
    data = read_annotations(tables)
    assert (data.form, data.splits, data.names) == ("openimages", ("train",), ("/m/0cmcup", "/m/0cmlid"))
    assert objects(data) == EXPECTED
    assert data.left_out == {"occluded": 1, "truncated": 1, "depiction": 1, "seen from inside": 1}
    assert [data.where(row) for row in range(4)] == ["line 2", "line 3", "line 5", "line 4"]
    assert data.faults == ()
    assert read_dataset(tables).boxes[1].tolist() == [50, 50, 75, 100]


def test_blocks_make_no_difference(tables, monkeypatch):
    for size in (1, 2, 3):
        monkeypatch.setattr(open_images, "_BLOCK", size)
        assert objects(read_annotations(tables)) == EXPECTED


@pytest.mark.parametrize("header", ["", "LabelName,DisplayName\n"])
def test_classes_have_names_where_a_table_says_them(tables, header):
    rows = '/m/0cmcup,"Cake, small"\n/m/0other,Other\n'
    text(tables / "metadata/oidv7-class-descriptions-boxable.csv", header + rows)
    assert read_annotations(tables).names == ("/m/0cmlid", "Cake, small")


def test_columns_in_another_order_and_fewer_of_them(tables):
    text(
        tables / "train-annotations-bbox.csv",
        "YMin,XMin,XMax,YMax,LabelName,ImageID\n0.1,0.2,0.3,0.4,c,0005339c44e6071b\n",
    )
    data = read_annotations(tables / "train-annotations-bbox.csv")
    assert (objects(data), data.splits) == ({"0005339c44e6071b.jpg": [("c", [0.2, 0.1, 0.3, 0.4], 0)]}, ())


def test_three_tables_are_three_splits(tmp_path):
    for name, folder in (("oidv6-train", "train"), ("validation", "validation"), ("test", "test")):
        picture(tmp_path / folder / "a.jpg")
        text(
            tmp_path / f"{name}-annotations-bbox.csv",
            f"{HEADER}\n{ROWS[2].replace('0005339c44e6071b', 'a')}\n",
        )
    data = read_annotations(tmp_path)
    assert data.splits == ("train", "val", "test")
    assert {s: [path.parent.name for path in data.part(s).paths] for s in data.splits} == {
        "train": ["train"], "val": ["validation"], "test": ["test"],
    }  # fmt: skip


def test_rows_that_cannot_be_understood_are_told_and_the_rest_read(tables):
    broken = [
        "000a1249af2bc5f0,xclick,/m/0cmcup,1,0.2,0.4",
        "000a1249af2bc5f0,xclick,/m/0cmcup,1,left,0.445312,0.406250,0.718750,1,0,0,0,0",
        ",xclick,/m/0cmcup,1,0,1,0,1,0,0,0,0,0",
        "000a1249af2bc5f0,xclick, ,1,0,1,0,1,0,0,0,0,0",
        "000a1249af2bc5f0,xclick,/m/0cmcup,1,0,1,0,1,0,0,maybe,0,0",
        "",
    ]
    text(tables / "train-annotations-bbox.csv", "\n".join([HEADER, *broken, *ROWS]))
    data = read_annotations(tables)
    assert objects(data) == EXPECTED
    assert faults(data) == [
        "line 2: found 6 columns, wanted 13, skipped",
        "line 3: found xmin 'left', wanted a share of the image, skipped",
        "line 4: found no ImageID, wanted one, skipped",
        "line 5: found no LabelName, wanted one, skipped",
        "line 6: found isgroupof 'maybe', wanted 0 or 1, skipped",
    ]


def test_a_table_that_is_no_text_is_refused(tables):
    (tables / "train-annotations-bbox.csv").write_bytes(f"{HEADER}\n".encode() + b"\xff\n")
    with pytest.raises(InputError, match="a table that cannot be read"):
        read_annotations(tables)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(broken_text("\n".join([HEADER, *ROWS])))
def test_a_broken_table_is_read_or_refused(tables, content):
    readable_or_refused(text(tables / "train-annotations-bbox.csv", content), "openimages")


def test_names_of_the_classes_as_fiftyone_stores_them(tables):
    text(tables / "train/metadata/classes.csv", "/m/0cmcup,Cup\n/m/0cmlid,Lid\n")
    assert read_annotations(tables).names == ("Cup", "Lid")
