"""Bulk detection as users run it: the command over Ray, an S3 server over HTTP, processes killed at random moments.

`make test-bulk` runs these.
"""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest

from masu.bulk.predictor import Predictor
from masu.bulk.sources import list_images
from masu.errors import InputError
from tests.bulk.conftest import photographs, rows
from tests.cluster.object_store import s3_server

ROOT = Path(__file__).parents[2]
IMAGES = 80  # five parts


@pytest.fixture(scope="module")
def s3():
    import fsspec

    with s3_server():
        store = fsspec.filesystem("s3", skip_instance_cache=True)
        store.mkdir("shots")
        store.mkdir("results")
        yield store


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """80 files, of which one is damaged and one more is only in the list."""
    folder = tmp_path_factory.mktemp("shots")
    paths = photographs(folder, IMAGES - 1)
    paths[20].write_bytes(b"no image")
    (folder / "all.txt").write_text("\n".join([*map(str, paths), str(folder / "gone.jpg")]))
    return folder


@pytest.fixture(scope="module")
def expected(shots, model_file):
    """The rows of one plain call, by file name."""
    paths = sorted((shots / "all.txt").read_text().split())
    return {Path(row["path"]).name: row for row in Predictor(model_file, 0.3)({"path": paths}).to_pylist()}


def command(model, source, out, *more):
    return [
        sys.executable, "-m", "masu", "detect", *map(str, (model, source, "--threshold", 0.3, "--out", out, *more)),
    ]  # fmt: skip


def run(*arguments):
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def remote_rows(s3, folder):
    parts = sorted(name for name in s3.ls(folder, detail=False, refresh=True) if name.endswith(".parquet"))
    return [
        row for part in parts for row in pyarrow.parquet.read_table(io.BytesIO(s3.cat_file(part))).to_pylist()
    ]


def agree(written, expected):
    """Every expected image exactly once, with the same row but for the folder.

    Scores that are equal but for rounding may change places, since a worker computes with other threads.
    """
    names = [Path(row["path"]).name for row in written]
    assert sorted(names) == sorted(expected)
    for row, name in zip(written, names, strict=True):
        wanted = expected[name]
        for column in ("height", "width"):
            assert row[column] == wanted[column], (name, column)
        assert bool(row["error"]) == bool(wanted["error"])
        assert (row["boxes"] is None) == (wanted["boxes"] is None)
        assert row["scores"] == pytest.approx(wanted["scores"], abs=1e-4)
        left = found(wanted)
        for one in found(row):
            left.remove(next((other for other in left if alike(one, other)), (name, one, left)))
        assert left == []


def found(row):
    columns = [row[column] or () for column in ("labels", "names", "scores", "boxes")]
    return list(zip(*columns, strict=True))


def alike(one, other):
    return one[:2] == other[:2] and [one[2], *one[3]] == pytest.approx([other[2], *other[3]], abs=1e-2)


def test_ray_over_a_list_writes_what_one_process_finds(tmp_path, shots, model_file, expected):
    done = run(model_file, shots / "all.txt", tmp_path / "out", "--engine", "ray", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("masu: 80 images in 5 parts")
    assert done.stderr.endswith(", 2 images with an error in their row\n")
    agree(rows(tmp_path / "out"), expected)
    assert [row["error"] for row in rows(tmp_path / "out") if row["error"]] == [
        "a file that is no image or of an unknown kind",
        "no such file",
    ]


def test_ray_with_an_exported_file(tmp_path, shots, onnx_file):
    out = tmp_path / "out"
    done = run(onnx_file, f"{shots}/00*.jpg", out, "--engine", "ray", "--workers", 1)
    assert done.returncode == 0, done.stderr
    wanted = Predictor(onnx_file, 0.3)({"path": [str(shots / f"{i:03d}.jpg") for i in range(10)]}).to_pylist()
    agree(rows(out), {Path(row["path"]).name: row for row in wanted})


def test_ray_from_a_bucket_to_a_bucket(s3, shots, model_file, expected):
    s3.put([str(p) for p in shots.glob("*.jpg")], "shots/day 1/", recursive=False)
    done = run(model_file, "s3://shots/day 1", "s3://results/ray", "--engine", "ray", "--workers", 2)
    assert done.returncode == 0, done.stderr
    written = remote_rows(s3, "results/ray")
    assert written[0]["path"] == "s3://shots/day 1/000.jpg"
    agree(written, {name: row for name, row in expected.items() if name != "gone.jpg"})
    again = run(model_file, "s3://shots/day 1", "s3://results/ray", "--engine", "ray")
    assert "79 of them before; now 0 objects" in again.stderr
    other = run(model_file, "s3://shots/day 1/*0.jpg", "s3://results/ray", "--engine", "ray")
    assert other.returncode == 2
    assert (
        "masu: error: s3://results/ray: found another job (79 images, now 8: 71 gone, 0 new" in other.stderr
    )


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_job_killed_at_random_moments(tmp_path, shots, model_file, expected, engine):
    draw = random.Random(1)
    out = tmp_path / "out"
    arguments = ["--to", "parquet", "--engine", engine]
    killed = 0
    for attempt in range(12):
        job = subprocess.Popen(command(model_file, shots / "all.txt", out, *arguments), cwd=ROOT)
        if attempt < 4:  # from any moment of starting to any moment after the next part
            have = len(rows(out))
            until = time.monotonic() + (draw.uniform(0, 6) if attempt == 0 else 60)
            while job.poll() is None and time.monotonic() < until and len(rows(out)) == have:
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.3))
            job.send_signal(signal.SIGKILL)
        code = job.wait(timeout=300)
        if code == 0:
            break
        assert code == -9
        killed += 1
        written = [row["path"] for row in rows(out)]
        assert len(set(written)) == len(written)
    assert killed >= 2
    agree(rows(out), expected)
    assert sorted(p.name for p in out.iterdir() if p.suffix != ".parquet") == [
        "_images-000000.json.gz", "_masu.json",
    ]  # fmt: skip


