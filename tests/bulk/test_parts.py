import io

import pyarrow.parquet
import pytest

from masu.bulk import parts
from masu.bulk.manifest import write_pages
from masu.bulk.parts import join_if_done, left, part_name, shard_name
from masu.bulk.plan import Plan
from masu.bulk.shards import run_shard
from masu.bulk.stores import LocalFolder
from masu.bulk.table import ImageRow, to_table
from tests.bulk.conftest import rows

EACH = Plan("f" * 64, 0.5, 5, 2)  # three shards, each a part
JOINED = Plan("f" * 64, 0.5, 11, 2, part_shards=2)  # six shards, two and two a part; the last has one image
NAMES = [f"/{letter}.jpg" for letter in "abcdefghijk"]


def part(count):
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(to_table([ImageRow(f"{i}.jpg") for i in range(count)]), buffer)
    return buffer.getvalue()


def predict(batch):
    return to_table([ImageRow(path, error="none") for path in batch["path"]])


@pytest.fixture
def images(tmp_path):
    return write_pages(LocalFolder(str(tmp_path / "out")), NAMES)


def files(images):
    return sorted(name for name in images.store.names() if not name.startswith("_images"))


def test_what_is_left_are_the_shards_without_a_file(tmp_path):
    store = LocalFolder(str(tmp_path / "out"))
    assert left(EACH, store) == [0, 1, 2]
    store.write(part_name(1), part(2))
    (tmp_path / "out" / ".part-000001.parquet-0.part").write_bytes(b"half")
    assert left(EACH, store) == [0, 2]


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", part(2)[:-1], part(2)[: len(part(2)) // 2], part(1), part(3), b"x" * 1000],
    ids=["empty", "magic", "a byte less", "half", "a row less", "a row more", "other"],
)
def test_a_part_that_is_not_whole_is_to_do_again(tmp_path, content):
    store = LocalFolder(str(tmp_path))
    for number in (0, 1):
        store.write(part_name(number), part(2))
    assert left(EACH, store) == [2]
    store.write(part_name(1), content)
    assert left(EACH, store) == [1, 2]


def test_a_part_of_other_columns_is_to_do_again(tmp_path):
    store = LocalFolder(str(tmp_path))
    pyarrow.parquet.write_table(pyarrow.table({"path": ["a", "b"]}), tmp_path / part_name(0))
    assert left(EACH, store) == [0, 1, 2]


def test_shards_become_a_part_when_the_last_one_is_done(images):
    for number in (3, 0, 5):
        run_shard(predict, JOINED, images, number)
    assert files(images) == ["_shard-00000000", "_shard-00000003", "_shard-00000005"]
    assert rows(images.store.path) == []
    run_shard(predict, JOINED, images, 2)
    assert files(images) == ["_shard-00000000", "_shard-00000005", "part-000001.parquet"]
    assert left(JOINED, images.store) == [1, 4]
    for number in (1, 4):
        run_shard(predict, JOINED, images, number)
    assert files(images) == ["part-000000.parquet", "part-000001.parquet", "part-000002.parquet"]
    assert [row["path"] for row in rows(images.store.path)] == NAMES
    assert left(JOINED, images.store) == []


def test_a_job_killed_between_joining_and_removing_has_every_row_once(images, monkeypatch):
    run_shard(predict, JOINED, images, 0)
    kept = {"_shard-00000000": images.store.read("_shard-00000000")}
    run_shard(predict, JOINED, images, 1)
    images.store.write("_shard-00000000", kept["_shard-00000000"])
    assert left(JOINED, images.store) == [2, 3, 4, 5]
    assert files(images) == ["part-000000.parquet"]


def test_a_job_killed_before_joining_joins_at_its_next_start(images, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr("masu.bulk.shards.join_if_done", lambda *given: None)
        for number in (0, 1, 2, 5):
            run_shard(predict, JOINED, images, number)
    assert left(JOINED, images.store) == [3, 4]
    assert files(images) == ["_shard-00000002", "_shard-00000005", "part-000000.parquet"]
    assert [
        row["path"]
        for row in pyarrow.parquet.read_table(images.store.path + "/part-000000.parquet").to_pylist()
    ] == NAMES[:4]


def test_a_shard_that_is_not_whole_is_done_again_and_a_damaged_part_from_its_shards(images):
    run_shard(predict, JOINED, images, 0)
    images.store.write("_shard-00000001", part(1))
    images.store.write("part-000001.parquet", part(3))
    assert left(JOINED, images.store) == [1, 2, 3, 4, 5]


def test_two_workers_that_join_the_same_part(images, monkeypatch):
    own = parts._join

    def after_another(plan, store, number):
        own(plan, store, number)
        for shard in plan.part(number):
            store.remove(shard_name(plan, shard))
        own(plan, store, number)  # finds no shards any more

    monkeypatch.setattr(parts, "_join", after_another)
    run_shard(predict, JOINED, images, 0)
    run_shard(predict, JOINED, images, 1)
    join_if_done(JOINED, images.store, 1)
    assert files(images) == ["part-000000.parquet"]
    assert [row["path"] for row in rows(images.store.path)] == NAMES[:4]
