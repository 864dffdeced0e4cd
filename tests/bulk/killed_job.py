"""A job of one process whose predictor needs no network: what test_job kills. Arguments: OUT and a list of images."""

import sys

from masu.bulk.local_engine import run_local
from masu.bulk.plan import MANIFEST, Plan, left
from masu.bulk.sources import list_images
from masu.bulk.stores import open_store
from tests.bulk.killing import predict

if __name__ == "__main__":
    out, listed = sys.argv[1:]
    plan, store = Plan("model", 0.5, 3, tuple(list_images([listed]))), open_store(out)
    shards = left(plan, store)
    store.write(MANIFEST, plan.as_json().encode())
    for _ in run_local(plan, shards, predict, store):
        pass
    store.sweep()
