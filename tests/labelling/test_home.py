"""The folder of a labelling belongs to one folder of photographs."""

import json
import os
from dataclasses import replace

import pytest

from masu.errors import InputError
from masu.labelling.home import Home, home_of
from masu.service.running import listen, listen_from


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


def test_what_was_begun_without_mirroring_stays_so(tmp_path):
    began = home_of(tmp_path, tmp_path)
    file = tmp_path / "home.json"
    values = json.loads(file.read_text())
    assert values.pop("flip") is True
    file.write_text(json.dumps(values))  # as it was before there was a choice
    assert home_of(tmp_path, tmp_path) == began
    upright = home_of(tmp_path, tmp_path, flip=False)
    assert upright == replace(began, flip=False)
    assert home_of(tmp_path, tmp_path) == home_of(tmp_path, tmp_path, flip=False) == upright


def test_a_labelling_is_served_on_the_same_port_each_time(tmp_path):
    """By address a browser finds again what it could not send."""
    one = home_of(tmp_path, tmp_path)
    assert home_of(tmp_path, tmp_path).port == one.port
    assert Home("photos", "00002711", "t").port == 20_001  # 0x2711 is 10,001
    assert 20_000 <= one.port < 30_000


def test_the_next_free_port_is_taken_where_somebody_has_it():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with listen_from("127.0.0.1", port) as opened:
            assert port < opened.getsockname()[1] < port + 20
        with pytest.raises(InputError):
            listen_from("127.0.0.1", port, tries=1)
