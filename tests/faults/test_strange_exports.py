"""Exported files that a stranger has altered and sealed again: each in a process that may end."""

import random
import re
import shutil
import signal
import subprocess
import sys

import pytest

from masu.exports.write import describe, trace, write
from masu.seal import seal

MUTANTS = 60
SECONDS = 20
"""Longest time for one file."""

OPENED = """
import sys
import numpy as np
from masu.errors import InputError
from masu.runtime import Model
try:
    Model(sys.argv[1], threads=1).predict([np.full((96, 128, 3), 90, np.uint8)])
except InputError as error:
    print("refused" if str(error).startswith(sys.argv[1]) else f"unclear: {error}")
else:
    print("answered")
"""


def altered(content, draw):
    """One to three changes near words, where the graph is told; weights have none."""
    content = bytearray(content)
    words = [match.start() for match in re.finditer(rb"[A-Za-z_/.]{4,}", content)]
    for _ in range(draw.randint(1, 3)):
        place = min(max(draw.choice(words) + draw.randint(-8, 8), 0), len(content) - 1)
        kind = draw.randrange(3)
        if kind == 0:
            content[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del content[place : place + draw.randint(1, 40)]
        else:
            content[place:place] = content[place - 20 : place]
    return bytes(content)


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_altered_exported_files(small, to, tmp_path, figures):
    file = tmp_path / ("whole.onnx" if to == "onnx" else "whole.xml")
    write(trace(small.prediction_network().detector), describe(small), to, file)
    draw, counted = random.Random(0), {"refused": 0, "answered": 0, "ended_the_process": 0}
    for _ in range(MUTANTS):
        mutant = tmp_path / f"mutant{file.suffix}"
        mutant.write_bytes(altered(file.read_bytes(), draw))
        if to == "openvino":
            shutil.copy(file.with_suffix(".bin"), mutant.with_suffix(".bin"))
        sealed_again(mutant)
        done = subprocess.run(
            [sys.executable, "-c", OPENED, mutant], capture_output=True, text=True, timeout=SECONDS
        )
        if done.returncode in (-signal.SIGSEGV, -signal.SIGABRT):
            counted["ended_the_process"] += 1
            continue
        assert done.returncode == 0, done.stderr
        counted[done.stdout.strip()] += 1
    figures(altered_files=MUTANTS, **counted)


def sealed_again(path):
    """As who alters a file on purpose would."""
    content = re.sub(rb"masu-sha256:[0-9a-f]{64}", b"masu-sha256:" + b"0" * 64, path.read_bytes())
    path.write_bytes(content)
    if b"masu-sha256:" + b"0" * 64 in content:
        seal(path, [path.with_suffix(".bin")] if path.suffix == ".xml" else [])
