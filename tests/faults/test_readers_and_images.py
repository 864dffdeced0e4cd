"""Workers that are killed or stopped from outside, and images that are destroyed while training runs."""

import json
import os
import random
import signal
import subprocess
import time

from masu.training.recipe import TrainSettings
from tests.runs import Run, assert_alike, assert_consistent, rows_of, tensors_of

SETTINGS = TrainSettings(epochs=6, image_size=64, batch_size=1, learning_rate=1e-3)


def workers_of(run):
    """The processes that read images for a run."""
    done = subprocess.run(["pgrep", "-P", str(run.process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in done.stdout.split()]


def test_killed_workers_change_no_bit(coins, tmp_path, figures):
    whole, out = tmp_path / "whole", tmp_path / "run"
    assert Run(coins, whole, SETTINGS, checkpoint_seconds=1000).end()[0] == 0
    run = Run(coins, out, SETTINGS, workers=2)
    killed = []
    while len(killed) < 5 and run.process.poll() is None:
        run.until("step")
        alive = workers_of(run)
        if alive and random.random() < 0.5:
            os.kill(random.choice(alive), signal.SIGKILL)
            killed.append(len(run.events))
    assert run.end() == (0, "")
    assert_alike(whole, out)
    said = {event["fault"] for event in run.events if event["event"] == "fault"}
    assert all("found killed by SIGKILL, wanted the next images" in line for line in said)
    figures(workers_killed=len(killed), replacements_said=len(said), bits_that_differ=0)


def test_a_stopped_worker_changes_no_bit(coins, tmp_path, figures):
    whole, out = tmp_path / "whole", tmp_path / "run"
    assert Run(coins, whole, SETTINGS, checkpoint_seconds=1000).end()[0] == 0
    wait = "import masu.data.loading.workers as w; w.LONGEST_WAIT = 3.0"
    run = Run(coins, out, SETTINGS, workers=2, before=wait)
    stopped = 0
    while stopped < 2 and run.process.poll() is None:
        run.until("step", len(run.events))
        for worker in workers_of(run)[:1]:
            os.kill(worker, signal.SIGSTOP)
            stopped += 1
    assert run.end() == (0, "")
    assert_alike(whole, out)
    assert subprocess.run(["pgrep", "-P", str(run.process.pid)], capture_output=True).stdout == b""
    figures(workers_stopped=stopped, bits_that_differ=0)


def test_images_destroyed_while_training_runs(coins, tmp_path, figures):
    """Each is skipped, told once and named; what remains is learnt from, and the run ends."""
    out = tmp_path / "run"
    images = sorted((coins / "images" / "train").iterdir())
    run = Run(coins, out, SETTINGS, workers=1, max_bad=0.5)
    run.until("epoch")
    broken = [images[1], images[2]]
    broken[0].write_bytes(broken[0].read_bytes()[:500])
    data = bytearray(broken[1].read_bytes())
    data[300:340] = os.urandom(40)
    broken[1].write_bytes(data)
    assert run.end() == (0, "")
    told = [event["fault"] for event in run.events if event["event"] == "fault"]
    assert sorted(line.split(": ")[0] for line in told) == sorted(map(str, broken))
    assert all(line.endswith(", skipped") for line in told)
    assert len(rows_of(out)) == 6
    assert_consistent(out)
    assert all(bool(t.isfinite().all()) for t in tensors_of(out / "last.safetensors").values())
    figures(images_destroyed=2, images_skipped_and_named=len(told))


def test_too_many_destroyed_images_end_the_training_resumably(coins, tmp_path, figures):
    out = tmp_path / "run"
    images = sorted((coins / "images" / "train").iterdir())
    whole = {path: path.read_bytes() for path in images}
    run = Run(coins, out, SETTINGS, max_bad=0.5)
    run.until("epoch")
    for path in images[:3]:
        path.write_bytes(b"")
    code, said = run.end()
    assert code == 1
    assert "found 3 of 4 images unreadable, wanted at most 50% (--max-bad)" in said
    assert_consistent(out)
    for path, data in whole.items():
        path.write_bytes(data)
    assert Run(coins, out, SETTINGS, resume=True, max_bad=0.5).end() == (0, "")
    figures(runs_resumed_after_repair=1)


def test_a_slow_disk_changes_no_bit(coins, tmp_path, figures):
    whole, out = tmp_path / "whole", tmp_path / "run"
    assert Run(coins, whole, SETTINGS, checkpoint_seconds=1000).end()[0] == 0
    slow = """
import random, time
import masu.data.loading.loader as loader
honest = loader.read_pixels
loader.read_pixels = lambda *a: time.sleep(random.random() / 3) or honest(*a)
"""
    start = time.monotonic()
    assert Run(coins, out, SETTINGS, workers=2, before=slow, checkpoint_seconds=1000).end() == (0, "")
    assert time.monotonic() > start
    assert_alike(whole, out)
    json.dumps(rows_of(out))
    figures(slow_runs=1, bits_that_differ=0)
