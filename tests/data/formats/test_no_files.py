"""Pipes, devices, links in circles and names that no file can have, in the place of every file of every format.

Reading and checking come to an end, with a data set or an ``InputError``.
"""

import os
import re
import signal
from contextlib import contextmanager

import pytest

from masu.data.formats import read_dataset
from masu.data.pixels.pictures import UnreadableImageError, find_images, read_bands, read_rgb
from masu.errors import InputError
from masu.regular import NotRegularError, open_regular
from masu.verbs.check import check
from tests.data.formats.minimal import MINIMAL

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")


@contextmanager
def within(seconds: int):
    """Fail instead of waiting for ever."""

    def late(*_):
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pipe(file):
    os.mkfifo(file)


def link_to_a_pipe(file):
    os.mkfifo(file.with_name(".pipe"))
    file.symlink_to(".pipe")


def link_to_a_device(file):
    file.symlink_to("/dev/zero")


def link_to_itself(file):
    file.symlink_to(file.name)


@pytest.mark.parametrize("put", [pipe, link_to_a_pipe, link_to_a_device, link_to_itself])
@pytest.mark.parametrize("name", MINIMAL)
def test_what_is_no_file_is_never_waited_for(tmp_path, name, put):
    MINIMAL[name](tmp_path)
    said = []
    for file in [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]:
        content = file.read_bytes()
        file.unlink()
        put(file)
        with within(20):
            for path in (tmp_path, file):
                try:
                    check(path, name)
                except InputError as error:
                    said.append(str(error))
        file.unlink()
        file.with_name(".pipe").unlink(missing_ok=True)
        file.write_bytes(content)
    assert said
    assert not [text for text in said if "\n" in text]


@pytest.mark.parametrize("put", [pipe, link_to_a_pipe, link_to_a_device])
@pytest.mark.parametrize("suffix", ["jpg", "png", "npy", "tif"])
def test_a_picture_that_is_no_file_is_a_fault_that_says_what_it_is(tmp_path, put, suffix):
    file = tmp_path / f"a.{suffix}"
    put(file)
    for read in (read_rgb, lambda path: read_bands(path, 3)):
        with within(5), pytest.raises(UnreadableImageError) as caught:
            read(file)
        assert caught.value.found in ("a pipe, which is never opened", "a device, which is never opened")


def test_only_regular_files_are_opened(tmp_path):
    with pytest.raises(NotRegularError):
        open_regular("/dev/zero")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(OSError, match="null"):
        open_regular("a\0b")
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    with open_regular(tmp_path / "b") as file:
        assert file.read() == b"x"


LONG = b"x" * 300
TEXTS = {
    "voc": ("Annotations/a.xml", b"a.png"),
    "coco": ("annotations/instances_train.json", b"a.png"),
    "csv": ("labels.csv", b"images/a.png"),
    "labelme": ("a.json", b"a.png"),
}


@pytest.mark.parametrize("new", [LONG + b".png", b"x/" * 3000 + b"a.png"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_name_that_no_file_can_have_is_a_fault_of_its_entry(tmp_path, name, new):
    MINIMAL[name](tmp_path)
    inside, old = TEXTS[name]
    file = tmp_path / inside
    text = file.read_bytes()
    file.write_bytes(re.sub(re.escape(old), new, text, count=1))
    report = check(tmp_path, name)
    kinds = {finding.kind for finding in report.findings}
    # VOC and LabelMe have the image beside the annotation to go by
    assert "missing-image" in kinds or report.images


def test_patterns_go_behind_a_link_once(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for number, folder in enumerate((tmp_path, tmp_path / "a", inner)):
        (folder / f"{number}.jpg").write_bytes(b"")
    for name in ("one", "two"):
        (inner / name).symlink_to(tmp_path)
        (tmp_path / "a" / name).symlink_to(tmp_path)
    with within(5):
        found = find_images([f"{tmp_path}/**/*.jpg"])
    assert [path.name for path in found if path.parent.name in (tmp_path.name, "a", "b")] == [
        "0.jpg",
        "1.jpg",
        "2.jpg",
    ]
    assert len(found) == 3


def test_patterns_find_what_they_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("x/train/p/1.jpg", "x/val/2.jpg", "x/train/3.png", "x/.hidden/4.jpg", "5.jpg"):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        open(name, "wb").close()
    (tmp_path / "far").mkdir()
    (tmp_path / "far/6.jpg").write_bytes(b"")
    (tmp_path / "x/linked").symlink_to(tmp_path / "far")

    def names(pattern):
        return sorted(os.fspath(path) for path in find_images([pattern]))

    assert names("**/*.jpg") == ["5.jpg", "far/6.jpg", "x/train/p/1.jpg", "x/val/2.jpg"]
    assert names("x/**/*.jpg") == ["x/linked/6.jpg", "x/train/p/1.jpg", "x/val/2.jpg"]
    assert names("x/**/p/*.jpg") == names("**/train/**/*.jpg") == ["x/train/p/1.jpg"]
    assert names("x/**") == ["x/linked/6.jpg", "x/train/3.png", "x/train/p/1.jpg", "x/val/2.jpg"]
    assert names(f"{tmp_path}/x/*/2.jpg") == [f"{tmp_path}/x/val/2.jpg"]
    with pytest.raises(InputError):
        names("a\0**/*.jpg")


@pytest.mark.parametrize(
    ("name", "inside", "text"),
    [
        ("voc", "Annotations/a.xml", "<a>" * 100_000 + "</a>" * 100_000),
        ("voc", "Annotations/a.xml", "<annotation " + " ".join(f'a{i}=""' for i in range(300_000)) + "/>"),
        (
            "voc",
            "Annotations/a.xml",
            '<!DOCTYPE a [<!ENTITY b "b">'
            + "".join(f'<!ENTITY b{i} "{f"&b{i - 1};" * 10}">' for i in range(1, 12))
            + "]><annotation>&b11;</annotation>",
        ),
        ("cvat", "annotations.xml", "<annotations>" + "<a>" * 100_000 + "</a>" * 100_000 + "</annotations>"),
        ("coco", "annotations/instances_train.json", '{"images": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("labelme", "a.json", "[" * 100_000 + "]" * 100_000),
        ("yolo", "data.yaml", "names: " + "[" * 1_000 + "]" * 1_000),
        (
            "yolo",
            "data.yaml",
            "a0: &a0 [x, x]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
            + "train: images/train\nnames: *a11\n",
        ),
        ("yolo", "data.yaml", 'train: images/train\nnames: {!!int "": cat, !!timestamp x: dog}\n'),
        ("yolo", "data.yaml", "train: images/train\nnames: {? [a] : cat}\n"),
        ("yolo", "data.yaml", "train: images/train\nnames: {1e400: cat, " + "9" * 400 + ": dog}\n"),
    ],
)
def test_hostile_files_end_soon(tmp_path, name, inside, text):
    MINIMAL[name](tmp_path)
    (tmp_path / inside).write_text(text)
    said = "a data set"
    with within(20):
        try:
            read_dataset(tmp_path, form=name)
        except InputError as error:
            said = str(error)
    assert len(said) < 2000
    assert "\n" not in said
