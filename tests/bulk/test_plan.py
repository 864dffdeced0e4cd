import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.bulk.parts import part_name
from masu.bulk.plan import MANIFEST, Plan, begin, checksum, plan_images, read_plan
from masu.bulk.stores import LocalFolder
from masu.errors import InputError

IMAGES = ["/a.jpg", "/b.jpg", "/c.jpg", "/d.jpg", "/e.jpg"]
PLAN = Plan("f" * 64, 0.5, 5, 2)


def test_shards_and_parts_by_hand():
    assert PLAN.shards == 3
    assert [IMAGES[PLAN.shard(i)] for i in range(3)] == [IMAGES[:2], IMAGES[2:4], IMAGES[4:]]
    joined = Plan("", 0.5, 11, 2, part_shards=4)
    assert (joined.shards, joined.parts) == (6, 2)
    assert [list(joined.part(i)) for i in range(2)] == [[0, 1, 2, 3], [4, 5]]
    assert [joined.rows(joined.part(i)) for i in range(2)] == [8, 3]


@given(st.integers(1, 400), st.integers(1, 50), st.integers(1, 9))
def test_every_image_is_in_one_shard_and_every_shard_in_one_part(count, size, part_shards):
    plan, images = Plan("", 0.5, count, size, part_shards), list(range(count))
    assert [image for i in range(plan.shards) for image in images[plan.shard(i)]] == images
    assert all(images[plan.shard(i)] for i in range(plan.shards))
    assert [shard for i in range(plan.parts) for shard in plan.part(i)] == list(range(plan.shards))
    assert sum(plan.rows(plan.part(i)) for i in range(plan.parts)) == count


@pytest.mark.parametrize(
    ("count", "size", "shards", "parts"),
    [
        (1, 16, 1, 1),
        (4096, 16, 256, 256),
        (25_600, 100, 256, 256),
        (2**18, 1024, 256, 256),
        (10**6, 1024, 977, 4),
        (10**8, 1024, 97_657, 382),
    ],
)
def test_shards_grow_with_the_job_and_become_parts_when_there_are_many(count, size, shards, parts):
    plan = plan_images("", 0.5, count)
    assert (plan.shard_images, plan.shards, plan.parts) == (size, shards, parts)


def test_the_manifest_gives_the_plan_back():
    for tta, image_size in ((False, None), (True, 672)):
        plan = Plan("ab", 0.25, 1000, 3, part_shards=7, tta=tta, image_size=image_size)
        assert read_plan(plan.as_json()) == (plan, None)
    before = json.loads(plan.as_json())
    del before["tta"], before["image_size"]
    assert read_plan(json.dumps(before))[0] == Plan("ab", 0.25, 1000, 3, part_shards=7)
    with pytest.raises(ValueError, match="tta is neither true nor false"):
        read_plan(json.dumps(before | {"tta": 1}))
    for size in (31, 96.0, True, "96"):
        with pytest.raises(ValueError, match="image_size is not a whole number from 32 to 16384"):
            read_plan(json.dumps(before | {"image_size": size}))


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


@pytest.fixture
def job(tmp_path):
    """A job that was begun: what begin is called with, and its folder."""
    (tmp_path / "m.onnx").write_bytes(b"graph")
    store = LocalFolder(str(tmp_path / "out"))
    given = {"store": store, "model": tmp_path / "m.onnx", "threshold": 0.5, "shard_images": 2}
    begin(names=iter(IMAGES), **given)
    return given


def test_a_job_that_was_begun_goes_on(job, tmp_path):
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert sorted(before) == ["_images-000000.json.gz", MANIFEST]
    for size in (2, None):
        plan, images = begin(names=iter(IMAGES), **{**job, "shard_images": size})
        assert plan == Plan(checksum(tmp_path / "m.onnx"), 0.5, 5, 2)
        assert list(images) == IMAGES
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_nothing_is_written_before_the_model_is_looked_at(tmp_path, job):
    def refuse():
        raise InputError("no model")

    store = LocalFolder(str(tmp_path / "new"))
    with pytest.raises(InputError, match="no model"):
        begin(names=iter(IMAGES), **{**job, "store": store}, check=refuse)
    assert store.names() == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threshold": 0.25}, "threshold 0.5, now 0.25"),
        ({"threshold": None}, "threshold 0.5, now the model's"),
        ({"names": [*IMAGES, "/f.jpg"]}, "5 images, now 6: 0 gone, 1 new, such as /f.jpg"),
        ({"names": ["/A.jpg", *IMAGES[2:]]}, "5 images, now 4: 2 gone, 1 new, such as /a.jpg"),
        ({"shard_images": 3}, "2 images a shard, now 3"),
        ({"tta": True}, "without --tta, now with it"),
        ({"image_size": 96}, "image size the model's, now 96"),
    ],
)
def test_a_folder_of_another_job_is_refused(job, tmp_path, change, said):
    with pytest.raises(InputError) as caught:
        begin(**{"names": IMAGES, **job, **change})
    assert str(caught.value) == (
        f"{tmp_path}/out: found another job ({said}), wanted this one or an empty folder; choose another --out"
    )


