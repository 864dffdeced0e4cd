"""Images per second of bulk detection, against one process that predicts image after image.

python -m benchmarks.bulk                # a few minutes; wants the extra masu[ray]
python -m benchmarks.bulk --row          # bytes of a row in a part
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet

import masu
from benchmarks.data_check import photographs
from benchmarks.measure import describe_machine
from masu.bulk.job import detect_bulk
from masu.bulk.table import ImageRow, to_table
from masu.detectors.zoo import DEFAULT
from masu.records import Detections
from masu.verbs.detect import detect

PART = 8


def main() -> None:
    """Print one line per way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--model", type=Path, help="default: the small architecture, untrained")
    parser.add_argument("--row", action="store_true")
    chosen = parser.parse_args()
    if chosen.row:
        for objects in (0, 2, 8, 32, 100):
            print(f"{objects:3} objects an image: {row_bytes(objects):5.0f} bytes a row")
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


def row_bytes(objects: int, images: int = 4096) -> float:
    """Bytes of a row in a Parquet file where so many objects of 20 classes are found in each image."""
    draw = np.random.default_rng(0)
    rows = []
    for i in range(images):
        corners, labels = draw.random((objects, 4)) * 480, draw.integers(0, 20, objects)
        boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:] + 1], 1)
        scores = np.sort(draw.random(objects))[::-1]
        found = Detections(boxes, scores.copy(), labels, [f"class {label}" for label in labels])
        rows.append(ImageRow(f"s3://season/camera-{i % 50:02d}/{i:08d}.jpg", 480, 640, found))
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(to_table(rows), buffer, compression="zstd")
    return len(buffer.getvalue()) / images


if __name__ == "__main__":
    main()
