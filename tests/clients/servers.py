"""Servers of other programs on this machine alone."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def port():
    return free_port()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """``start(command, url)``: a server that runs until the module's tests are done, once ``url`` answers."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with contextlib.ExitStack() as running:

        def start(command, url, **environment):
            paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
            server = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": paths} | environment,
                stdout=running.enter_context(log.open("w")),
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            running.callback(ended, server)
            end = time.monotonic() + 180
            while time.monotonic() < end and server.poll() is None:
                try:
                    with urllib.request.urlopen(url, timeout=5):
                        return
                except (urllib.error.URLError, OSError):
                    time.sleep(0.3)
            pytest.fail(f"no answer from {url}:\n{log.read_text()[-3000:]}")

        yield start


def ended(server):
    """Stop a server and the processes that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