def test_a_job_of_another_image_size_is_refused(job, tmp_path):
    sized = {**job, "store": LocalFolder(str(tmp_path / "sized")), "image_size": 96}
    for _ in range(2):
        plan, _ = begin(names=IMAGES, **sized)
        assert plan.image_size == 96
    for size, now in ((None, "the model's"), (64, "64")):
        with pytest.raises(InputError) as caught:
            begin(names=IMAGES, **{**sized, "image_size": size})
        assert caught.value.found == f"another job (image size 96, now {now})"


def test_another_model_is_refused(job, tmp_path):
    before = checksum(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(b"Graph")
    now = checksum(tmp_path / "m.onnx")
    with pytest.raises(InputError, match=rf"another job \(model {before[:12]}, now {now[:12]}\)"):
        begin(names=IMAGES, **job)


def earlier(folder, images):
    """The manifest of an earlier version, which held the list itself."""
    values = json.loads((folder / MANIFEST).read_text())
    del values["part_shards"]
    (folder / MANIFEST).write_text(json.dumps({**values, "format": "masu-bulk-1", "images": images}))
    (folder / "_images-000000.json.gz").unlink()


def test_a_job_of_an_earlier_version_goes_on(job, tmp_path):
    out = tmp_path / "out"
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    earlier(out, IMAGES)
    with pytest.raises(InputError, match=r"5 images, now 4: 1 gone, 0 new, such as /e\.jpg"):
        begin(names=IMAGES[:4], **job)
    plan, images = begin(names=IMAGES, **job)
    assert list(images) == IMAGES
    assert plan == Plan(checksum(tmp_path / "m.onnx"), 0.5, 5, 2)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


@pytest.mark.parametrize("images", ["/a.jpg", [["/a.jpg"]], None])
def test_a_malformed_list_of_an_earlier_version_is_one_line(job, tmp_path, images):
    earlier(tmp_path / "out", images)
    with pytest.raises(InputError, match=r"found no readable manifest \(images is no list of texts\)"):
        begin(names=IMAGES, **job)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "masu-bulk-3", "shards": 1}'])
def test_an_unreadable_manifest_is_refused(job, tmp_path, text):
    (tmp_path / "out" / MANIFEST).write_text(text)
    with pytest.raises(InputError, match=r"_masu\.json: found no readable manifest"):
        begin(names=IMAGES, **job)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": 3}, "model is no text"),
        ({"threshold": "high"}, "threshold is no score from 0 to 1"),
        ({"threshold": True}, "threshold is no score from 0 to 1"),
        ({"threshold": 1e999}, "threshold is no score from 0 to 1"),
        ({"shard_images": 0}, "shard_images is no number from 1"),
        ({"shard_images": "16"}, "shard_images is no number from 1"),
        ({"part_shards": 0}, "part_shards is no number from 1"),
        ({"images": True}, "images is no number from 1"),
        ({"images": ["/a.jpg"]}, "images is no number from 1"),
        ({"images": None}, "images is no number from 1"),
    ],
)
def test_a_malformed_manifest_is_one_line(job, tmp_path, change, said):
    file = tmp_path / "out" / MANIFEST
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(InputError) as caught:
        begin(names=IMAGES, **job)
    assert str(caught.value) == (
        f"{tmp_path}/out/{MANIFEST}: found no readable manifest ({said}), wanted one of this version; "
        "choose another --out"
    )
    assert caught.value.code == "other-version"


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b'{"format": NaN}', b"\0"])
def test_a_manifest_that_is_no_json_is_one_line(job, tmp_path, content):
    (tmp_path / "out" / MANIFEST).write_bytes(content)
    with pytest.raises(InputError, match=r"_masu\.json: found no readable manifest"):
        begin(names=IMAGES, **job)


def test_parts_without_a_manifest_are_refused(job, tmp_path):
    (tmp_path / "out" / MANIFEST).unlink()
    (tmp_path / "out" / part_name(0)).write_bytes(b"")
    with pytest.raises(InputError, match=r"found parts without _masu\.json, wanted an empty folder"):
        begin(names=IMAGES, **job)


def test_pages_that_a_killed_process_left_are_written_anew(job, tmp_path):
    (tmp_path / "out" / MANIFEST).unlink()
    (tmp_path / "out" / "_images-000000.json.gz").write_bytes(b"other")
    _, images = begin(names=IMAGES, **job)
    assert list(images) == IMAGES
