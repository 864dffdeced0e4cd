"""Supervisely: a project by hand, masks with known extents, and what broken files say."""

import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from masu.data.formats import read_annotations, read_dataset
from tests.data.formats.minimal import picture, text


def figure(name="cat", kind="rectangle", points=((1, 2), (31, 22)), **others):
    corners = {"exterior": [list(p) for p in points], "interior": []}
    return {"classTitle": name, "geometryType": kind, "points": corners, "tags": [], **others}


def page(*figures, size=(48, 64), tags=()):
    return {
        "description": "",
        "tags": list(tags),
        "size": {"height": size[0], "width": size[1]},
        "objects": list(figures),
    }


def mask(pixels, origin=(10, 20), packed=True, palette=True, kind="bitmap"):
    drawn = Image.fromarray(np.array(pixels, np.uint8) * (1 if palette else 255))
    stream = io.BytesIO()
    if palette:
        drawn.putpalette([0, 0, 0, 255, 255, 255])
        drawn.save(stream, "PNG", transparency=0)
    else:
        drawn.save(stream, "PNG")
    data = zlib.compress(stream.getvalue()) if packed else stream.getvalue()
    text = base64.b64encode(data).decode()
    return {"classTitle": "cat", "geometryType": kind, kind: {"data": text, "origin": list(origin)}}


@pytest.fixture
def project(tmp_path):
    classes = [{"title": "dog", "shape": "rectangle"}, {"title": "cat", "shape": "any"}, {"title": "owl"}]
    text(tmp_path / "meta.json", {"classes": classes, "tags": []})
    picture(tmp_path / "train/img/a.png")
    picture(tmp_path / "val/img/b.png")
    text(
        tmp_path / "train/ann/a.png.json",
        page(
            figure(),
            figure(" dog ", "polygon", ((5, 6), (9, 6), (7, 11))),
            figure("nose", "point", ((1, 1),)),
        ),
    )
    text(tmp_path / "val/ann/b.png.json", page())
    return tmp_path


def one(tmp_path, *figures):
    picture(tmp_path / "img/a.png")
    text(tmp_path / "ann/a.png.json", page(*figures))
    return read_annotations(tmp_path)


class TestProject:
    def test_a_project(self, project):
        data = read_dataset(project)
        assert data.form == "supervisely"
        assert data.splits == ("train", "val")
        assert data.names == ("dog", "cat", "owl")
        assert [image.name for image, _ in data] == ["a.png", "b.png"]
        assert data.boxes.tolist() == [[1, 2, 31, 22], [5, 6, 9, 11]]
        assert [data.names[label] for label in data.labels] == ["cat", "dog"]
        assert dict(data.left_out) == {"keypoints": 1, "polygons": 1}
        assert data.faults == ()

    def test_corners_in_any_order(self, tmp_path):
        assert one(tmp_path, figure(points=((31, 2), (1, 22)))).boxes.tolist() == [[1, 2, 31, 22]]

    def test_sizes(self, project):
        assert read_annotations(project).sizes.tolist() == [[48, 64], [48, 64]]

    def test_a_class_that_meta_does_not_name(self, project):
        text(project / "val/ann/b.png.json", page(figure("ant")))
        assert read_dataset(project).names == ("dog", "cat", "owl", "ant")

    def test_without_meta_classes_are_in_order(self, project):
        (project / "meta.json").unlink()
        assert read_dataset(project).names == ("cat", "dog")

    def test_names_without_a_suffix(self, tmp_path):
        picture(tmp_path / "img/a.png")
        text(tmp_path / "ann/a.json", page(figure()))
        assert [image.name for image, _ in read_dataset(tmp_path)] == ["a.png"]

    def test_one_file(self, project):
        data = read_dataset(project / "train/ann/a.png.json", images=project / "train/img")
        assert data.boxes.tolist()[0] == [1, 2, 31, 22]


