import hashlib
import io
import json

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.bulk.plan import MANIFEST, Plan, checksum, left, make_plan, part_name
from masu.bulk.stores import LocalFolder
from masu.bulk.table import ImageRow, to_table
from masu.errors import InputError

IMAGES = ("/a.jpg", "/b.jpg", "/c.jpg", "/d.jpg", "/e.jpg")
PLAN = Plan(model="f" * 64, threshold=0.5, shard_images=2, images=IMAGES)


def part(rows):
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(to_table([ImageRow(f"{i}.jpg") for i in range(rows)]), buffer)
    return buffer.getvalue()


def test_shards_by_hand():
    assert PLAN.shards == 3
    assert [PLAN.shard(i) for i in range(3)] == [IMAGES[:2], IMAGES[2:4], IMAGES[4:]]


@given(st.integers(1, 400), st.integers(1, 50))
def test_shards_hold_every_image_once_in_order(count, size):
    plan = Plan("", 0.5, size, tuple(f"{i:04d}" for i in range(count)))
    assert sum((plan.shard(i) for i in range(plan.shards)), ()) == plan.images
    assert all(plan.shard(i) for i in range(plan.shards))


@pytest.mark.parametrize(("count", "size"), [(1, 16), (4096, 16), (25_600, 100), (10**6, 1024)])
def test_the_size_of_shards_grows_with_the_job(tmp_path, count, size):
    (tmp_path / "m").write_bytes(b"")
    assert make_plan(tmp_path / "m", range(count), 0.5).shard_images == size


def test_the_manifest_gives_the_plan_back_even_with_names_that_are_not_utf8():
    plan = Plan("ab", 0.25, 3, ("/é.jpg", "/\udcff.jpg"))
    assert plan.as_json().isascii()
    assert Plan.from_json(plan.as_json()) == plan


def test_the_checksum_of_openvino_covers_both_files(tmp_path):
    (tmp_path / "m.xml").write_bytes(b"graph")
    (tmp_path / "m.bin").write_bytes(b"weights")
    before = checksum(tmp_path / "m.xml")
    (tmp_path / "m.bin").write_bytes(b"Weights")
    assert checksum(tmp_path / "m.xml") != before
    inner = hashlib.sha256(b"graph").digest()
    (tmp_path / "m.onnx").write_bytes(b"graph")
    assert checksum(tmp_path / "m.onnx") == hashlib.sha256(inner).hexdigest()
    with pytest.raises(InputError, match=r"none\.onnx: found no such file, wanted a model; check the path"):
        checksum(tmp_path / "none.onnx")


def test_what_is_left_are_the_shards_without_a_file(tmp_path):
    store = LocalFolder(str(tmp_path / "out"))
    assert left(PLAN, store) == [0, 1, 2]
    store.write(MANIFEST, PLAN.as_json().encode())
    store.write(part_name(1), part(2))
    (tmp_path / "out" / ".part-000001.parquet-0.part").write_bytes(b"half")
    assert left(PLAN, store) == [0, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "e" * 64}, "model ffffffffffff, now eeeeeeeeeeee"),
        ({"threshold": 0.25}, "threshold 0.5, now 0.25"),
        ({"threshold": None}, "threshold 0.5, now the model's"),
        ({"images": (*IMAGES, "/f.jpg")}, "5 images, now 6: 0 gone, 1 new, such as /f.jpg"),
        ({"images": ("/A.jpg", *IMAGES[2:])}, "5 images, now 4: 2 gone, 1 new, such as /a.jpg"),
        ({"shard_images": 3}, "2 images a part, now 3"),
    ],
)
def test_a_folder_of_another_job_is_refused(tmp_path, change, said):
    store = LocalFolder(str(tmp_path))
    store.write(MANIFEST, PLAN.as_json().encode())
    with pytest.raises(InputError) as caught:
        left(Plan(**{**PLAN.__dict__, **change}), store)
    assert str(caught.value) == (
        f"{tmp_path}: found another job ({said}), wanted this one or an empty folder; choose another --out"
    )


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "masu-bulk-2", "shards": 1}'])
def test_an_unreadable_manifest_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match=r"_masu\.json: found no readable manifest"):
        left(PLAN, LocalFolder(str(tmp_path)))


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", part(2)[:-1], part(2)[: len(part(2)) // 2], part(1), part(3), b"x" * 1000],
    ids=["empty", "magic", "a byte less", "half", "a row less", "a row more", "other"],
)
def test_a_part_that_is_not_whole_is_to_do_again(tmp_path, content):
    store = LocalFolder(str(tmp_path))
    store.write(MANIFEST, PLAN.as_json().encode())
    for number in (0, 1):
        store.write(part_name(number), part(2))
    assert left(PLAN, store) == [2]
    store.write(part_name(1), content)
    assert left(PLAN, store) == [1, 2]


def test_a_part_of_other_columns_is_to_do_again(tmp_path):
    store = LocalFolder(str(tmp_path))
    store.write(MANIFEST, PLAN.as_json().encode())
    pyarrow.parquet.write_table(pyarrow.table({"path": ["a", "b"]}), tmp_path / part_name(0))
    assert left(PLAN, store) == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": 3}, "model is no text"),
        ({"threshold": "high"}, "threshold is no score from 0 to 1"),
        ({"threshold": True}, "threshold is no score from 0 to 1"),
        ({"threshold": 1e999}, "threshold is no score from 0 to 1"),
        ({"shard_images": 0}, "shard_images is no number from 1"),
        ({"shard_images": "16"}, "shard_images is no number from 1"),
        ({"images": "/a.jpg"}, "images is no list of texts"),
        ({"images": [["/a.jpg"]]}, "images is no list of texts"),
        ({"images": None}, "images is no list of texts"),
    ],
)
def test_a_malformed_manifest_is_one_line(tmp_path, change, said):
    (tmp_path / MANIFEST).write_text(json.dumps({**json.loads(PLAN.as_json()), **change}))
    with pytest.raises(InputError) as caught:
        left(PLAN, LocalFolder(str(tmp_path)))
    assert str(caught.value) == (
        f"{tmp_path}/{MANIFEST}: found no readable manifest ({said}), wanted one of this version; "
        "choose another --out"
    )
    assert caught.value.code == "other-version"


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b'{"format": NaN}', b"\0"])
def test_a_manifest_that_is_no_json_is_one_line(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(InputError, match=r"_masu\.json: found no readable manifest"):
        left(PLAN, LocalFolder(str(tmp_path)))


def test_a_manifest_with_other_fields_is_refused(tmp_path):
    values = json.loads(PLAN.as_json())
    del values["images"]
    (tmp_path / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"no readable manifest"):
        left(PLAN, LocalFolder(str(tmp_path)))


def test_parts_without_a_manifest_are_refused(tmp_path):
    (tmp_path / part_name(0)).write_bytes(b"")
    with pytest.raises(InputError, match=r"found parts without _masu\.json, wanted an empty folder"):
        left(PLAN, LocalFolder(str(tmp_path)))
