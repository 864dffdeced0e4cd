import fsspec
import pytest

from masu.bulk.manifest import write_pages
from masu.bulk.plan import Plan
from masu.bulk.refusals import ASKED, bucket_of
from masu.bulk.remote import REFUSED, StoreError, is_readable, local_file
from masu.bulk.shards import run_shard
from masu.bulk.stores import LocalFolder
from masu.bulk.table import ImageRow, to_table
from masu.data.pixels.pictures import UnreadableImageError


@pytest.fixture
def asked(monkeypatch):
    """Objects whose names hold "private" are refused; which were asked for."""
    urls = []

    def give(self, path, start=None, end=None):
        urls.append(path)
        if "expired" in path:
            error = PermissionError("The provided token has expired.")
            error.__cause__ = SimpleBotoError("ExpiredToken")
            raise error
        if "private" in path:
            error = PermissionError("Access Denied")
            error.__cause__ = SimpleBotoError("AccessDenied")
            raise error
        if "gone" in path:
            raise FileNotFoundError(path)
        return b"pixels"[start:end]

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "cat_file", give)
    return urls


class SimpleBotoError(Exception):
    def __init__(self, code):
        self.response = {"Error": {"Code": code}}


def predict(batch):
    rows = []
    for path in batch["path"]:
        try:
            with local_file(path):
                rows.append(ImageRow(path, error="a file that is no image"))
        except UnreadableImageError as error:
            rows.append(ImageRow(path, error=error.found))
    return to_table(rows)


def run(folder, names, number=0, size=2):
    images = write_pages(LocalFolder(str(folder)), names)
    return run_shard(predict, Plan("", None, len(names), size), images, number)


def test_the_bucket_of_a_url():
    assert bucket_of("s3://shots/day 1/a.jpg") == "s3://shots"
    assert bucket_of("S3://shots/a.jpg") == "s3://shots"


def test_a_refused_object_is_a_row(tmp_path, asked):
    tally = run(tmp_path, ["memory://b/a.jpg", "memory://b/private.jpg"])
    assert tally.errors == 2
    assert len(asked) == 2
    with pytest.raises(UnreadableImageError) as caught, local_file("memory://b/private.jpg"):
        pass
    assert caught.value.found == f"{REFUSED} (Access Denied)"
    assert [is_readable(f"memory://b/{name}.jpg") for name in ("a", "private", "gone")] == [
        True,
        False,
        False,
    ]


def test_a_shard_of_refused_objects_is_written_where_others_are_given(tmp_path, asked):
    names = [
        "/local.jpg",
        *(f"memory://b/private-{i:03d}.jpg" for i in range(300)),
        "memory://b/z.jpg",
        "memory://c/a.jpg",
    ]
    tally = run(tmp_path, names, size=301)
    assert tally.errors == 301
    assert asked[-1] == "/b/z.jpg"


@pytest.mark.parametrize(
    "names",
    [
        ["memory://b/private-1.jpg"],
        ["/local.jpg", "memory://b/private-1.jpg", "memory://b/private-2.jpg", "memory://c/a.jpg"],
        ["memory://b/gone.jpg", "memory://b/private-1.jpg", "memory://bc/a.jpg"],
        [f"memory://b/private-{i:04d}.jpg" for i in range(2 * ASKED - 1)],
    ],
)
def test_a_store_that_refuses_everything_ends_the_job_and_nothing_is_written(tmp_path, asked, names):
    with pytest.raises(StoreError) as caught:
        run(tmp_path, names)
    assert str(caught.value) == (
        f"{next(name for name in names if 'private' in name)}: found a store that refuses this object and every other "
        "one that was asked for, wanted readable objects; check address and keys and start again"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["_images-000000.json.gz"]
    assert len(asked) <= 2 + ASKED


def test_a_caller_that_is_refused_ends_the_job_at_once(tmp_path, asked):
    with pytest.raises(StoreError, match=r"refuses or does not answer \(PermissionError: The provided token"):
        run(tmp_path, ["memory://b/a.jpg", "memory://b/expired.jpg"])
