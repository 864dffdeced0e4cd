"""A job over Ray whose predictor needs no network and dies of some images. Arguments: OUT, a list of images, workers."""

import sys

from masu.bulk.plan import MANIFEST, Plan, left
from masu.bulk.ray_engine import run_ray
from masu.bulk.sources import list_images
from masu.bulk.stores import open_store
from tests.bulk.killing import predict

if __name__ == "__main__":
    out, listed, workers = sys.argv[1:]
    plan, store = Plan("model", 0.5, 3, tuple(list_images([listed]))), open_store(out)
    shards = left(plan, store)
    store.write(MANIFEST, plan.as_json().encode())
    for tally in run_ray(plan, shards, lambda threads: predict, store, int(workers)):
        print(tally.shard, *tally.killers, flush=True)
