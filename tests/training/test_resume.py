"""A training in a process of its own is killed and goes on; the long form is in tests/faults."""

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.transforms import v2

import masu
from masu.detectors.retinanet import RetinaNet
from masu.errors import InputError
from masu.precision import loss_scaler
from masu.training import run_state
from masu.training.recipe import TrainSettings
from masu.training.run_lock import alone_in
from masu.training.train import train
from tests.runs import Run, assert_alike, assert_consistent, tensors_of

SETTINGS = TrainSettings(
    architecture="retinanet_lite0_fpn",
    backbone="timm/test_efficientnet",
    weights="none",
    epochs=2,
    image_size=64,
    batch_size=1,
    learning_rate=1e-3,
)


@pytest.fixture
def parts(coins):
    return [masu.read_dataset(coins, split) for split in ("train", "val")]


@pytest.fixture
def whole(parts, tmp_path_factory):
    """The folder of the run that nothing happened to; made once."""
    if not WHOLE:
        WHOLE.append(tmp_path_factory.mktemp("whole"))
        train(*parts, SETTINGS, WHOLE[0])
    return WHOLE[0]


WHOLE = []


def test_a_killed_run_goes_on_to_the_same_bits(coins, parts, whole, tmp_path):
    killed = tmp_path / "killed"
    run = Run(coins, killed, SETTINGS, workers=2)
    run.until("step", 3)
    time.sleep(random.random())
    assert run.kill() == -signal.SIGKILL
    assert_consistent(killed)
    with alone_in(killed):
        pass  # nobody holds it any more
    train(*parts, SETTINGS, killed, resume=True)
    assert_alike(whole, killed)


def test_a_killed_run_with_a_callable_as_augmentation_goes_on_to_the_same_bits(coins, parts, tmp_path):
    chain = "v2.Compose([v2.RandomPhotometricDistort(), v2.RandomIoUCrop(), v2.SanitizeBoundingBoxes()])"
    before = f"from torchvision.transforms import v2\nsaid['settings']['augmentation'] = {chain}"
    settings = replace(SETTINGS, augmentation=eval(chain, {"v2": v2}))
    train(*parts, settings, tmp_path / "whole")
    killed = tmp_path / "killed"
    run = Run(coins, killed, SETTINGS, before, workers=2)
    run.until("step", 3)
    run.kill()
    train(*parts, settings, killed, resume=True)
    assert_alike(tmp_path / "whole", killed)


def test_sigterm_stops_after_the_step(coins, parts, whole, tmp_path):
    stopped = tmp_path / "stopped"
    run = Run(coins, stopped, SETTINGS, checkpoint_seconds=1000)
    run.until("step", 2)
    assert run.kill(signal.SIGTERM) == 130
    state = assert_consistent(stopped)
    assert (state.epoch, state.step) >= (0, 2)
    with pytest.raises(InputError, match="found a training that is already there"):
        train(*parts, SETTINGS, stopped)
    train(*parts, SETTINGS, stopped, resume=True)
    assert_alike(whole, stopped)


