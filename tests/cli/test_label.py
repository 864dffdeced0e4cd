"""The end of ``masu label``: what to do next, where there is something to do it with."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from masu.cli import cli


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "photos" / "a.jpg")
    return tmp_path / "photos"


def said(photos, monkeypatch, *options):
    monkeypatch.setattr("masu.service.running.serve", lambda app, socket: socket.close())
    out = photos.with_name("out")
    words = ["label", str(photos), "--out", str(out), "--port", "0", "--no-training", *options]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return done.stderr.splitlines()[1:]


def test_without_labels_nothing_can_be_trained(photos, monkeypatch):
    assert said(photos, monkeypatch) == [
        "masu: no photograph has labels yet; the same command goes on where you were"
    ]


def test_with_labels_the_commands_that_follow(photos, monkeypatch):
    shape = {"label": "cat", "points": [[1, 2], [30, 20]], "shape_type": "rectangle"}
    page = {"shapes": [shape], "imagePath": "a.jpg", "imageHeight": 40, "imageWidth": 60}
    photos.joinpath("a.json").write_text(json.dumps(page))
    lines = said(photos, monkeypatch)
    assert [line.split(": ")[2].split()[1] for line in lines] == [
        "train",
        "check",
        "evaluate",
        "detect",
        "export",
    ]
    assert "--no-flip" not in lines[0]
    upright = said(photos, monkeypatch, "--no-flip")
    assert upright == [lines[0].replace("5m", "5m --no-flip"), *lines[1:]]
    assert said(photos, monkeypatch)[1:] == upright  # after a line that says so
