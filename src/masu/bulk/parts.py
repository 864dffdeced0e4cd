"""The files of a job's rows: which are there, which shards are left, and shards joined to parts.

Where a part has several shards, these are files that readers pass over, until the last one is done: then
their rows become one file, and they are removed. So what readers see is never doubled, and little is lost
with a process.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from masu.bulk.plan import Plan
from masu.bulk.stores import Store
from masu.bulk.table import part_rows, require_pyarrow, schema

_READERS = 16  # files looked at together, which lie in an object store perhaps

_GROUP = 65_536  # rows that are in memory together while shards are joined


def part_name(part: int) -> str:
    """The file that holds the rows of a part."""
    return f"part-{part:06d}.parquet"


def shard_name(plan: Plan, shard: int) -> str:
    """The file that holds the rows of a shard; ``*.parquet`` does not match one that is to be joined."""
    return part_name(shard) if plan.part_shards == 1 else f"_shard-{shard:08d}"


def left(plan: Plan, store: Store) -> list[int]:
    """The shards that have no whole file yet; one that is cut, empty or another's counts as none.

    Parts whose shards are all there are joined first, and shards that are in a part are removed.

    Raises:
        InputError: where the store does not answer.
    """
    names = store.names()
    there = {part_name(part): plan.part(part) for part in range(plan.parts) if part_name(part) in names}
    whole = _whole(plan, store, there)
    undone = [
        shard for part in range(plan.parts) if part_name(part) not in whole for shard in plan.part(part)
    ]
    if plan.part_shards == 1:
        return undone
    there = {name: range(shard, shard + 1) for shard in undone if (name := shard_name(plan, shard)) in names}
    done = _whole(plan, store, there)
    undone = [shard for shard in undone if shard_name(plan, shard) not in done]
    unfinished = {shard // plan.part_shards for shard in undone}
    for part in range(plan.parts):
        shards = [name for shard in plan.part(part) if (name := shard_name(plan, shard)) in names]
        if shards and part not in unfinished:
            if part_name(part) not in whole:
                _join(plan, store, part)
            for name in shards:
                store.remove(name)
    return undone


def join_if_done(plan: Plan, store: Store, shard: int) -> None:
    """Join the shards of the part that a shard is in, where all are done; two workers may do so at once."""
    if plan.part_shards == 1:
        return
    part = shard // plan.part_shards
    shards = [shard_name(plan, one) for one in plan.part(part)]
    if store.names().issuperset(shards):
        with suppress(FileNotFoundError):  # another worker was faster
            _join(plan, store, part)
        for name in shards:
            store.remove(name)


def _join(plan: Plan, store: Store, part: int) -> None:
    pa = require_pyarrow()
    buffer, waiting = io.BytesIO(), []
    with pa.parquet.ParquetWriter(buffer, schema(), compression="zstd") as writer:
        for shard in plan.part(part):
            with store.open(shard_name(plan, shard)) as file:
                waiting.append(pa.parquet.read_table(file))
            if sum(table.num_rows for table in waiting) >= _GROUP or shard == plan.part(part)[-1]:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
    store.write(part_name(part), buffer.getvalue())


def _whole(plan: Plan, store: Store, files: dict[str, range]) -> set[str]:
    """Those of the files that have as many rows as their shards have images."""
    with ThreadPoolExecutor(_READERS) as pool:
        rows = pool.map(lambda name: part_rows(store, name), files)
        return {name for name, count in zip(files, rows, strict=True) if count == plan.rows(files[name])}
