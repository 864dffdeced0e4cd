import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import masu
from masu.bulk import table
from masu.bulk.job import BulkReport, detect_bulk
from masu.bulk.shards import run_shard
from masu.cli import cli
from masu.errors import InputError
from tests.bulk.conftest import manifest, photographs, rows


def test_a_job_in_parts(tmp_path, model_file):
    paths = photographs(tmp_path / "in", 7)
    paths[3].write_bytes(b"no image")
    steps = []
    report = detect_bulk(
        model_file,
        [tmp_path / "in"],
        tmp_path / "out",
        threshold=0.3,
        shard_images=3,
        progress=lambda *s: steps.append(s),
    )
    written = rows(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "_images-000000.json.gz", "_masu.json", "part-000000.parquet", "part-000001.parquet", "part-000002.parquet",
    ]  # fmt: skip
    assert [row["path"] for row in written] == [str(p) for p in paths]
    assert [row["error"] is None for row in written] == [i != 3 for i in range(7)]
    objects = sum(
        len(found) for found in masu.load(model_file).predict([*paths[:3], *paths[4:]], threshold=0.3)
    )
    assert report.as_dict() == {
        "images": 7, "done_before": 0, "detections": objects, "errors": 1, "parts": 3, "out": str(tmp_path / "out"), "killers": (),
    }  # fmt: skip
    assert steps == [(0, 7), (3, 7), (6, 7), (7, 7)]
    assert (manifest(tmp_path / "out")["images"], manifest(tmp_path / "out")["threshold"]) == (7, 0.3)


def command(model_file, folder):
    return ("detect", model_file, folder / "in", "--to", "parquet", "--out", folder / "out")


def test_every_image_is_looked_at_twice_from_beginning_to_end(tmp_path, model_file, run):
    paths = photographs(tmp_path / "in", 5)
    words = (*command(model_file, tmp_path), "--threshold", 0.3)
    assert run(*words, "--tta")[0] == 0
    wanted = masu.with_tta(masu.load(model_file)).predict(paths, threshold=0.3)
    assert [row["scores"] for row in rows(tmp_path / "out")] == [found.scores.tolist() for found in wanted]
    assert wanted[0].scores.tolist() != masu.load(model_file).predict(paths[0], threshold=0.3).scores.tolist()
    assert manifest(tmp_path / "out")["tta"] is True
    code, _, error = run(*words)
    assert code == 2
    assert "found another job (with --tta, now without it), wanted this one or an empty folder" in error
    assert run(*words, "--tta")[0] == 0


def test_every_image_is_seen_at_that_size_from_beginning_to_end(tmp_path, model_file, run):
    paths = photographs(tmp_path / "in", 5)
    words = (*command(model_file, tmp_path), "--threshold", 0.3)
    code, _, error = run(*words, "--image-size", 96)
    assert code == 0, error
    wanted = masu.with_image_size(masu.load(model_file), 96).predict(paths, threshold=0.3)
    assert [row["scores"] for row in rows(tmp_path / "out")] == [found.scores.tolist() for found in wanted]
    assert wanted[0].scores.tolist() != masu.load(model_file).predict(paths[0], threshold=0.3).scores.tolist()
    assert manifest(tmp_path / "out")["image_size"] == 96
    for more, now in (((), "the model's"), (("--image-size", 64), "64")):
        code, _, error = run(*words, *more)
        assert code == 2
        assert f"found another job (image size 96, now {now}), wanted this one or an empty folder" in error
    assert run(*words, "--image-size", 96)[0] == 0


def test_a_job_says_how_thresholds_were_measured(tmp_path, model_file, run):
    photographs(tmp_path / "in", 2)
    file = shutil.copy(model_file, tmp_path / "m.safetensors")
    words = command(file, tmp_path)
    code, _, error = run(*words)
    assert code == 0, error
    assert "the model's thresholds" not in error
    masu.store_thresholds(file, {"cat": 0.3})
    for number, (more, how) in enumerate(
        (
            ((), ""),
            (("--image-size", 64), ""),
            (("--image-size", 96), "; measured with --image-size 64"),
            (("--image-size", 96, "--tta"), "; measured with --image-size 64 and without --tta"),
        )
    ):
        out = ("--out", tmp_path / f"out-{number}")
        assert f"masu: the model's thresholds: cat 0.30{how}\n" in run(*words[:-2], *out, *more)[2]
        assert "the model's thresholds" not in run(*words[:-2], *out, *more)[2]  # nothing was left to do
    code, _, error = run(*words[:-2], "--out", tmp_path / "set", "--threshold", 0.3, "--tta")
    assert (code, "the model's thresholds" in error) == (0, False)


