"""A job over Ray whose predictor needs no network and dies of some images. Arguments: OUT, a list of images, workers."""

import sys

from masu.bulk.parts import left
from masu.bulk.plan import begin
from masu.bulk.ray_engine import run_ray
from masu.bulk.sorting import sorted_names
from masu.bulk.sources import list_images
from masu.bulk.stores import open_store
from tests.bulk.killing import predict

if __name__ == "__main__":
    out, listed, workers = sys.argv[1:]
    with sorted_names(list_images([listed])) as names:
        plan, images = begin(open_store(out), names, __file__, 0.5, 3)
    for tally in run_ray(plan, images, left(plan, images.store), lambda threads: predict, int(workers)):
        print(tally.shard, *tally.killers, flush=True)
