"""A process that is forked from one whose threads have worked answers, instead of waiting for threads it lacks."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
import numpy as np, torch
if sys.argv[1] == "torch first":
    torch.set_num_threads(2)
    torch.randn(900, 900) @ torch.randn(900, 900)
import masu
detector = masu.build("faster_rcnn_lite0_fpn", ["cat", "dog"], weights="none", image_size=64).eval()
image = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
torch.set_num_threads(2)
detector.predict([image])
pid = os.fork()
if not pid:
    detector.predict([image])
    print("threads", torch.get_num_threads(), flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.parametrize("order", ["masu first", "torch first"])
def test_a_forked_process_predicts(order):
    """In a process of its own: this one has threads of which a fork would know nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, order], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout) == (0, "threads 1\n"), done.stderr
