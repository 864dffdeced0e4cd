import os

import fsspec
import pytest

from masu.bulk.remote import StoreError, local_file, store_errors
from masu.bulk.stores import LocalFolder, ObjectFolder, open_store
from masu.data.pixels.pictures import UnreadableImageError
from masu.errors import InputError


@pytest.fixture
def stores(tmp_path):
    yield LocalFolder(str(tmp_path / "new" / "out")), ObjectFolder("memory://out/deep")
    fsspec.filesystem("memory").rm("/out", recursive=True)


def test_both_stores_hold_what_was_written(stores):
    for store in stores:
        assert store.names() == set()
        store.write("a", b"1")
        store.write("b", b"2")
        store.write("a", b"3")
        assert store.names() == {"a", "b"}
        assert store.read("a") == b"3"
        store.sweep()
        assert store.names() == {"a", "b"}
        store.remove("a")
        store.remove("a")
        assert store.names() == {"b"}


def test_a_file_replaced_is_never_half_written(tmp_path, monkeypatch):
    store = LocalFolder(str(tmp_path))
    store.write("a", b"whole")

    def cut(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(InputError, match=r"/a: found no space left on device after"):
        store.write("a", b"other")
    assert store.read("a") == b"whole"
    store.sweep()
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(
        InputError, match=r"out: cannot be written \(Not a directory\); choose another folder"
    ):
        LocalFolder(str(tmp_path / "out")).names()


def test_the_store_of_a_path_or_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_store("out") == LocalFolder(str(tmp_path / "out"))
    assert open_store("s3://bucket/out/") == ObjectFolder("s3://bucket/out")


def test_a_store_that_fails_is_one_line_but_a_missing_object_is_not():
    with pytest.raises(StoreError) as caught, store_errors("s3://b/x"):
        raise RuntimeError("Access\nDenied")
    assert str(caught.value) == (
        "s3://b/x: found a store that refuses or does not answer (RuntimeError: Access Denied), "
        "wanted readable objects or a writable folder; check address and keys and start again"
    )
    with pytest.raises(FileNotFoundError), store_errors("s3://b/x"):
        raise FileNotFoundError


def test_a_remote_object_is_a_local_file_for_a_while():
    fsspec.filesystem("memory").pipe_file("/in/a.tif", b"pixels")
    with local_file("memory://in/a.tif") as file:
        assert file.read_bytes() == b"pixels"
        assert file.suffix == ".tif"
    assert not file.exists()
    with pytest.raises(UnreadableImageError) as caught, local_file("memory://in/b.tif"):
        pass
    assert caught.value.found == "no such object"
