"""``masu serve`` as a process: it says where it is, and ends without a broken answer."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from masu.cli.exit_codes import BAD_INPUT, STOPPED
from masu.runtime import Model
from tests.serve.conftest import Client, encoded, form


@pytest.fixture
def command(tiny_onnx):
    started = []

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "masu", "serve", str(tiny_onnx), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.stderr.read()
        return process, Client(address)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_it_serves_until_sigterm_and_says_first_that_it_stops(command, tiny_onnx):
    process, ask = command("--lull", "1.5", "--threshold", "0.05")
    answer = ask("/predict", encoded(200, 100), "image/png").json
    wanted = Model(tiny_onnx).predict([np.full((100, 200, 3), 90, np.uint8)], 0.05)[0]
    assert [one["name"] for one in answer["images"][0]["detections"]] == list(wanted.names)
    process.send_signal(signal.SIGTERM)
    until(lambda: ask("/ready").status == 503)
    assert ask("/predict", encoded(), "image/png").status == 200
    said = process.communicate(timeout=30)[1]
    assert process.returncode == STOPPED
    lines = said.splitlines()
    assert lines[0].startswith("masu: serving sky: sky-")
    assert any(line.split()[2:4] == ["POST", "/predict:"] for line in lines)
    assert "Traceback" not in said


def test_what_runs_is_finished(command):
    """A request of many pictures is in the middle of its work when the signal comes."""
    process, ask = command()
    body = form(*[("x", f"{at}.png", encoded(2500, 2500)) for at in range(12)])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask("/predict", *body)))
    thread.start()
    until(lambda: b"masu_pictures_total" in ask("/metrics").content and pictures(ask) > 0)
    process.send_signal(signal.SIGTERM)
    thread.join(40)
    assert (answers[0].status, len(answers[0].json["images"])) == (200, 12)
    process.communicate(timeout=30)


def pictures(ask):
    lines = ask("/metrics").content.decode().splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("masu_pictures_total{"))


def until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_model_that_is_not_there(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "masu", "serve", f"cells={tmp_path}/m.onnx"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (BAD_INPUT, "")
    assert ran.stderr.startswith(f"masu: error: {tmp_path}/m.onnx: found no such file")
