"""The folder of a labelling belongs to one folder of photographs."""

import os

import pytest

from masu.errors import InputError
from masu.labelling.home import home_of


def test_the_token_and_the_key_stay(tmp_path):
    assert home_of(tmp_path, tmp_path / "photos") == home_of(tmp_path, tmp_path / "photos")


@pytest.mark.skipif(os.name == "nt", reason="rights are those of the folder there")
def test_only_the_owner_reads_the_token(tmp_path):
    home_of(tmp_path, tmp_path / "photos")
    assert (tmp_path / "home.json").stat().st_mode & 0o077 == 0


def test_a_folder_of_other_photographs_is_refused(tmp_path):
    home_of(tmp_path, tmp_path / "a" / "images")
    with pytest.raises(InputError, match="--out") as error:
        home_of(tmp_path, tmp_path / "b" / "images")
    assert str(tmp_path / "a" / "images") in error.value.found


def test_a_broken_file_is_made_anew(tmp_path):
    first = home_of(tmp_path, tmp_path)
    (tmp_path / "home.json").write_text("{")
    assert home_of(tmp_path, tmp_path).token != first.token
