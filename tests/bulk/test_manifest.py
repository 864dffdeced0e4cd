import gzip
import json
import pickle
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.bulk import manifest, sorting
from masu.bulk.manifest import Images, difference, page_name, write_pages
from masu.bulk.plan import begin
from masu.bulk.sorting import sorted_names
from masu.bulk.sources import list_images
from masu.bulk.stores import LocalFolder
from masu.errors import InputError


@pytest.fixture
def pages_of_three(monkeypatch):
    monkeypatch.setattr(manifest, "PAGE", 3)


def test_images_are_read_back_page_by_page_even_names_that_are_not_utf8(tmp_path, pages_of_three):
    names = ["/a.jpg", "/b\n.jpg", "/é.jpg", "/\udcff.jpg", "/z.jpg"]
    images = write_pages(LocalFolder(str(tmp_path)), iter(names))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["_images-000000.json.gz", "_images-000001.json.gz"]
    assert list(images) == names
    assert (len(images), images[4], images[1:4], images[5:]) == (5, "/z.jpg", names[1:4], [])
    copy = pickle.loads(pickle.dumps(images))  # noqa: S301 our own bytes
    assert copy[0] == "/a.jpg"
    assert len(pickle.dumps(images)) < 300
    with pytest.raises(IndexError):
        images[5]


def test_one_page_is_read_at_a_time(tmp_path, pages_of_three, monkeypatch):
    images = write_pages(LocalFolder(str(tmp_path)), "abcdefgh")
    read = []

    def counted(self, name):
        read.append(name)
        return (tmp_path / name).read_bytes()

    monkeypatch.setattr(LocalFolder, "read", counted)
    assert images[2:7] == list("cdefg")
    assert images[6] == "g"
    assert read == [page_name(n) for n in (0, 1, 2)]


DAMAGED_PAGES = {
    "missing": None,
    "empty": b"",
    "no gzip": b"no gzip",
    "half a list": gzip.compress(b"[1"),
    "too few names": gzip.compress(b'["a", "b"]'),
    "no list": gzip.compress(b"{}"),
    "cut off": gzip.compress(json.dumps(["a", "b", "c"]).encode())[:-9],
    "nested too deep": gzip.compress(b"[" * 100_000),
}


@pytest.mark.parametrize("content", DAMAGED_PAGES.values(), ids=DAMAGED_PAGES)
def test_a_page_that_is_missing_or_damaged_is_one_line(tmp_path, pages_of_three, content):
    write_pages(LocalFolder(str(tmp_path)), "abcdefgh")
    (tmp_path / page_name(1)).unlink()
    if content is not None:
        (tmp_path / page_name(1)).write_bytes(content)
    with pytest.raises(InputError) as caught:
        Images(LocalFolder(str(tmp_path)), 8)[4]
    assert str(caught.value) == (
        f"{tmp_path}/_images-000001.json.gz: found no readable page, wanted 3 names of images; choose another --out"
    )


def test_the_list_is_never_in_memory(tmp_path, monkeypatch):
    """From a list of paths to its pages, and on to a second start: what is held grows with a page and a run alone."""
    monkeypatch.setattr(manifest, "PAGE", 500)
    monkeypatch.setattr(sorting, "RUN", 1000)
    monkeypatch.setattr(sorting, "_LINE", 50)
    count = 16_000  # 2 MB as a list
    (tmp_path / "all.txt").write_text("\n".join(f"/season/camera-{i % 7}/{i:07d}.jpg" for i in range(count)))
    store = LocalFolder(str(tmp_path / "out"))
    monkeypatch.setattr("masu.atomic.os.fsync", lambda descriptor: None)
    tracemalloc.start()
    try:
        for _ in range(2):
            with sorted_names(list_images([tmp_path / "all.txt"])) as names:
                plan, images = begin(store, names, __file__, 0.5, 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(images) == count
    assert images[plan.shard(15)][-1] == "/season/camera-6/0015994.jpg"
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("abc", "abc", ""),
        ("abcde", "abcdef", "5 images, now 6: 0 gone, 1 new, such as f"),
        ("abcde", "Acde", "5 images, now 4: 2 gone, 1 new, such as a"),
        ("ab", "cd", "2 images, now 2: 2 gone, 2 new, such as a"),
    ],
)
def test_how_two_lists_differ(before, now, said):
    assert difference(before, now) == said


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_the_difference_is_that_of_the_sets(before, now):
    old, new = ([f"{n:02d}" for n in sorted(side)] for side in (before, now))
    said = difference(old, new)
    gone, added = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    counts = f"{len(old)} images, now {len(new)}: {len(gone)} gone, {len(added)} new"
    assert said == (f"{counts}, such as {(gone or added)[0]}" if gone or added else "")
