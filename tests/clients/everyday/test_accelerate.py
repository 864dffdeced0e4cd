"""Accelerate trains a detector of masu in one process and in two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from examples.clients.with_accelerate import train
from tests.clients.learning import mean_loss

ROOT = Path(__file__).parents[3]


def test_one_process(beginner, loader, pairs):
    before = mean_loss(beginner, pairs)
    assert mean_loss(train(beginner, loader, epochs=3), pairs) < 0.8 * before


def test_two_processes_end_with_the_same_weights(pairs, detector, tmp_path):
    file = tmp_path / "pairs.pt"
    torch.save((list(detector.names), pairs), file)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, *launch, "-m", "tests.clients.everyday.two_processes", str(file)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2))
    assert first["digest"] == second["digest"]
    assert first["after"] < 0.9 * first["before"]
