"""WIDER FACE: a list by hand, counts that lie, and broken lines."""

import pytest

from masu.data.dataset import DIFFICULT
from masu.data.formats import read_annotations, read_dataset
from masu.errors import InputError
from tests.data.formats.minimal import picture, text

TRAIN = """0--Parade/0_Parade_marchingband_1_849.png
1
4 10 12 15 0 0 0 0 0 0\x20
0--Parade/0_Parade_Parade_0_452.png
0
0 0 0 0 0 0 0 0 0 0\x20
1--Handshaking/hands.png
2
5 6 7 8 2 1 1 0 2 1\x20
20 20 4 4 0 0 0 1 0 0\x20
"""


@pytest.fixture
def faces(tmp_path):
    for name in (
        "0--Parade/0_Parade_marchingband_1_849",
        "0--Parade/0_Parade_Parade_0_452",
        "1--Handshaking/hands",
    ):
        picture(tmp_path / f"WIDER_train/images/{name}.png")
    picture(tmp_path / "WIDER_val/images/0--Parade/v.png")
    text(tmp_path / "wider_face_split/wider_face_train_bbx_gt.txt", TRAIN)
    text(tmp_path / "wider_face_split/wider_face_val_bbx_gt.txt", "0--Parade/v.png\n1\n1 1 2 2 0 0 0 0 0 0\n")
    text(tmp_path / "wider_face_split/wider_face_test_filelist.txt", "0--Parade/t.png\n")
    text(tmp_path / "wider_face_split/readme.txt", "Attached the mappings.\n")
    return tmp_path


def one(tmp_path, content):
    picture(tmp_path / "images/a.png")
    picture(tmp_path / "images/b.png")
    text(tmp_path / "wider_face_train_bbx_gt.txt", content)
    return read_annotations(tmp_path)


def test_all_of_it(faces):
    data = read_dataset(faces)
    assert (data.form, data.names, data.splits) == ("widerface", ("face",), ("train", "val"))
    assert [image.name for image, _ in data.part("train")] == [
        "0_Parade_marchingband_1_849.png",
        "0_Parade_Parade_0_452.png",
        "hands.png",
    ]
    assert np_boxes(data.part("train")) == [[[4, 10, 16, 25]], [], [[5, 6, 12, 14], [20, 20, 24, 24]]]
    assert data.flags.tolist() == [0, 0, DIFFICULT, 0]
    assert data.faults == ()
    assert dict(data.left_out) == {"blur": 1, "expression": 1, "illumination": 1, "occlusion": 1, "pose": 1}


def np_boxes(data):
    return [target.boxes.tolist() for _, target in data]


def test_one_list(faces):
    data = read_dataset(
        faces / "wider_face_split/wider_face_val_bbx_gt.txt", images=faces / "WIDER_val/images"
    )
    assert (len(data), data.splits) == (1, ())


def test_a_subset_of_another_name(tmp_path):
    picture(tmp_path / "WIDER_hard/images/x/a.png")
    text(tmp_path / "wider_face_split/wider_face_hard_bbx_gt.txt", "x/a.png\n1\n1 2 3 4 0 0 0 0 0 0\n")
    assert np_boxes(read_dataset(tmp_path)) == [[[1, 2, 4, 6]]]


@pytest.mark.parametrize("nothing", ["0\n0 0 0 0 0 0 0 0 0 0\n", "0\n"])
def test_no_faces(tmp_path, nothing):
    data = one(tmp_path, f"b.png\n1\n1 2 3 4 0 0 0 0 0 0\na.png\n{nothing}")
    assert (np_boxes(data), data.faults) == ([[[1, 2, 4, 6]], []], ())


@pytest.mark.parametrize(
    ("rows", "where", "found"),
    [
        ("2\n1 2 3 4 0 0 0 0 0 0\n", "line 1", "found 1 faces, wanted 2, as the line after the image says"),
        (
            "1\n1 2 3 4 0 0 0 0 0 0\n1 2 3\n",
            "line 1",
            "found 2 faces, wanted 1, as the line after the image says",
        ),
        (
            "1 2 3 4 0 0 0 0 0 0\n",
            "line 1",
            "found no number of faces, wanted it in the line after the image",
        ),
        ("", "line 1", "found no number of faces, wanted it in the line after the image"),
        (
            "1\n1 2 3\n",
            "line 3",
            "found 3 values, wanted 10: x y w h blur expression illumination invalid occlusion pose",
        ),
    ],
)
def test_broken_blocks(tmp_path, rows, where, found):
    data = one(tmp_path, f"a.png\n{rows}b.png\n1\n5 6 7 8 0 0 0 0 0 0\n")
    assert (data.faults[0].where, data.faults[0].found) == (where, found)
    assert np_boxes(data)[-1] == [[5, 6, 12, 14]]


def test_numbers_before_any_image(tmp_path):
    data = one(tmp_path, "1\n1 2 3 4 0 0 0 0 0 0\na.png\n0\n")
    assert [(f.where, f.found) for f in data.faults] == [
        ("line 1", "found numbers before any image, wanted its path")
    ]
    assert np_boxes(data) == [[]]


def test_a_list_of_another_name(tmp_path):
    picture(tmp_path / "images/x/a.png")
    text(tmp_path / "faces.txt", "x/a.png\n1\n1 2 3 4 0 0 0 0 0 0\n")
    assert read_dataset(tmp_path).form == "widerface"


def test_a_list_that_is_no_text(faces):
    file = faces / "wider_face_split/wider_face_val_bbx_gt.txt"
    file.write_bytes(file.read_bytes() + b"\xff\n")
    with pytest.raises(InputError, match=r"wider_face_val_bbx_gt\.txt: found a file that cannot be read"):
        read_annotations(faces)