def test_a_killed_worker_is_replaced(tmp_path, shots, model_file, expected):
    out = tmp_path / "out"
    arguments = command(model_file, shots / "all.txt", out, "--engine", "ray", "--workers", 2)
    job = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not rows(out) and time.monotonic() < until:
        time.sleep(0.002)
    workers = _workers(job.pid)
    assert workers
    os.kill(workers[0], signal.SIGKILL)
    _, said = job.communicate(timeout=300)
    assert job.returncode == 0, said
    agree(rows(out), expected)


def test_an_image_that_kills_its_worker_twice_is_a_row_and_is_told(tmp_path):
    names = [f"/in/{i:03d}.jpg" for i in range(20)]
    names[7], names[8], names[15] = "/in/007-crash.jpg", "/in/008-exit.jpg", "/in/015-crash.jpg"
    (tmp_path / "all.txt").write_text("\n".join(names))
    job = [sys.executable, "-m", "tests.cluster.injected_job", tmp_path / "out", tmp_path / "all.txt", "2"]
    done = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines(), key=lambda line: int(line.split()[0])) == [
        "0", "1", "2 /in/007-crash.jpg /in/008-exit.jpg", "3", "4", "5 /in/015-crash.jpg", "6",
    ]  # fmt: skip
    written = rows(tmp_path / "out")
    assert [row["path"] for row in written] == names
    assert {row["path"]: row["error"] for row in written if row["error"]} == {
        "/in/007-crash.jpg": "reading it ended the process twice (SIGSEGV)",
        "/in/008-exit.jpg": "reading it ended the process twice (exit code 3)",
        "/in/015-crash.jpg": "reading it ended the process twice (SIGSEGV)",
    }


def test_every_worker_has_a_gpu_of_its_own(tmp_path):
    script = f"""
import os, time
from masu.bulk.plan import begin
from masu.bulk.ray_engine import run_ray
from masu.bulk.stores import open_store
from masu.bulk.table import ImageRow, to_table
def visible(batch):
    time.sleep(1)
    return to_table([ImageRow(path, error=os.environ["CUDA_VISIBLE_DEVICES"]) for path in batch["path"]])
names = [f"/in/{{i}}.jpg" for i in range(8)]
plan, images = begin(open_store({str(tmp_path / "out")!r}), names, "pyproject.toml", 0.5, 1)
assert len(list(run_ray(plan, images, range(8), lambda threads: visible, (2, 4), gpus=True))) == 8
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "RAY_OVERRIDE_RESOURCES": '{"GPU": 2}'},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {row["error"] for row in rows(tmp_path / "out")} == {"0", "1"}


def _workers(root):
    """Those of Ray's processes that run shards."""
    return [p for p in _descendants(root) if b"ShardWorker" in Path(f"/proc/{p}/cmdline").read_bytes()]


