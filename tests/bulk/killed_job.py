"""A job of one process whose predictor needs no network: what test_job kills. Arguments: OUT and a list of images."""

import sys

from masu.bulk import plan as plan_file
from masu.bulk.local_engine import run_local
from masu.bulk.parts import left
from masu.bulk.plan import begin
from masu.bulk.sorting import sorted_names
from masu.bulk.sources import list_images
from masu.bulk.stores import open_store
from tests.bulk.killing import predict

if __name__ == "__main__":
    out, listed = sys.argv[1:]
    plan_file.PARTS, plan_file.PART_IMAGES = 10, 12  # of more than ten shards four are joined to a part
    with sorted_names(list_images([listed])) as names:
        plan, images = begin(open_store(out), names, __file__, 0.5, 3)
    for _ in run_local(plan, images, left(plan, images.store), predict):
        pass
    images.store.sweep()
