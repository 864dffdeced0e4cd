"""What one argument of ``predict`` means, without a network."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from masu.data.pixels.sources import given_images, in_batches
from masu.errors import InputError


@pytest.fixture
def shots(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.png", "in/c.png", "d[1].png"):
        file = tmp_path / "shots" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(file)
    return tmp_path / "shots"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("shots", ["a.png", "b.png", "d[1].png", "c.png"]),
        ("shots/*.png", ["a.png", "b.png", "d[1].png"]),
        ("shots/in/*", ["c.png"]),
    ],
)
def test_folders_and_patterns_are_many(shots, source, names):
    images, alone = given_images(source)
    assert ([path.name for path in images], alone) == (names, False)


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(shots):
    images, alone = given_images("shots/d[1].png")
    assert (list(images), alone) == (["shots/d[1].png"], True)


def test_a_file_that_is_missing_is_one_file(shots):
    assert given_images("shots/no.png").alone


@pytest.mark.parametrize(("shape", "alone"), [((4, 4), True), ((4, 4, 3), True), ((2, 4, 4, 3), False)])
def test_a_stack_of_arrays_is_many(shape, alone):
    images, single = given_images(np.zeros(shape, np.uint8))
    assert (single, len(list(images))) == (alone, 1 if alone else 2)


@pytest.mark.parametrize("source", ["https://a.b/c.jpg", ["s3://bucket/a.jpg"]])
def test_an_address_is_refused(source):
    with pytest.raises(InputError) as caught:
        list(given_images(source).images)
    assert str(caught.value) == (
        f"{source if isinstance(source, str) else source[0]}: found a URL, wanted a file on this computer; "
        "fetch it first: urllib.request.urlretrieve(url, 'image.jpg')"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            None,
            "found None, wanted an image (a path, a Pillow image, an array (H, W, 3) or a tensor (3, H, W)), a folder or a list of images; cv2.imread gives None for a file that it cannot read",
        ),
        (
            b"",
            "found a value of type bytes, wanted an image (a path, a Pillow image, an array (H, W, 3) or a tensor (3, H, W)), a folder or a list of images; for an encoded image write Image.open(io.BytesIO(data))",
        ),
        (
            {"a": 1},
            "found a value of type dict, wanted an image (a path, a Pillow image, an array (H, W, 3) or a tensor (3, H, W)), a folder or a list of images",
        ),
    ],
)
def test_the_whole_sentence(source, said):
    with pytest.raises(TypeError) as caught:
        given_images(source)
    assert str(caught.value) == f"predict: {said}"


def test_batches_read_no_further_than_they_are():
    source = iter(range(5))
    batches = in_batches(source, 2)
    assert next(batches) == [0, 1]
    assert next(source) == 2
    assert list(batches) == [[3, 4]]


def test_it_needs_no_torch():
    code = "import sys, masu.data.pixels.sources; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "False"
