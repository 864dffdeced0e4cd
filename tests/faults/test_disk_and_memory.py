"""A disk that fills up, a folder that becomes read-only, memory that does not suffice.

Needs the right to mount a small file system in memory and to chattr: without it these tests fail and say so.
"""

import resource

import pytest

import masu
from masu.training.recipe import TrainSettings
from masu.training.train import train
from tests.faults.disks import command
from tests.runs import Run, assert_alike, assert_consistent

SETTINGS = TrainSettings(epochs=3, image_size=64, batch_size=1, learning_rate=1e-3)


@pytest.fixture
def whole(coins, tmp_path):
    parts = [masu.read_dataset(coins, split) for split in ("train", "val")]
    train(*parts, SETTINGS, tmp_path / "whole")
    return tmp_path / "whole"


def megabytes(path):
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) / 1e6


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.8, 0.95])
def test_a_disk_that_fills_up(coins, whole, disk, figures, share):
    """At whatever file it happens: one line that names it, and the run goes on when there is room."""
    out = disk / "run"
    state = (whole / "resume.safetensors").stat().st_size
    need = megabytes(whole) * 1e6 + state  # the new state stands beside the two others
    command("mount", "-o", f"remount,size={int(need * share)}", str(disk))
    code, said = Run(coins, out, SETTINGS).end()
    assert code == 1
    assert said.count("\n") == 1
    assert said.startswith(f"error: {out}/")
    assert ": found no space left on device" in said
    assert "wanted a folder with room that can be written to" in said
    kept = (out / "resume.safetensors").exists() or (out / "resume-before.safetensors").exists()
    if kept:
        assert_consistent(out)
        assert said.endswith("of its steps: go on from there with --resume\n")
    else:
        assert said.endswith("nothing was learnt yet\n")
    command("mount", "-o", "remount,size=2g", str(disk))
    code, said = Run(coins, out, SETTINGS, resume=kept).end()
    assert (code, said) == (0, "")
    assert_alike(whole, out)
    figures(full_disks_survived=1, bits_that_differ=0)


def test_a_folder_that_becomes_unwritable_while_training_runs(coins, whole, tmp_path, figures):
    """By chattr +i, which stops root as well; a read-only remount is refused while the run holds its lock."""
    out = tmp_path / "run"
    run = Run(coins, out, SETTINGS)
    run.until("step", 2)
    command("chattr", "+i", str(out))
    try:
        code, said = run.end()
    finally:
        command("chattr", "-i", str(out))
    assert code == 1
    assert said.count("\n") == 1
    assert ": found operation not permitted, wanted a folder with room that can be written to" in said
    assert said.endswith("of its steps: go on from there with --resume\n")
    assert_consistent(out)
    assert Run(coins, out, SETTINGS, resume=True).end() == (0, "")
    assert_alike(whole, out)
    figures(unwritable_folders_survived=1, bits_that_differ=0)


def test_a_read_only_disk(coins, whole, disk, figures):
    out = disk / "run"
    run = Run(coins, out, SETTINGS)
    run.until("step", 2)
    run.kill()
    command("mount", "-o", "remount,ro", str(disk))
    code, said = Run(coins, out, SETTINGS, resume=True).end()
    assert (code, said) == (
        1,
        f"error: {out}/lock: found read-only file system, wanted a folder with room that can be written to; the file "
        "is as it was before\n",
    )
    command("mount", "-o", "remount,rw", str(disk))
    assert_consistent(out)
    assert Run(coins, out, SETTINGS, resume=True).end() == (0, "")
    assert_alike(whole, out)
    figures(read_only_disks_survived=1, bits_that_differ=0)


def test_memory_that_does_not_suffice(coins, whole, tmp_path, figures):
    out = tmp_path / "run"
    limit = """
import resource
from masu.detectors.faster_rcnn import FasterRCNN
honest, calls = FasterRCNN.losses, 0
def losses(self, *arguments):
    global calls
    calls += 1
    if calls == 6:  # from here on 50 MB more and not one byte beyond
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000, resource.RLIM_INFINITY))
        import torch
        self.greedy = [torch.ones(1_000_000) for _ in range(1000)]
    return honest(self, *arguments)
FasterRCNN.losses = losses
"""
    assert resource.RLIM_INFINITY in resource.getrlimit(resource.RLIMIT_AS)
    code, said = Run(coins, out, SETTINGS, before=limit).end()
    assert code == 1
    assert said == (
        "error: memory: found too little for a step of 1 image, wanted more; lower --image-size, in another folder; "
        f"{out}/resume.safetensors holds the state of epoch 2 after 1 of its "
        "steps: go on from there with --resume\n"
    )
    assert_consistent(out)
    assert Run(coins, out, SETTINGS, resume=True).end() == (0, "")
    assert_alike(whole, out)
    figures(memory_failures_survived=1, bits_that_differ=0)
