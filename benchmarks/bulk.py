"""Images per second of bulk detection, against one process that predicts image after image.

python -m benchmarks.bulk                # a few minutes; wants the extra masu[ray]
python -m benchmarks.bulk --memory      # what a long list of images costs
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import masu
from benchmarks.data_check import photographs
from benchmarks.measure import describe_machine, status
from masu.bulk.job import detect_bulk
from masu.detectors.zoo import DEFAULT
from masu.verbs.detect import detect

PART = 8


def main() -> None:
    """Print one line per way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--model", type=Path, help="default: the small architecture, untrained")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peak is not None:
        print(peak(chosen.peak))
    elif chosen.memory:
        for count in (10_000, 1_000_000):
            command = [sys.executable, "-m", "benchmarks.bulk", "--peak", str(count)]
            megabytes = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(f"{count:9} images: {megabytes:.0f} MB at most")
    else:
        speed(chosen.images, chosen.model)


def speed(images: int, model: Path | None) -> None:
    """Seconds in all, and images per second between the first part and the last."""
    print(describe_machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        photographs(folder / "in", images)
        file = model or folder / "model.safetensors"
        if model is None:
            masu.save(masu.build(DEFAULT, ["a", "b", "c"]), file)
        print(f"{images} JPEG photographs of 640×480, {file.name if model else DEFAULT}")
        detector = masu.load(file)
        detector.predict([folder / "in" / "0.jpg"])
        stamps: list[tuple[float, int]] = []

        def progress(done: int, total: int) -> None:
            stamps.append((time.perf_counter(), done))

        def timed(what: str) -> None:
            seconds = time.perf_counter() - started
            (first, before), (last, done) = next(s for s in stamps if s[1] >= PART), stamps[-1]
            print(
                f"{what:42} {seconds:6.1f} s   {(done - before) / (last - first):6.1f} images/s", flush=True
            )
            stamps.clear()

        started = time.perf_counter()
        detect(detector, [folder / "in"], progress=progress)
        timed("one process, image after image")
        ways = [
            ("one process, bulk", "local", None, 1),
            ("one process, bulk, batches of 4", "local", None, 4),
            ("Ray, 1 worker", "ray", 1, 1),
            ("Ray, 2 workers", "ray", 2, 1),
        ]
        for number, (what, engine, workers, batch_size) in enumerate(ways):
            started = time.perf_counter()
            detect_bulk(
                file,
                [folder / "in"],
                folder / f"out{number}",
                engine=engine,
                workers=workers,
                batch_size=batch_size,
                shard_images=PART,
                progress=progress,
            )
            timed(what)


def peak(count: int) -> float:
    """Megabytes at most of a job over so many missing images: what the list and the rows cost."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        masu.save(masu.build(DEFAULT, ["a"]), folder / "model.safetensors")
        lines = (f"/photographs/of/a/long/season/camera-{i % 50:02d}/{i:07d}.jpg" for i in range(count))
        (folder / "all.txt").write_text("\n".join(lines))
        detect_bulk(folder / "model.safetensors", [folder / "all.txt"], folder / "out")
    return status("VmHWM") / 1024


if __name__ == "__main__":
    main()
