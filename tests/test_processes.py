"""Two real processes that torchrun starts over gloo: the same as one, also when stopped or killed."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import masu
from masu.data.loading.loader import micro_batches
from masu.errors import InputError
from masu.processes import ALONE, LONGEST_WAIT, Processes, joined
from masu.training.recipe import TrainSettings
from masu.training.stopping import Stop
from masu.training.train import _check_alike, train
from tests.runs import Run, assert_alike, assert_consistent, rows_of, tensors_of, without_clock

SETTINGS = TrainSettings(epochs=2, image_size=64, batch_size=3, learning_rate=1e-3)
"""Two steps an epoch: three images, of which the processes have two and one, then one image and none."""

SLOWLY = """
import time
from masu.training.step import Learner
step = Learner.step
Learner.step = lambda *a: (time.sleep(0.5), step(*a))[1]
"""


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """As in the processes that torchrun starts, since the number of threads decides the order of sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def parts(coins):
    return [masu.read_dataset(coins, split) for split in ("train", "val")]


@pytest.fixture
def whole(parts, tmp_path):
    """The folder of the same training in one process."""
    train(*parts, replace(SETTINGS, accumulate=2), tmp_path / "whole")
    return tmp_path / "whole"


def settled(out):
    """How the run is cut into parts is the one setting that differs."""
    path = out / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"accumulate": 1}))
    return out


def worker(launcher, rank):
    """The process of a rank among a launcher's children."""
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            return int(child)
    raise AssertionError(f"no process of rank {rank}")


def test_two_processes_are_one_to_the_bit(coins, parts, tmp_path):
    """Two-stage, in bf16 (those that are stopped are in fp32): losses, figures of evaluation, weights, their
    average and the optimizer."""
    settings = replace(SETTINGS, precision="bf16")
    run = Run(coins, tmp_path / "two", settings, processes=2)
    assert run.end() == (0, "")
    assert [e["step"] for e in run.events if e["event"] == "step"] == [1, 2, 1, 2]  # said once
    train(*parts, replace(settings, accumulate=2), tmp_path / "one")
    assert_alike(settled(tmp_path / "one"), settled(tmp_path / "two"))


def test_parts_of_parts_differ_by_the_order_of_sums_only(coins, parts, tmp_path):
    """One-stage: (a + b) + (c + d) in two processes, ((a + b) + c) + d in one; SGD keeps that small.

    One of the four images is cut off after its head, so that only the process whose part it is meets that, while
    training; all count and one tells it.
    """
    image = parts[0][1].image
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    settings = replace(
        SETTINGS,
        architecture="retinanet_lite0_fpn",
        epochs=1,
        batch_size=4,
        accumulate=2,
        optimizer="sgd",
        learning_rate=0.01,
        average=0.0,
    )
    run = Run(coins, tmp_path / "two", settings, processes=2, max_bad=0.25)
    assert run.end() == (0, "")
    (fault,) = [e["fault"] for e in run.events if e["event"] == "fault"]
    assert str(parts[0][1].image) in fault
    train(*parts, replace(settings, accumulate=4), tmp_path / "one", max_bad=0.25)
    a, b = (tensors_of(tmp_path / name / "last.safetensors") for name in ("two", "one"))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=1e-6)
    one, two = (without_clock(rows_of(tmp_path / name))[0] for name in ("one", "two"))
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-6)


def test_sigterm_stops_all_at_the_same_step(coins, parts, whole, tmp_path):
    """To one of them only; goes on in one process."""
    stopped = tmp_path / "stopped"
    run = Run(coins, stopped, SETTINGS, SLOWLY, processes=2, checkpoint_seconds=1000)
    run.until("step", 1)
    os.kill(worker(run.process.pid, 1), signal.SIGTERM)
    run.end(timeout=60)
    state = assert_consistent(stopped)
    assert 0 < state.epoch * 2 + state.step < 4
    train(*parts, replace(SETTINGS, accumulate=2), stopped, resume=True)
    assert_alike(settled(whole), settled(stopped))


def test_a_killed_process_ends_the_run_with_a_message(coins, parts, whole, tmp_path):
    killed = tmp_path / "killed"
    run = Run(coins, killed, SETTINGS, SLOWLY, processes=2)
    run.until("epoch")
    clock = time.monotonic()
    os.kill(worker(run.process.pid, 1), signal.SIGKILL)
    code, said = run.end(timeout=60)
    assert time.monotonic() - clock < 45 < LONGEST_WAIT
    assert code == 1
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: process 0 of 2: found no answer of another one (")
    assert line.endswith(
        "), wanted all of them to the end; the one that ended first says why, or was killed; "
        f"{killed}/resume.safetensors holds the state of epoch 2 after 0 of its steps: go on from there with "
        "--resume"
    )
    assert_consistent(killed)
    train(*parts, replace(SETTINGS, accumulate=2), killed, resume=True)
    assert_alike(settled(whole), settled(killed))


def test_a_process_alone():
    assert ALONE.first
    assert ALONE.sum(0.1, True) == [0.1, True]
    assert ALONE.texts("ü") == ["ü"]
    assert ALONE.of_first({"a": None}) == {"a": None}
    tensor = torch.ones(2)
    ALONE.sum_tensors([tensor])
    assert tensor.tolist() == [1.0, 1.0]
    with pytest.raises(KeyboardInterrupt), ALONE.stopping_together():
        raise KeyboardInterrupt
    with joined() as processes:
        assert processes is ALONE


def test_the_environment_of_a_launcher_that_is_no_launcher(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with joined() as processes:  # some clusters set it for every job
        assert processes is ALONE
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(InputError) as caught, joined():
        pass
    assert str(caught.value).startswith("process 1 of 2: found no answer of another one (")
    assert "MASTER_ADDR" in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "text"), [("WORLD_SIZE", "two"), ("WORLD_SIZE", "0"), ("RANK", "-1"), ("RANK", "")]
)
def test_a_number_of_a_launcher_that_is_none(variable, text, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", variable: text}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=f"{variable}: found {text!r} in the environment, wanted a whole"):
        joined().__enter__()


@pytest.mark.parametrize(
    ("count", "number", "wanted"),
    [
        (5, 2, [[0, 1, 2], [3, 4]]),
        (4, 3, [[0, 1], [2, 3], []]),
        (1, 2, [[0], []]),
        (0, 2, [[], []]),
        (2, 1, [[0, 1]]),
    ],
)
def test_parts_of_a_batch(count, number, wanted):
    assert [list(part) for part in micro_batches(count, number)] == wanted


def test_fewer_images_than_processes(parts):
    with pytest.raises(InputError) as caught:
        _check_alike(*parts, replace(SETTINGS, batch_size=3), Processes(0, 4))
    assert str(caught.value) == (
        "--batch-size: found 3 for 4 processes, wanted at least 4: it counts the images of a step in all "
        "processes together"
    )


def test_under_a_launcher_resume_begins_where_there_is_nothing_yet(parts, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="found no training to resume"):
        train(*parts, SETTINGS, tmp_path / "run", resume=True)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    assert len(train(*parts, replace(SETTINGS, epochs=1), tmp_path / "run", resume=True).history) == 1


def test_several_signals_of_a_launcher_are_one():
    stop = Stop(patient=True)
    stop.listen()
    try:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        assert not stop.at_once
    finally:
        stop.leave()
