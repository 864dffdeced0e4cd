"""What very many images cost the process that hands out a bulk job. No image is looked at.

python -m benchmarks.bulk_driver                 # ten thousand, one million, ten million; some minutes
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from masu.bulk.local_engine import run_local
from masu.bulk.parts import left
from masu.bulk.plan import begin
from masu.bulk.sorting import sorted_names
from masu.bulk.sources import list_images
from masu.bulk.stores import open_store
from masu.bulk.table import ImageRow, require_pyarrow, to_table

if TYPE_CHECKING:
    import pyarrow


def main() -> None:
    """Print one line per number of images, each from a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("images", type=int, nargs="*", default=[10_000, 1_000_000, 10_000_000])
    counts = parser.parse_args().images
    if len(counts) == 1:
        measure(counts[0])
    else:
        for count in counts:
            subprocess.run([sys.executable, "-m", "benchmarks.bulk_driver", str(count)], check=True)


def measure(count: int) -> None:
    """List so many images, run the job with rows that need no look at them, and start it again."""
    require_pyarrow()
    if find_spec("ray"):
        import ray  # noqa: F401 a driver of --engine ray has it in memory
    with tempfile.TemporaryDirectory() as name:
        listed, out = Path(name, "all.txt"), open_store(Path(name, "out"))
        order = (i * 7_919 % count for i in range(count))  # not sorted; each once where 7919 is no divisor
        with listed.open("w") as file:
            file.writelines(f"/photographs/of/a/long/season/camera-{i % 50:02d}/{i:09d}.jpg\n" for i in order)
        before, seconds = peak(), []
        for run in range(2):
            started = time.perf_counter()
            with sorted_names(list_images([listed])) as names:
                plan, images = begin(out, names, listed, None, None)
            shards = left(plan, out)
            seconds.append(time.perf_counter() - started)
            assert len(shards) == (0 if run else plan.shards)
            for _ in run_local(plan, images, shards, unread):
                pass
        pages = sum(page.stat().st_size for page in Path(name, "out").glob("_images*")) / 1e6
        print(
            f"{plan.images:10,} images: {peak():.0f} MB at most, {before:.0f} MB before; "
            f"{seconds[0]:.0f} s to list, {seconds[1]:.0f} s at the second start; {pages:.2f} MB of pages, "
            f"{plan.shards:,} shards, {plan.parts} parts",
            flush=True,
        )


def peak() -> float:
    """The most memory that this process had, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3


def unread(batch: Mapping[str, Sequence[str]]) -> pyarrow.Table:
    """A row for each image, as of one that was not found."""
    return to_table([ImageRow(path, error="no such file") for path in batch["path"]])


if __name__ == "__main__":
    main()
