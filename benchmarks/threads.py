"""What a second team of PyTorch's threads costs, and 1×1 convolutions in one thread.

python -m benchmarks.threads

A training step of the small default and a prediction, in turn: alone in the process; beside a thread that has
computed once and waits; and in one thread, with 1×1 convolutions by :mod:`masu.ops.conv1x1` and by PyTorch.
Milliseconds, medians. On an idle machine.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

import masu
from masu.data.loading.loader import Batch
from masu.processes import Processes
from masu.records import Target
from masu.training.recipe import TrainSettings
from masu.training.step import Learner

TURNS, RUNS = 3, 12
SIZE = (480, 640)


@contextmanager
def second_team() -> Iterator[None]:
    """A thread that has computed with a team, and waits."""
    ready, end = Event(), Event()

    def compute() -> None:
        torch.rand(3, 2000, 2000).mul_(2).sum()
        ready.set()
        end.wait()

    thread = Thread(target=compute)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        end.set()
        thread.join()
        time.sleep(0.2)  # its team ends a little later


def works() -> dict[str, Callable[[], object]]:
    """A training step of two photographs of noise, and a prediction of one."""
    draw = torch.Generator().manual_seed(0)
    images = tuple(torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8, generator=draw) for _ in range(2))
    corners = torch.rand(10, 2, generator=draw) * 300
    targets = (Target(torch.cat([corners, corners + 80], dim=1), torch.zeros(10, dtype=torch.int64)),) * 2
    batch = Batch(images, targets, (), 0, (0, 1), 2)
    learner = Learner(
        masu.build("faster_rcnn_lite0_fpn", ["a"]).train(), TrainSettings(epochs=1).resolved(), Processes()
    )
    network = masu.build("faster_rcnn_lite0_fpn", ["a"]).eval().prediction_network()
    pixels: Tensor = images[0]
    return {
        "step": lambda: learner.step(batch, 2, 0, 500, 0.8),
        "predict": lambda: network.predict([pixels], threshold=0.5),
    }


def milliseconds(work: Callable[[], object]) -> list[float]:
    """Of each run but the first."""
    work()
    found = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - start))
    return found


def main() -> None:
    """Measure in turns and print."""
    several, tried = torch.get_num_threads(), works()
    seen: dict[str, dict[str, list[float]]] = {name: {} for name in tried}

    def measure(how: str) -> None:
        for name, work in tried.items():
            seen[name].setdefault(how, []).extend(milliseconds(work))

    for _ in range(TURNS):
        measure("one team")
        with second_team():
            measure("two teams")
        torch.set_num_threads(1)
        measure("one thread")
        with mock.patch("masu.nets.conv.conv1x1", F.conv2d):
            measure("one thread, 1×1 by PyTorch")
        torch.set_num_threads(several)
    said = {
        name: {how: round(statistics.median(of), 1) for how, of in ways.items()}
        for name, ways in seen.items()
    }
    print(json.dumps({"threads": several, "milliseconds": said}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
