"""The engine of one process: shard after shard, with decoding threads beside the network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from masu.bulk.alone import TRIES
from masu.bulk.manifest import Images
from masu.bulk.plan import Plan
from masu.bulk.shards import BatchPredictor, Tally, run_shard
from masu.bulk.stores import Store

WORKING = "_working.json"
"""Which shard is being done and how often it was begun; a job that ends otherwise than by a kill removes it.

An image that ends the process ends the whole job here. From this file the next start knows the shard, and one
that two processes in a row did not survive is done image by image.
"""


def run_local(
    plan: Plan, images: Images, shards: Sequence[int], predictor: BatchPredictor
) -> Iterator[Tally]:
    """Run the given shards of a plan; each is on disk when its tally comes.

    Raises:
        InputError: see :func:`masu.bulk.shards.run_shard`.
    """
    store = images.store
    begun = _begun(store)
    try:
        for number in shards:
            tries = begun.pop(number, 0)
            store.write(WORKING, json.dumps({"shard": number, "begun": tries + 1}).encode())
            yield run_shard(predictor, plan, images, number, alone=tries >= TRIES)
    finally:
        store.remove(WORKING)


def _begun(store: Store) -> dict[int, int]:
    """The shard that a killed process was at, and how many processes had begun it."""
    if WORKING not in store.names():
        return {}
    try:
        values = json.loads(store.read(WORKING))
        return {int(values["shard"]): int(values["begun"])}
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
