"""``masu detect`` of films, cameras and image sequences."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import pytest
from PIL import Image

from tests.films.scenes import film, scene


@pytest.fixture
def path(tmp_path):
    return film(tmp_path / "walk.mkv", [scene(number) for number in range(4)])


def test_a_film_gives_rows_and_a_drawn_film(run, model, path, tmp_path):
    code, out, error = run("detect", model, path, "--out", tmp_path / "found", "--threshold", 0.1, "--track")
    assert (code, out) == (0, "")
    assert sorted(file.name for file in (tmp_path / "found").iterdir()) == ["walk.jsonl", "walk.mp4"]
    lines = [json.loads(line) for line in (tmp_path / "found" / "walk.jsonl").read_text().splitlines()]
    assert [line["seconds"] for line in lines] == [0, 0.1, 0.2, 0.3]
    schema = json.loads(run("schema", "detect-film")[1])
    for line in lines:
        jsonschema.validate(line, schema)
    boxes = sum(len(line["detections"]) for line in lines)
    assert boxes > 0
    assert f"masu: {path}: {boxes} box" in error
    assert " in 4 frames of 0.3 s; rows in " in error


def test_without_a_folder_the_rows_are_on_standard_output(run, model, path):
    code, out, _ = run("detect", model, path, path, "--to", "csv", "--threshold", 0, "--every", 3)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["film"] for row in rows] == [str(path)] * len(rows)
    frames = list(dict.fromkeys(row["frame"] for row in rows))
    assert frames == ["0", "3"]


def test_several_films_have_files_of_their_own_and_a_bad_one_is_told(run, model, path, tmp_path):
    other = tmp_path / "b" / "walk.avi"
    other.parent.mkdir()
    other.write_bytes(b"\0" * 2000)
    code, _, error = run("detect", model, path, path, other, "--out", tmp_path / "o", "--no-pictures")
    assert code == 3
    assert sorted(file.name for file in (tmp_path / "o").iterdir()) == ["walk-2.jsonl", "walk.jsonl"]
    assert f"masu: error: {other}: found " in error


def test_where_no_film_can_be_read_it_is_bad_input(run, model, tmp_path):
    bad = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in bad:
        path.write_bytes(b"\0" * 2000)
    assert run("detect", model, bad[0])[0] == 2
    code, _, error = run("detect", model, *bad)
    assert (code, error.count("masu: error: ")) == (2, 2)


def test_a_folder_of_images_is_a_film_where_objects_are_followed(run, model, tmp_path):
    (tmp_path / "shots").mkdir()
    for number in (1, 2, 10):
        Image.fromarray(scene(number % 8)).save(tmp_path / "shots" / f"{number}.png")
    code, out, _ = run("detect", model, tmp_path / "shots", "--track", "--threshold", 0.1)
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, [line["frame"] for line in lines]) == (0, [0, 1, 2])
    assert {line["seconds"] for line in lines} == {None}
    files = [tmp_path / "shots" / f"{number}.png" for number in (10, 1)]
    code, out, _ = run("detect", model, *files, "--to", "jsonl")
    assert (code, out.count("\n")) == (0, 2)


def test_films_in_a_folder_and_beside_photographs_are_told(run, model, path, tmp_path):
    Image.fromarray(scene(0)).save(tmp_path / "a.png")
    code, out, error = run("detect", model, tmp_path)
    assert (code, len(json.loads(out))) == (0, 1)
    assert f"masu: 1 film not read (walk.mkv): masu detect MODEL {path}\n" in error
    code, out, error = run("detect", model, tmp_path / "a.png", path)
    assert (code, len(json.loads(out))) == (3, 1)
    assert f"{path}: found a film, wanted an image Pillow can read; name films without photographs" in error


def test_a_folder_with_nothing_but_films_says_how_they_are_read(run, model, path):
    code, _, error = run("detect", model, path.parent)
    assert code == 2
    assert "found no image, only walk.mkv, wanted an image" in error
    assert error.endswith("; films are read by name: masu detect MODEL walk.mkv\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["a.mp4", "--to", "json"],
            "--to: found 'json', wanted one of jsonl, csv, parquet, mot for a film; jsonl",
        ),
        (["a.mp4", "--to", "coco"], "--to: found 'coco', wanted one of jsonl, csv, parquet, mot for a film"),
        (["a.mp4", "--to", "parquet"], "--to: found parquet without a folder, wanted --out"),
        (["a.mp4", "--no-pictures"], "--no-pictures: found without --out"),
        (["a.mp4", "--engine", "local"], "--engine: found with a film"),
        (["photos", "--track", "--workers", 2], "--workers: found with --engine local"),
        (["a.mp4", "--margins", "--threshold", 0.3], "--threshold: found with --margins"),
        (["a.mp4", "--out", "s3://b/f"], "--out: found s3://b/f, wanted a folder on this computer"),
        (["a.mp4", "--every", 0], "--every: found '0', wanted a whole number from 1 to 1000000"),
    ],
)
def test_options_are_looked_at_before_the_model(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, out, error = run("detect", "m", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith(f"masu: error: {said}")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["camera:77", "rtsp://127.0.0.1:9/x", "http://127.0.0.1:9/a.mp4"])
def test_what_cannot_be_opened_is_one_line(run, model, word):
    code, out, error = run("detect", model, word)
    assert (code, out) == (2, "")
    assert error.count("\n") == 1
    assert error.startswith(f"masu: error: {word}: found ")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_keeps_what_is_there(model, tmp_path):
    path = film(tmp_path / "long.mkv", [scene(n % 8) for n in range(3000)], codec="mpeg4", pixels="yuv420p")
    command = [sys.executable, "-m", "masu", "detect", model, path, "--out", tmp_path / "o"]
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until:  # the first frames are on the disk, beside their place
        parts = list((tmp_path / "o").glob(".long.mp4-*.part")) if (tmp_path / "o").exists() else []
        if any(part.stat().st_size for part in parts):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert (process.returncode, error.strip()) == (130, "masu: stopped")
    lines = (tmp_path / "o" / "long.jsonl").read_text().splitlines()
    assert 0 < len(lines) < 3000
    assert [json.loads(line)["frame"] for line in lines] == list(range(len(lines)))
    assert sorted(file.name for file in (tmp_path / "o").iterdir()) == ["long.jsonl", "long.mp4"]