def test_another_size_of_an_exported_file_is_refused_before_anything_is_written(
    tmp_path, onnx_file, small, run
):
    photographs(tmp_path / "in", 2)
    words, own = command(onnx_file, tmp_path), small.input.min_size
    assert run(*words, "--image-size", own)[0] == 0
    code, out, error = run(*words[:-2], "--out", tmp_path / "other", "--image-size", 96)
    assert (code, out) == (2, "")
    assert f"--image-size: found 96 for an exported file, whose graph brings images to {own} pixels" in error
    assert not list((tmp_path / "other").glob("*"))


def test_a_second_run_does_only_what_is_left(tmp_path, model_file, monkeypatch):
    photographs(tmp_path / "in", 7)
    arguments = (model_file, [tmp_path / "in"], tmp_path / "out")
    detect_bulk(*arguments, shard_images=3)
    whole = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / "part-000001.parquet").unlink()
    (tmp_path / "out" / f".part-000001.parquet-{'0' * 32}.part").write_bytes(b"half")
    done = []

    def counted(predictor, plan, images, number, **how):
        done.append(number)
        return run_shard(predictor, plan, images, number, **how)

    monkeypatch.setattr("masu.bulk.local_engine.run_shard", counted)
    report = detect_bulk(*arguments, shard_images=3)
    assert done == [1]
    assert report.done_before == 4
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == whole
    detect_bulk(*arguments, shard_images=3)
    assert done == [1]


def test_a_job_killed_at_random_moments_loses_and_doubles_nothing(tmp_path):
    draw = random.Random(0)
    names = [f"/images/{i:03d}.jpg" for i in range(300)]
    (tmp_path / "all.txt").write_text("\n".join(names))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.bulk.killed_job", str(out), str(tmp_path / "all.txt")]
    killed = 0
    while True:
        before = len(list(out.glob("*.parquet"))) if out.exists() else 0
        job = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        try:
            # at least one part, then any moment: a job that never gets that far proves nothing
            while job.poll() is None and len(list(out.glob("*.parquet"))) <= before:
                time.sleep(0.001)
            job.wait(timeout=draw.uniform(0, 0.15))
        except subprocess.TimeoutExpired:
            job.kill()
        code = job.wait()
        if code == 0:
            break
        assert code == -9
        killed += 1
        assert len({row["path"] for row in rows(out)}) == len(rows(out))  # what is there is whole, each once
    assert killed >= 3
    assert [row["path"] for row in rows(out)] == names
    assert sorted(p.name for p in out.iterdir() if not p.name.startswith("part-")) == [
        "_images-000000.json.gz",
        "_masu.json",
    ]


def test_an_image_that_ends_the_job_twice_is_a_row_at_the_third_start(tmp_path):
    names = ["/in/a.jpg", "/in/b.jpg", "/in/c.jpg", "/in/d-crash.jpg", "/in/e.jpg", "/in/f.jpg", "/in/g.jpg"]
    (tmp_path / "all.txt").write_text("\n".join(names))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.bulk.killed_job", str(out), str(tmp_path / "all.txt")]
    ends = [subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode for _ in range(3)]
    assert ends == [-signal.SIGSEGV, -signal.SIGSEGV, 0]
    assert [row["path"] for row in rows(out)] == names
    assert [row["error"] for row in rows(out) if row["error"]] == [
        "reading it ended the process twice (SIGSEGV)"
    ]
    assert sorted(p.name for p in out.iterdir() if not p.name.startswith("part-")) == [
        "_images-000000.json.gz",
        "_masu.json",
    ]


