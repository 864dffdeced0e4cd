"""What readers share: sizes and flags as files write them, texts, and numbers for places."""

from __future__ import annotations

from pathlib import Path

import pytest

from masu.data.formats.form import as_flag, as_size, load_text
from masu.data.formats.rows import BadEntryError, entry_of, place_of


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (480, 640, (480, 640)),
        ("480", " 640.0 ", (480, 640)),
        (480.9, 640, (480, 640)),
        (0, 640, None),
        (0.5, 640, None),
        (-480, 640, None),
        (None, 640, None),
        ("", "640", None),
        ("tall", "640", None),
        ([480], 640, None),
        (float("nan"), 640, None),
        (float("inf"), 640, None),
        (10**400, 640, None),
        (10_000_000, 1, (10_000_000, 1)),
        (10_000_001, 1, None),
    ],
)
def test_sizes_are_whole_pixels_that_a_picture_can_have(
    height: object, width: object, size: tuple[int, int] | None
) -> None:
    assert as_size(height, width) == size


def test_flags_name_themselves() -> None:
    assert as_flag(" Yes", "crowd")
    assert not as_flag(None, "crowd")
    with pytest.raises(BadEntryError, match=r"^crowd 'maybe', wanted 0 or 1$") as caught:
        as_flag("Maybe", "crowd")
    assert (caught.value.found, caught.value.wanted) == ("crowd 'maybe'", "0 or 1")


def test_texts_are_of_a_size_and_of_unicode(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9")
    assert load_text(file, 8) == "café"
    with pytest.raises(BadEntryError, match=r"^a file of 0 MB, wanted at most 0 MB$"):
        load_text(file, 7)
    file.write_bytes(b"caf\xe9")
    with pytest.raises(BadEntryError, match=r"wanted UTF-8 text$"):
        load_text(file, 8)


def test_a_place_is_its_entry_and_position() -> None:
    assert [entry_of(place_of(entry, at)) for entry in (1, 7) for at in (1, 999_999)] == [
        (1, 1),
        (1, 999_999),
        (7, 1),
        (7, 999_999),
    ]
    assert entry_of(place_of(3, 5_000_000)) == (3, 999_999)
