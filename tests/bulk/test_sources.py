import os

import fsspec
import pytest

from masu.bulk import sources
from masu.data.pixels.pictures import find_images
from masu.errors import InputError


def list_images(given):
    """As a job has them: sorted, each once."""
    return sorted(set(sources.list_images(given)))


@pytest.fixture
def memory():
    """fsspec's store in this process, with a few objects."""
    store = fsspec.filesystem("memory")
    for name in ("b/z.jpg", "b/a/x.PNG", "b/a/notes.txt", "b/a/.hidden.jpg", "b/a/y [1].tif"):
        store.pipe_file(f"/{name}", b"x")
    yield store
    store.rm("/b", recursive=True)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_folders_patterns_and_files_give_absolute_paths_once_and_sorted(tmp_path, monkeypatch):
    touch(tmp_path, "in/b.jpg", "in/a/c.png", "in/a/no.csv", "other.raw")
    monkeypatch.chdir(tmp_path)
    expected = [str(tmp_path / name) for name in ("in/a/c.png", "in/b.jpg", "other.raw")]
    assert list_images(["other.raw", "in", "in/*.jpg", "in/a/c.png"]) == expected


def test_a_list_is_taken_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all.txt").write_bytes("gone.jpg\r\n\n/abs/é.png\nmemory://b/q.jpg\ngone.jpg\n".encode())
    assert list_images(["all.txt"]) == ["/abs/é.png", str(tmp_path / "gone.jpg"), "memory://b/q.jpg"]


def test_a_list_keeps_names_that_are_not_utf8(tmp_path):
    (tmp_path / "all.txt").write_bytes(b"/a/\xff.png\n")
    assert list_images([tmp_path / "all.txt"]) == [os.fsdecode(b"/a/\xff.png")]


def test_a_list_is_read_line_by_line(tmp_path):
    (tmp_path / "all.txt").write_bytes(b"/a.jpg\n" * 100_000)
    stream = sources.list_images([tmp_path / "all.txt"])
    assert next(stream) == "/a.jpg"
    (tmp_path / "all.txt").write_bytes(b"")  # what is not read yet is not known
    assert 0 < sum(1 for _ in stream) < 99_999


def test_a_folder_is_walked_as_before_links_and_hidden_files_too(tmp_path):
    touch(tmp_path, "in/.a.jpg", "in/.hidden/b.jpg", "in/c.jpg", "elsewhere/d.jpg", "e.jpg")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "f.jpg").symlink_to(tmp_path / "e.jpg")
    (tmp_path / "in" / "broken.jpg").symlink_to(tmp_path / "none.jpg")
    (tmp_path / "in" / "folder.jpg").mkdir()
    found = [str(tmp_path / "in" / name) for name in (".hidden/b.jpg", "c.jpg", "f.jpg")]
    assert list_images([tmp_path / "in"]) == found
    assert [str(path) for path in find_images([tmp_path / "in"])] == found


def test_prefixes_patterns_and_objects_of_a_store(memory):
    assert list_images(["memory://b"]) == [
        "memory:///b/a/x.PNG",
        "memory:///b/a/y [1].tif",
        "memory:///b/z.jpg",
    ]
    assert list_images(["memory://b/*.jpg"]) == ["memory:///b/z.jpg"]
    assert list_images(["memory://b/a/y [1].tif"]) == ["memory://b/a/y [1].tif"]


def test_a_list_may_lie_in_a_store(memory):
    memory.pipe_file("/b/list.txt", b"memory://b/z.jpg\n")
    assert list_images(["memory://b/list.txt"]) == ["memory://b/z.jpg"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{tmp}/none", "{tmp}/none: found no such file and no match, wanted an image, a folder of images or a pattern such as 'shots/*.jpg'; check the path"),
        ("{tmp}/no.txt", "{tmp}/no.txt: found no such file, wanted a list of images, one path or URL a line; check the path"),
        ("{tmp}/empty.txt", "{tmp}/empty.txt: found an empty list, wanted one path or URL a line; add the images"),
        ("foo://a/b.jpg", "foo://a/b.jpg: found the unknown scheme 'foo', wanted a local path, or a URL such as s3://bucket/prefix; check it"),
        ("{tmp}/foo.txt", "foo://x.jpg: found the unknown scheme 'foo', wanted a local path, or a URL such as s3://bucket/prefix; check it"),
        ("memory://b/a/q", "memory://b/a/q: found no image, wanted an image, or a prefix or pattern with images under it; check the URL"),
    ],
)  # fmt: skip
def test_bad_sources_are_named(tmp_path, memory, source, message):
    touch(tmp_path, "a.jpg")
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "foo.txt").write_text("foo://x.jpg")
    with pytest.raises(InputError) as caught:
        list_images([tmp_path / "a.jpg", source.format(tmp=tmp_path)])
    assert str(caught.value) == message.format(tmp=tmp_path)


def test_no_source():
    with pytest.raises(InputError, match=r"^images: found no source, wanted"):
        list_images([])


def test_a_scheme_without_its_package_names_it(monkeypatch):
    monkeypatch.setattr(fsspec.core, "url_to_fs", raise_import_error)
    with pytest.raises(InputError) as caught:
        list_images(["s3://bucket/a.jpg"])
    assert (
        str(caught.value)
        == "s3://bucket/a.jpg: found no package for this scheme, wanted masu[s3]; pip install 'masu[s3]'"
    )


def raise_import_error(url):
    raise ImportError("Install s3fs to access S3")
