"""YOLO: names in ``data.yaml`` and in lists that no file can have."""

import pytest

from masu.data.formats import read_dataset
from masu.errors import InputError
from tests.data.formats.minimal import text, yolo

LONG = "x" * 300


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"path: {LONG}\ntrain: images/train\nnames: [cat]\n", ""),
        (f"train: {LONG}\nnames: [cat]\n", f"'{LONG}', which does not exist"),
        (f"train: images/train\n{LONG}: {LONG}.txt\nnames: [cat]\n", ""),
        ("train: list.txt\nnames: [cat]\n", ""),
    ],
)
def test_names_longer_than_any_file_may_have(tmp_path, content, found):
    yolo(tmp_path)
    text(tmp_path / "data.yaml", content)
    text(tmp_path / "list.txt", f"images/train/a.png\n{LONG}.png\n")
    if not found:
        assert len(read_dataset(tmp_path, "train")) == 1
        return
    with pytest.raises(InputError) as caught:
        read_dataset(tmp_path)
    assert f"found {found[:290]}" in str(caught.value)
