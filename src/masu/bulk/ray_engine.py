"""The engine of many processes, on one machine or a cluster: workers of Ray take shard after shard."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from masu.bulk.alone import TRIES
from masu.bulk.manifest import Images
from masu.bulk.plan import Plan
from masu.bulk.pool import run_on_actors
from masu.bulk.shards import BatchPredictor, Tally, run_shard
from masu.errors import InputError, bad_input

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to Ray's makers
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # workers that died are told by the job, not on its standard output
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # despite its name: listen on 127.0.0.1 alone
_OBJECT_STORE = 100 * 2**20  # bytes; only numbers and tallies pass through it


class ShardWorker:
    """Lives in a process of its own; the model is loaded when the first shard comes."""

    def __init__(self, predictor: BatchPredictor, plan: Plan, images: Images) -> None:
        self._predictor = predictor
        self._plan = plan
        self._images = images

    def ready(self) -> bool:
        """Answers when the process is there."""
        return True

    def run(self, number: int, alone: bool) -> Tally | InputError:
        """Do a shard; what it raises is returned, since Ray would wrap it in words of its own."""
        try:
            return run_shard(self._predictor, self._plan, self._images, number, alone=alone)
        except InputError as error:
            return error


def run_ray(
    plan: Plan,
    images: Images,
    shards: Sequence[int],
    predictor: Callable[[int], BatchPredictor],
    workers: int | tuple[int, int] | None = None,
    *,
    gpus: bool = False,
) -> Iterator[Tally]:
    """Run the given shards of a plan, in any order; each is written when its tally comes.

    A shard that two workers did not survive is done image by image. The machine that this process runs on
    needs no core for it.

    Args:
        plan: the job.
        images: of the job, in the folder where the rows go; a local one must be the same on every machine.
        shards: those to run.
        predictor: makes the predictor for a number of threads; it is copied to every worker.
        workers: processes, or the fewest to begin with and the most, which take part as the cluster has
            room for them; the cores are shared out among them. Default: one per core or GPU.
        gpus: each worker has a GPU of its own, as its ``cuda``.

    Raises:
        InputError: Ray is not installed, more workers than cores or GPUs; workers that do not start; and see
            :func:`masu.bulk.shards.run_shard`.
    """
    with _cluster() as ray:
        machines = [
            (int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
            for node in ray.nodes()
            if node["Alive"]
        ]
        places = [min(cores, own) if gpus else cores for cores, own in machines]
        least, most = _sizes(workers, sum(places), "GPUs" if gpus else "cores")
        threads = threads_each([cores for cores, _ in machines], places, min(most, sum(places)))
        kind = ray.remote(ShardWorker).options(num_cpus=threads, num_gpus=int(gpus), max_restarts=0)

        def do(worker: Any, number: int, deaths: int) -> Any:
            return worker.run.remote(number, deaths >= TRIES)

        def start() -> Any:
            return kind.remote(predictor(threads), plan, images)

        sizes = min(least, len(shards)), min(most, len(shards))
        yield from run_on_actors(ray, start, shards, sizes, do)


def _sizes(workers: int | tuple[int, int] | None, places: int, what: str) -> tuple[int, int]:
    if isinstance(workers, tuple):
        return workers
    if places == 0:
        fix = "see 'ray status', or wait for machines with --workers MIN..MAX"
        raise bad_input("--engine ray", f"a cluster without {what}", f"machines with {what}", fix)
    if workers is not None and workers > places:
        raise bad_input("workers", f"{workers}", f"at most {places}, the {what}", "ask for fewer")
    return 1, workers or places


def threads_each(cores: Sequence[int], places: Sequence[int], workers: int) -> int:
    """The most cores that each of the workers can have; all of a worker's are on one machine.

    Args:
        cores: of each machine.
        places: how many workers it has room for at most.
        workers: at most the sum of the places.
    """

    def room(threads: int) -> int:
        return sum(min(own // threads, most) for own, most in zip(cores, places, strict=True))

    return next((t for t in range(max(cores), 1, -1) if workers and room(t) >= workers), 1)


def require_ray() -> Any:
    """The package ray, with settings that it reads when it is loaded.

    Raises:
        InputError: where it is not installed.
    """
    for name, value in (_QUIET if os.environ.get("RAY_ADDRESS") else _QUIET | _LOOPBACK).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise bad_input(
            "--engine ray",
            "no such package",
            "the package ray",
            "pip install 'masu[ray]'",
            code="missing-package",
        ) from None
    return ray


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, on the cluster of ``RAY_ADDRESS``, else on one of this machine that ends with the job."""
    ray = require_ray()
    address = os.environ.get("RAY_ADDRESS")
    started = not ray.is_initialized()
    if started and address:
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    elif started:
        ray.init(
            address="local",
            object_store_memory=_OBJECT_STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()