def test_the_job_tells_which_images_ended_its_process(tmp_path, model_file, monkeypatch):
    photographs(tmp_path / "in", 3)
    plan_of = {"shard": 1, "begun": 2}

    def killing(predictor, images):
        return predictor({"path": images}), [images[0]]

    monkeypatch.setattr("masu.bulk.shards.predict_alone", killing)
    out = tmp_path / "out"
    detect_bulk(model_file, [tmp_path / "in"], out, shard_images=2)
    (out / "part-000001.parquet").unlink()
    (out / "_working.json").write_text(json.dumps(plan_of))
    report = detect_bulk(model_file, [tmp_path / "in"], out, shard_images=2)
    assert report.killers == (str(tmp_path / "in" / "002.jpg"),)
    assert not (out / "_working.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"shard": 1}', '{"shard": "x", "begun": 3}', "[" * 100_000])
def test_a_damaged_file_of_what_was_being_done_means_nothing(tmp_path, model_file, text):
    photographs(tmp_path / "in", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_working.json").write_text(text)
    assert detect_bulk(model_file, [tmp_path / "in"], tmp_path / "out").images == 1


def test_a_model_that_cannot_be_read_leaves_no_folder(tmp_path):
    photographs(tmp_path / "in", 1)
    (tmp_path / "m.safetensors").write_bytes(b"none")
    with pytest.raises(InputError, match=r"m\.safetensors"):
        detect_bulk(tmp_path / "m.safetensors", [tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "spark"}, "engine: found 'spark', wanted one of local, ray"),
        ({"threshold": 2}, "threshold: found 2, wanted a number from 0 to 1; choose one of these"),
        (
            {"batch_size": 0},
            "batch_size: found 0, wanted a whole number from 1 to 65536; choose one of these",
        ),
        (
            {"workers": (2, 65_537)},
            "workers: found 65537, wanted a whole number from 1 to 65536; choose one of these",
        ),
        ({"workers": (3, 2)}, "workers: found (3, 2), wanted the fewest, then the most"),
        (
            {"engine": "ray", "device": "cuda:1"},
            "device: found cuda:1 with engine ray, wanted cuda; every process has one of its own",
        ),
        ({"workers": 0}, "workers: found 0, wanted a whole number from 1 to 65536; choose one of these"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError) as caught:
        detect_bulk("m", ["x"], "out", **arguments)
    assert str(caught.value) == message


def test_without_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError) as caught:
        table.require_pyarrow()
    assert str(caught.value) == (
        "--to parquet: found no such package, wanted the package pyarrow; pip install 'masu[parquet]'"
    )


def test_without_ray(tmp_path, model_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    photographs(tmp_path / "in", 1)
    with pytest.raises(InputError) as caught:
        detect_bulk(model_file, [tmp_path / "in"], tmp_path / "out", engine="ray")
    assert str(caught.value) == (
        "--engine ray: found no such package, wanted the package ray; pip install 'masu[ray]'"
    )


def run(*arguments):
    return CliRunner().invoke(cli, ["detect", *map(str, arguments)], standalone_mode=False)


def test_the_command(tmp_path, model_file):
    photographs(tmp_path / "in", 2)
    command = (
        model_file,
        tmp_path / "in",
        "--to",
        "parquet",
        "--out",
        tmp_path / "out",
        "--threshold",
        1,
    )
    done = run(*command)
    assert done.exception is None
    assert done.return_value == 0
    assert done.stdout == ""
    assert done.stderr == (
        f"masu: 2 images in 1 part in {tmp_path / 'out'}; now 0 objects found, 0 images with an error in their row\n"
    )
    assert len(rows(tmp_path / "out")) == 2
    assert ", 2 of them before; now 0 objects" in run(*command).stderr


def test_the_command_names_images_that_ended_the_process(tmp_path, monkeypatch):
    def told(*given, **named):
        return BulkReport(3, 0, 0, 2, 1, "out", ("/in/a.jpg", "/in/b.jpg"))

    monkeypatch.setattr("masu.bulk.job.detect_bulk", told)
    said = run("m.safetensors", "x", "--to", "parquet", "--out", tmp_path).stderr
    assert (
        said.splitlines()[-1]
        == "masu: 2 images ended the process twice, as their rows say: /in/a.jpg, /in/b.jpg"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "parquet"], "--out: found none, wanted a folder for the Parquet files, or s3://bucket/folder"),
        (["--engine", "ray", "--to", "csv", "--out", "o"], "--to: found csv with --engine ray, wanted parquet; leave it out"),
        (["--engine", "spark", "--out", "o"], "--engine: found 'spark', wanted one of local, ray; see 'cli detect --help'"),
        (["--engine", "ray", "--workers", "8..2"], "--workers: found '8..2', wanted a whole number from 1 to 65536, or the fewest and the most, such as 2..8; see 'cli detect --help'"),
        (["--engine", "ray", "--workers", "0..2"], "--workers: found '0..2', wanted a whole number from 1 to 65536, or the fewest and the most, such as 2..8; see 'cli detect --help'"),
        (["--workers", "2..4"], "--workers: found with --engine local, wanted --engine ray; leave it out"),
        (["--workers", "2"], "--workers: found with --engine local, wanted --engine ray; leave it out"),
    ],
)  # fmt: skip
def test_bad_options(arguments, message):
    error = run("m.safetensors", "x.jpg", *arguments).exception
    assert isinstance(error, InputError)
    assert str(error) == message


def test_what_the_manifest_says(tmp_path, model_file):
    photographs(tmp_path / "in", 2)
    detect_bulk(model_file, [tmp_path / "in"], tmp_path / "out")
    assert sorted(json.loads((tmp_path / "out" / "_masu.json").read_text())) == [
        "format", "image_size", "images", "model", "part_shards", "shard_images", "shards", "threshold", "tta",
    ]  # fmt: skip
