"""A load test of ``masu serve``: a server process, and clients over loopback that check every answer.

python -m benchmarks.serving MODEL [--requests 300] [--json docs/serve.json]
python -m benchmarks.serving MODEL --minutes 6      # two clients for so long: memory and wrong answers

Requests of JPEG files of 640×480, one picture each. *bare* is decoding and ``predict`` in one process without
a server. Memory is the server's resident set. The clients run on the same computer, as everything here does.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import skimage.data
from PIL import Image

from masu.service.pictures import picture_of
from masu.serving.answers import as_json
from masu.serving.limits import ServingLimits
from masu.serving.models import Served, opened

PICTURES = ("astronaut", "chelsea", "coffee", "rocket")
SIZE = (640, 480)
PATIENCE = 60
PART = 500
"""Requests between two looks at the memory of a server that is asked for minutes."""


def pictures() -> list[bytes]:
    files = []
    for name in PICTURES:
        file = io.BytesIO()
        Image.fromarray(getattr(skimage.data, name)()).resize(SIZE).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def bare(model: Served, files: list[bytes], requests: int) -> tuple[float, list[Any]]:
    """Pictures per second, and what is found in each file."""
    found = [as_json(model.find(picture_of(file, ServingLimits())), None) for file in files]
    start = time.perf_counter()
    for at in range(requests):
        model.find(picture_of(files[at % len(files)], ServingLimits()))
    return requests / max(time.perf_counter() - start, 1e-9), found


@dataclass
class Seen:
    """What the clients saw: seconds of answers, statuses, and answers that are not predict's."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    lasted: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def as_dict(self) -> dict[str, Any]:
        times = sorted(1000 * one for one in self.seconds)
        cut = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
        return {
            "answered per second": round(len(times) / self.lasted, 1),
            "p50 ms": round(cut[49]),
            "p99 ms": round(cut[98]),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "wrong answers": self.wrong,
        }


def load(
    port: int, files: list[bytes], found: list[Any], requests: int, clients: int, rate: float | None
) -> Seen:
    """Requests from as many clients: each at once after its last answer, or at the times that a rate says."""
    seen, due = Seen(), queue.SimpleQueue[tuple[float, int] | None]()
    start = time.perf_counter()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while (one := due.get()) is not None:
            when, at = one
            time.sleep(max(0.0, start + when - time.perf_counter()))
            begun = start + when if rate else time.perf_counter()
            try:
                connection.request("POST", "/predict", files[at], {"Content-Type": "image/jpeg"})
                answer = connection.getresponse()
                status, content = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                status, content = 0, b""
            lasted = time.perf_counter() - begun
            right = status != 200 or json.loads(content)["images"] == [found[at]]
            with seen.lock:
                seen.statuses[status] += 1
                seen.wrong += not right
                if status == 200:
                    seen.seconds.append(lasted)

    for at in range(requests):
        due.put((at / rate if rate else 0.0, at % len(files)))
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        due.put(None)
        thread.start()
    for thread in threads:
        thread.join()
    seen.lasted = time.perf_counter() - start
    return seen


def megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def started(path: Path, options: list[str]) -> tuple[subprocess.Popen[str], int]:
    """A server, and its port."""
    command = [sys.executable, "-m", "masu", "--quiet", "serve", str(path), "--port", "0", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, int(server.stdout.readline().rpartition(":")[2])


def lasting(path: Path, minutes: float, options: list[str]) -> dict[str, Any]:
    """Two clients for a while: the server's memory after every part of it."""
    files = pictures()
    (model,) = opened(path)
    _, found = bare(model, files, 0)
    server, port = started(path, options)
    boxes = sum(len(one["detections"]) for one in found)
    said: dict[str, Any] = {"model": path.name, "boxes": boxes, "requests": 0, "wrong answers": 0}
    statuses: Counter[int] = Counter()
    memory: dict[int, float] = {}
    try:
        load(port, files, found, 20, 2, None)
        memory[0] = megabytes(server.pid)
        end = time.perf_counter() + 60 * minutes
        while time.perf_counter() < end:
            seen = load(port, files, found, PART, 2, None)
            statuses += seen.statuses
            said["wrong answers"] += seen.wrong
            memory[statuses.total()] = megabytes(server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        said["exit code"] = server.wait(PATIENCE)
    counted = {str(status): count for status, count in sorted(statuses.items())}
    return said | {"requests": statuses.total(), "statuses": counted, "memory MB": memory}


def measured(path: Path, requests: int, options: list[str]) -> dict[str, Any]:
    files = pictures()
    (model,) = opened(path)
    alone, found = bare(model, files, min(requests, 100))
    server, port = started(path, options)
    said: dict[str, Any] = {
        "model": path.name,
        "boxes": sum(len(one["detections"]) for one in found),
        "requests": requests,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load average before": round(os.getloadavg()[0], 1),
        "bare per second": round(alone, 1),
    }
    try:
        load(port, files, found, 20, 2, None)
        said["memory MB"] = {"after 20": megabytes(server.pid)}
        full = load(port, files, found, requests, 2, None)
        said["full load"] = full.as_dict()
        said["memory MB"]["after full load"] = megabytes(server.pid)
        rate = len(full.seconds) / full.lasted
        for name, share, clients in (("half load", 0.5, 16), ("three times the load", 3.0, 64)):
            said[name] = load(port, files, found, requests, clients, share * rate).as_dict()
            said["memory MB"][f"after {name}"] = megabytes(server.pid)
        said["load average after"] = round(os.getloadavg()[0], 1)
    finally:
        server.send_signal(signal.SIGTERM)
        said["exit code"] = server.wait(PATIENCE)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path, nargs="+")
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--options", default="", help="of masu serve, in one text")
    parser.add_argument("--minutes", type=float, help="ask for so long instead")
    given = parser.parse_args()
    options = given.options.split()
    rows = [
        measured(path, given.requests, options)
        if given.minutes is None
        else lasting(path, given.minutes, options)
        for path in given.model
    ]
    text = json.dumps(rows, indent=1)
    print(text)
    if given.json is not None:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