def _descendants(root):
    """Process ids of a process and all below it."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def _listening(processes):
    """Addresses, as the kernel writes them, on which any of the processes listens."""
    own = set()
    for process in processes:
        for link in Path(f"/proc/{process}/fd").glob("*"):
            try:
                own.add(os.readlink(link))
            except OSError:
                continue
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                found.add(fields[1].split(":")[0])
    return found


def test_ray_listens_on_loopback_only_and_reports_nothing(tmp_path, shots, model_file):
    out = tmp_path / "out"
    job = subprocess.Popen(command(model_file, shots / "all.txt", out, "--engine", "ray"), cwd=ROOT)
    try:
        until = time.monotonic() + 120
        while not rows(out) and time.monotonic() < until:
            time.sleep(0.01)
        below = _descendants(job.pid)
        addresses = _listening(below)
        own = [
            p for p in below if b"/raylet" in Path(f"/proc/{p}/cmdline").read_bytes()[:300]
        ]  # others rename themselves
        told = [Path(f"/proc/{process}/environ").read_bytes() for process in own]
    finally:
        job.kill()
        job.wait()
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert addresses
    assert addresses <= loopback
    assert told
    assert all(b"RAY_USAGE_STATS_ENABLED=0" in environment for environment in told)


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("s3://nowhere/x", "out", "s3://nowhere/x: found nothing there (The specified bucket does not exist), wanted a bucket or folder that exists; check the URL"),
        ("s3://shots/none", "out", "s3://shots/none: found no image, wanted an image, or a prefix or pattern with images under it; check the URL"),
        ("s3://shots/one.jpg", "s3://nowhere/out", "s3://nowhere/out: cannot be written (The specified bucket does not exist); make the bucket first"),
    ],
)  # fmt: skip
def test_buckets_that_are_not_there(tmp_path, s3, shots, model_file, source, out, message):
    s3.put_file(str(shots / "000.jpg"), "shots/one.jpg")
    out = out if out.startswith("s3") else tmp_path / out
    done = run(model_file, source, out, "--to", "parquet")
    assert (done.returncode, done.stderr) == (2, f"masu: error: {message}\n")
    assert not (tmp_path / "out").exists()


def refuse(s3, bucket, keys):
    """From now on the store gives no object of a bucket whose key matches."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/{keys}",
    }
    s3.call_s3(
        "put_bucket_policy",
        Bucket=bucket,
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def test_an_object_that_the_store_refuses_is_a_row_and_a_store_that_refuses_all_ends_the_job(
    tmp_path, s3, shots, model_file, expected
):
    s3.mkdir("guarded")
    s3.put([str(shots / f"{i:03d}.jpg") for i in range(20)], "guarded/day/", recursive=False)
    refuse(s3, "guarded", "day/017.jpg")  # in a shard of four
    arguments = (model_file, "s3://guarded/day", tmp_path / "out", "--engine", "ray", "--workers", 1)
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(", 1 image with an error in their row\n")
    written = {Path(row["path"]).name: row for row in rows(tmp_path / "out")}
    assert written["017.jpg"]["error"].startswith("an object that the store refuses (")
    agree([row for name, row in written.items() if name != "017.jpg"],
          {f"{i:03d}.jpg": expected[f"{i:03d}.jpg"] for i in range(20) if i != 17})  # fmt: skip
    refuse(s3, "guarded", "*")
    done = run(model_file, "s3://guarded/day", tmp_path / "again", "--to", "parquet")
    assert done.returncode == 2
    assert done.stderr == (
        "masu: error: s3://guarded/day/000.jpg: found a store that refuses this object and every other one that was "
        "asked for, wanted readable objects; check address and keys and start again\n"
    )
    assert not list((tmp_path / "again").glob("part-*"))


def test_a_bucket_is_listed_page_by_page(s3):
    s3.mkdir("many")
    names = [f"many/a/{i:04d}.jpg" for i in range(1200)] + ["many/a/b/c.png", "many/a/no.txt"]
    s3.pipe(dict.fromkeys(names, b"x"))
    found = list(list_images(["s3://many/a"]))
    assert sorted(found) == [f"s3://{name}" for name in sorted(names) if not name.endswith(".txt")]
    assert set(list_images(["s3://many"])) == set(found)
    assert list(list_images(["s3://many/a/00?0.jpg"])) == [f"s3://many/a/00{i}0.jpg" for i in range(10)]
    assert list(list_images(["s3://many/**/*.png"])) == ["s3://many/a/b/c.png"]
    with pytest.raises(InputError, match=r"s3://many/a/\*\.png: found no image"):  # it lies deeper
        list(list_images(["s3://many/a/*.png"]))


def test_a_store_that_goes_away_stops_the_job_and_it_goes_on_later(
    tmp_path, s3, shots, model_file, expected, monkeypatch
):
    s3.put_file(str(shots / "001.jpg"), "shots/late/001.jpg")
    (tmp_path / "mixed.txt").write_text(f"{shots / '000.jpg'}\ns3://shots/late/001.jpg\n")
    arguments = (model_file, tmp_path / "mixed.txt", tmp_path / "out", "--engine", "ray", "--workers", 1)
    with monkeypatch.context() as broken:
        broken.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        done = run(*arguments)
    assert done.returncode == 2
    assert (
        "masu: error: s3://shots/late/001.jpg: found a store that refuses or does not answer" in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert run(*arguments).returncode == 0
    agree(rows(tmp_path / "out"), {name: expected[name] for name in ("000.jpg", "001.jpg")})


def test_ray_data_takes_the_predictor_as_it_is(shots, model_file, expected):
    script = f"""
import os
os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")
import ray
from masu.bulk.predictor import Predictor
ray.init(address="local", include_dashboard=False, log_to_driver=False)
paths = ray.data.from_items([{{"path": {str(shots)!r} + f"/00{{i}}.jpg"}} for i in range(4)])
rows = paths.map_batches(Predictor({str(model_file)!r}, 0.3, threads=1), batch_size=2).take_all()
print([(row["path"][-7:], len(row["scores"])) for row in sorted(rows, key=lambda row: row["path"])])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    names = [f"00{i}.jpg" for i in range(4)]
    assert done.stdout.strip() == str([(name, len(expected[name]["scores"])) for name in names]), done.stderr