@pytest.mark.parametrize("moment", ["step", "evaluation"])
def test_ctrl_c_stops_between_steps(parts, whole, tmp_path, monkeypatch, moment):
    stopped = tmp_path / "stopped"
    place = (RetinaNet, "loss_terms") if moment == "step" else (RetinaNet, "detections")
    honest, calls = getattr(*place), 0

    def with_ctrl_c(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == 2:
            signal.raise_signal(signal.SIGINT)  # in the middle of the forward pass
        return honest(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(*place, with_ctrl_c)
        assert train(*parts, SETTINGS, stopped, checkpoint_seconds=1000).interrupted
    assert assert_consistent(stopped).step == (2 if moment == "step" else 4)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not train(*parts, SETTINGS, stopped, resume=True).interrupted
    assert_alike(whole, stopped)


def test_a_second_ctrl_c_stops_at_once_and_leaves_the_checkpoint(parts, tmp_path, monkeypatch):
    honest, calls = RetinaNet.loss_terms, 0

    def with_ctrl_c(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return honest(self, *arguments)

    monkeypatch.setattr(RetinaNet, "loss_terms", with_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        train(*parts, SETTINGS, tmp_path / "run", checkpoint_seconds=0)
    assert assert_consistent(tmp_path / "run").step == 2


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(parts, whole, tmp_path):
    out = tmp_path / "run"
    train(*parts, SETTINGS, out)
    path = out / "resume.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    said = []
    train(*parts, SETTINGS, out, resume=True, report=lambda e: said.append(e.get("said")))
    assert [line for line in said if line and "report.html" not in line] == [
        f"{path}: found a damaged file (its checksum differs); going on from {out}/resume-before.safetensors, the "
        "checkpoint before it"
    ]
    assert_alike(whole, out)
    for name in ("resume", "resume-before"):
        (out / f"{name}.safetensors").write_bytes(b"")
    before = (out / "best.safetensors").read_bytes()
    with pytest.raises(InputError) as caught:
        train(*parts, SETTINGS, out, resume=True)
    assert str(caught.value) == (
        f"{path}: found a damaged file (truncated); {out}/resume-before.safetensors: found a damaged file "
        "(truncated); wanted the state of a training in one of them; start anew in another folder (--out)"
    )
    assert (out / "best.safetensors").read_bytes() == before


def test_a_kill_between_state_and_results_is_made_up_for(parts, whole, tmp_path, monkeypatch):
    """The state of the best epoch is written, the files that follow from it are not."""
    out = tmp_path / "run"

    class Killed(BaseException):
        pass

    def kill(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("masu.training.run_state.RunFile.write_results", kill)
        with pytest.raises(Killed):
            train(*parts, SETTINGS, out)
    assert not (out / "best.safetensors").exists()
    train(*parts, SETTINGS, out, resume=True)
    assert_alike(whole, out)


def test_a_second_run_on_the_folder_is_refused(parts, tmp_path):
    out = tmp_path / "run"
    train(*parts, SETTINGS, out)
    before = {p: p.read_bytes() for p in out.rglob("*.safetensors")}
    with alone_in(out), pytest.raises(InputError, match=f"running there \\(process {os.getpid()}\\)"):
        train(*parts, SETTINGS, out, resume=True)
    assert {p: p.read_bytes() for p in out.rglob("*.safetensors")} == before


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_out_of_memory_is_one_line(parts, whole, tmp_path, monkeypatch, error):
    out = tmp_path / "run"
    honest, calls = RetinaNet.loss_terms, 0

    def greedy(self, *arguments):
        nonlocal calls
        calls += 1
        if calls == 3 and error is RuntimeError:
            torch.empty(1 << 45)
        if calls == 3:
            raise MemoryError
        return honest(self, *arguments)

    monkeypatch.setattr(RetinaNet, "loss_terms", greedy)
    with pytest.raises(InputError) as caught:
        train(*parts, SETTINGS, out, checkpoint_seconds=0)
    assert str(caught.value) == (
        "memory: found too little for a step of 1 image, wanted more; lower --image-size, in another folder; "
        f"{out}/resume.safetensors holds the state of epoch 1 after 2 of "
        "its steps: go on from there with --resume"
    )
    monkeypatch.undo()
    train(*parts, SETTINGS, out, resume=True)
    assert_alike(whole, out)


def test_a_full_disk_is_one_line(parts, tmp_path, monkeypatch):
    out = tmp_path / "run"
    honest, calls = run_state.Checkpoint.write, 0

    def full(descriptor):
        raise OSError(28, "No space left on device")

    def write(self, content):
        nonlocal calls
        calls += 1
        if calls == 3:
            monkeypatch.setattr(os, "fsync", full)
        honest(self, content)

    monkeypatch.setattr(run_state.Checkpoint, "write", write)
    with pytest.raises(InputError) as caught:
        train(*parts, SETTINGS, out, checkpoint_seconds=0)
    monkeypatch.undo()
    size = (out / "resume.safetensors").stat().st_size
    assert str(caught.value) == (
        f"{out}/resume.safetensors: found no space left on device after {size / 1e6:.1f} MB, wanted a folder with "
        f"room that can be written to; the file is as it was before; {out}/resume.safetensors holds the state of "
        "epoch 1 after 1 of its steps: go on from there with --resume"
    )
    assert_consistent(out)
    assert list(out.rglob("*.part")) == []


def test_other_data_is_refused(parts, tmp_path):
    out = tmp_path / "run"
    train(*parts, SETTINGS, out)
    fewer = parts[0].take([0, 1, 2])
    with pytest.raises(InputError, match="found training_images 4 in the run and 3 now, wanted the same"):
        train(fewer, parts[1], SETTINGS, out, resume=True)


def test_a_resumed_run_keeps_no_replaced_file_open(parts, tmp_path):
    """A mapped file keeps its room on the disk after it was replaced."""
    out = tmp_path / "run"
    train(*parts, SETTINGS, out)
    detector = masu.load(out / "last.safetensors")
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.1)
    scaler = loss_scaler("fp32", torch.device("cpu"))
    file = run_state.RunFile(out, 0, detector, detector, optimizer, scaler, {})
    found = file.checkpoint.read(print)
    assert found.tensors.keys() == tensors_of(out / "resume.safetensors").keys()
    maps = Path("/proc/self/maps")
    assert not maps.exists() or "resume" not in maps.read_text()