class TestMasks:
    @pytest.mark.parametrize("packed", [True, False])
    @pytest.mark.parametrize("palette", [True, False])
    def test_the_box_is_around_the_pixels(self, tmp_path, packed, palette):
        pixels = np.zeros((6, 9))
        pixels[1:3, 2:7] = 1
        data = one(tmp_path, mask(pixels, packed=packed, palette=palette))
        assert data.boxes.tolist() == [[12, 21, 17, 23]]
        assert dict(data.left_out) == {"masks": 1}

    def test_alpha_masks(self, tmp_path):
        assert one(tmp_path, mask(np.ones((2, 3)), kind="alpha_mask")).boxes.tolist() == [[10, 20, 13, 22]]

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ({"data": "a"}, "a mask that is no base64"),
            ({"data": base64.b64encode(b"no png").decode()}, "a mask that cannot be unpacked"),
            ({"data": base64.b64encode(zlib.compress(b"GIF89a")).decode()}, "a mask that is no PNG"),
            ({"data": 5}, "a mask without 'data'"),
            ({"origin": [1]}, "an origin that is no pair"),
            ({"origin": ["1", 2]}, 'x "1"'),
        ],
    )
    def test_broken_masks(self, tmp_path, change, found):
        broken = mask(np.ones((2, 2)))
        broken["bitmap"] |= change
        data = one(tmp_path, broken, figure())
        assert data.boxes.tolist() == [[1, 2, 31, 22]]
        assert [fault.found.split(", wanted")[0] for fault in data.faults] == [f"found {found}"]

    def test_an_empty_mask(self, tmp_path):
        data = one(tmp_path, mask(np.zeros((2, 2))))
        assert [fault.found for fault in data.faults] == ["found an empty mask, wanted one with a pixel"]

    def test_a_mask_that_says_it_is_huge(self, tmp_path):
        png = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (10**6).to_bytes(4, "big") * 2
        broken = mask(np.ones((2, 2)))
        broken["bitmap"]["data"] = base64.b64encode(zlib.compress(png)).decode()
        data = one(tmp_path, broken)
        assert data.faults[0].found.startswith("found a mask of 1000000×1000000 pixels")

    def test_a_mask_that_unpacks_to_gigabytes(self, tmp_path):
        broken = mask(np.ones((2, 2)))
        broken["bitmap"]["data"] = base64.b64encode(zlib.compress(bytes(65_000_000))).decode()
        assert one(tmp_path, broken).faults[0].found.startswith("found a mask of too many bytes")


class TestFaults:
    @pytest.mark.parametrize(
        ("broken", "found"),
        [
            (5, "no 'classTitle'"),
            (figure(""), "no 'classTitle'"),
            (figure(kind=None), "no 'geometryType'"),
            (figure(kind="cuboid"), "a figure of type 'cuboid'"),
            (figure(points=((1, 2),)), "1 points"),
            (figure(points=((1, 2), (3,))), "a point that is no pair"),
            (figure(points=((1, 2), (3, None))), "y null"),
            ({**figure(), "points": []}, "0 points"),
        ],
    )
    def test_a_figure(self, tmp_path, broken, found):
        data = one(tmp_path, broken, figure())
        assert data.boxes.tolist() == [[1, 2, 31, 22]]
        assert [(f.kind, f.found.split(", wanted")[0]) for f in data.faults] == [
            ("annotation", f"found {found}")
        ]

    def test_a_broken_file_is_left_out(self, project):
        file = text(project / "val/ann/b.png.json", '{"tags": [], "size": 1, "objects": [')
        data = read_dataset(project)
        assert [image.name for image, _ in data] == ["a.png"]
        assert [(fault.file, fault.where, fault.splits) for fault in data.faults] == [
            (file, "the file", ("val",))
        ]

    def test_a_broken_meta(self, project):
        file = text(project / "meta.json", "[]")
        assert [(fault.file, fault.where) for fault in read_dataset(project).faults] == [(file, "the file")]
