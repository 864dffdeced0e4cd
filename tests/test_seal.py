"""The checksum that a file carries of itself."""

import pytest

from masu.seal import BLANK, broken, seal


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "a.xml"
    made.write_bytes(b"<net>" + b"\0\xff" * 5000 + b'<checksum value="' + BLANK.encode() + b'"/></net>')
    (tmp_path / "a.bin").write_bytes(b"weights" * 1000)
    seal(made, [tmp_path / "a.bin"])
    return made


def test_it_is_of_the_bytes_with_its_own_place_blank(tmp_path):
    file = tmp_path / "b"
    file.write_text(f"x {BLANK} y")
    seal(file)
    # printf 'x masu-sha256:%064d y' 0 | sha256sum
    wanted = "77c542311d5e282d68b4f87053bf5bf6cff02e343ef210464dfa24bb62a4938d"
    assert file.read_text() == f"x masu-sha256:{wanted} y"


def test_whole_files_are_whole(file):
    assert broken(file, [file.with_suffix(".bin")]) is None
    assert BLANK not in file.read_bytes().decode("latin-1")


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_any_change_is_told(file, suffix):
    changed = file.with_suffix(suffix)
    whole = changed.read_bytes()
    for at in (0, len(whole) // 2, len(whole) - 1):
        changed.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert "a.xml and a.bin are damaged, or not of one export" in broken(file, [file.with_suffix(".bin")])
    changed.write_bytes(whole[:-1])
    assert broken(file, [file.with_suffix(".bin")])


def test_a_file_without_a_seal_is_not_judged(tmp_path):
    (tmp_path / "a").write_bytes(b"anything")
    (tmp_path / "b").write_bytes(b"")
    assert broken(tmp_path / "a") is None
    assert broken(tmp_path / "b") == "an empty file"
