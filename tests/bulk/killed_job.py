"""A job of one process whose predictor needs no network: what test_job kills. Arguments: OUT and a list of images."""

import sys
import time
from types import SimpleNamespace

from masu.bulk.local_engine import run_local
from masu.bulk.plan import MANIFEST, Plan, left
from masu.bulk.sources import list_images
from masu.bulk.stores import open_store
from masu.bulk.table import ImageRow, to_table

FOUND = SimpleNamespace(
    boxes=[[0, 0, 1, 1]], scores=[0.9], labels=[0], names=["a"]
)  # without PyTorch it starts at once


def predict(batch):
    time.sleep(0.002 * len(batch["path"]))
    return to_table([ImageRow(path, 1, 1, FOUND) for path in batch["path"]])


if __name__ == "__main__":
    out, listed = sys.argv[1:]
    plan, store = Plan("model", 0.5, 3, tuple(list_images([listed]))), open_store(out)
    shards = left(plan, store)
    store.write(MANIFEST, plan.as_json().encode())
    for _ in run_local(plan, shards, predict, store):
        pass
    store.sweep()
