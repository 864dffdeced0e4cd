"""The engine of many processes, on one machine or a cluster: Ray Data hands shards to a pool of workers."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from masu.bulk.plan import Plan
from masu.bulk.shards import BatchPredictor, Tally, run_shard
from masu.bulk.stores import Store
from masu.errors import InputError, bad_input

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to Ray's makers
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else every job begins with an error about restarts that do work
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # despite its name: listen on 127.0.0.1 alone
_OBJECT_STORE = 100 * 2**20  # bytes; only paths and tallies pass through it


class _Worker:
    """Lives in a process of its own; the model is loaded when the first shard comes."""

    def __init__(self, predictor: BatchPredictor, store: Store) -> None:
        self._predictor = predictor
        self._store = store

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        try:
            images = json.loads(batch["images"][0])
            tally, fault = run_shard(self._predictor, self._store, int(batch["shard"][0]), images), ""
        except InputError as error:  # as a row: what a worker raises arrives wrapped in Ray's own words
            tally, fault = Tally(0, 0, 0, 0), str(error)
        return {"fault": [fault], **{name: [value] for name, value in asdict(tally).items()}}


def run_ray(
    plan: Plan,
    shards: Sequence[int],
    predictor: Callable[[int], BatchPredictor],
    store: Store,
    workers: int | None = None,
) -> Iterator[Tally]:
    """Run the given shards of a plan, in any order; each is written when its tally comes.

    Args:
        plan: the job.
        shards: those to run.
        predictor: makes the predictor for a number of threads; it is copied to every worker.
        store: where the parts go; a local folder must be the same one on every machine.
        workers: processes; the cores are shared out among them. Default: one per core.

    Raises:
        InputError: Ray is not installed, more workers than cores; and see :func:`masu.bulk.shards.run_shard`.
    """
    with _cluster() as ray:
        cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        workers = workers or sum(cores)
        if workers > sum(cores):
            raise bad_input("workers", f"{workers}", f"at most {sum(cores)}, the cores", "ask for fewer")
        threads = min(sum(cores) // workers, max(cores))
        # JSON is ASCII: a file name that is not UTF-8 has no place in a column of text
        rows = [{"shard": number, "images": json.dumps(plan.shard(number))} for number in shards]
        tallies = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Worker,
            fn_constructor_args=(predictor(threads), store),
            batch_size=1,
            num_cpus=threads,
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
        )
        for row in tallies.iter_rows():
            if fault := row.pop("fault"):
                raise InputError(fault, thing="job", found=fault)
            yield Tally(**row)


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, on the cluster of ``RAY_ADDRESS``, else on one of this machine that ends with the job."""
    address = os.environ.get("RAY_ADDRESS")
    for name, value in (_QUIET if address else _QUIET | _LOOPBACK).items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError:
        raise bad_input(
            "--engine ray",
            "no such package",
            "the package ray",
            "pip install 'masu[ray]'",
            code="missing-package",
        ) from None
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
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data._internal").setLevel(logging.ERROR)  # it tells of every run, and of no bar
    context.print_on_execution_start = False
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()
