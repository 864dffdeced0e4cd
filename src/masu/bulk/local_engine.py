"""The engine of one process: shard after shard, with decoding threads beside the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from masu.bulk.plan import Plan
from masu.bulk.shards import BatchPredictor, Tally, run_shard
from masu.bulk.stores import Store


def run_local(plan: Plan, shards: Sequence[int], predictor: BatchPredictor, store: Store) -> Iterator[Tally]:
    """Run the given shards of a plan; each is on disk when its tally comes.

    Raises:
        InputError: see :func:`masu.bulk.shards.run_shard`.
    """
    for number in shards:
        yield run_shard(predictor, store, number, plan.shard(number))
