"""Data sets of a million images: how long reading them takes, and how much memory.

    python -m benchmarks.large_data coco --images 1000000 --objects 10
    python -m benchmarks.large_data first-step --images 100000
    python -m benchmarks.large_data check --images 100000
    python -m benchmarks.large_data mend

Every measurement runs in a process of its own. Images are links to a few JPEG files, so that the disk
holds them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((480, 640), (640, 480), (427, 640), (375, 500))
PER_FOLDER = 10_000
CLASSES = 80


def make_coco(folder: Path, images: int, objects: int, split: str = "train", seed: int = 0) -> Path:
    """A COCO file with so many images and boxes, and the images in folders of ten thousand."""
    draw = np.random.default_rng(seed)
    originals = []
    for number, (height, width) in enumerate(SIZES):
        file = folder / "originals" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        small = draw.integers(0, 255, (height // 16, width // 16, 3), np.uint8)
        Image.fromarray(small).resize((width, height)).save(file, quality=80)
        originals.append(file)
    file = folder / "annotations" / f"instances_{split}.json"
    file.parent.mkdir(exist_ok=True)
    with file.open("w") as stream:
        stream.write('{"info": {"year": 2026}, "images": [')
        for i in range(images):
            name = f"{split}/{i // PER_FOLDER:04d}/{i:09d}.jpg"
            path = folder / "images" / name
            if i % PER_FOLDER == 0:
                path.parent.mkdir(parents=True)
            link(originals, i, path)
            height, width = SIZES[i % len(SIZES)]
            comma = "," if i else ""
            stream.write(f'{comma}{{"id": {i}, "file_name": "{name}", "height": {height}, "width": {width}}}')
        stream.write('], "annotations": [')
        block = 100_000
        total = images * objects
        for start in range(0, total, block):
            count = min(block, total - start)
            corners = draw.integers(0, 200, (count, 2)).tolist()
            sides = draw.integers(8, 170, (count, 2)).tolist()
            classes = draw.integers(1, CLASSES + 1, count).tolist()
            owners = draw.integers(0, images, count).tolist()
            rows = []
            columns = zip(corners, sides, classes, owners, strict=True)
            for k, ((x, y), (w, h), category, image) in enumerate(columns):
                rows.append(
                    f'{{"id": {start + k}, "image_id": {image}, "category_id": {category}, '
                    f'"bbox": [{x}.5, {y}.25, {w}.0, {h}.5], "area": {w * h}.0, "iscrowd": 0}}'
                )
            stream.write(("," if start else "") + ",".join(rows))
        names = ", ".join(f'{{"id": {k}, "name": "class {k:02d}"}}' for k in range(1, CLASSES + 1))
        stream.write(f'], "categories": [{names}]}}')
    return file


def link(originals: list[Path], number: int, path: Path) -> None:
    """A hard link to one of the originals; another copy of it where a file has as many as it may."""
    at = number % len(originals)
    try:
        os.link(originals[at], path)
    except OSError:
        fresh = originals[at].with_name(f"{number}.jpg")
        fresh.write_bytes(originals[at].read_bytes())
        originals[at] = fresh
        os.link(fresh, path)


def measured(work: str, *arguments: str) -> dict[str, float]:
    """The figures of one piece of work, done in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.large_data", "--work", work, *arguments]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return figures


def work(name: str, arguments: list[str]) -> dict[str, float]:
    """What one process does, timed: annotations to columns, then the heads of the images, then batches."""
    from masu.data.formats import read_annotations, usable

    started = time.perf_counter()
    figures: dict[str, float] = {}
    if name == "read":
        raw = read_annotations(arguments[0])
        figures["annotations_seconds"] = time.perf_counter() - started
        data = usable(raw, "train")
        figures["dataset_seconds"] = time.perf_counter() - started
        figures["images"], figures["objects"] = len(data), len(data.boxes)
    elif name == "check":
        from masu.verbs.check import check

        report = check(Path(arguments[0]))
        figures["findings"] = len(report.findings)
        figures["seconds"] = time.perf_counter() - started
    figures["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return figures


def first_step(folder: Path) -> dict[str, float]:
    """`masu train` from its start until the first step begins: the run's first state is written then."""
    command = [sys.executable, "-m", "masu", "train", str(folder), "--weights", "none", "--image-size", "64"]
    command += ["--epochs", "1", "--out", str(folder / "run")]
    started = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE)
    state = folder / "run" / "resume.safetensors"
    while process.poll() is None and not state.exists():
        time.sleep(0.05)
    figures = {"seconds_to_first_step": time.perf_counter() - started}
    if process.poll() is not None:
        raise SystemExit(f"the training ended: {process.communicate()[0].decode()[-500:]}")
    process.terminate()
    process.wait()
    return figures


def mend() -> dict[str, float]:
    """Ten thousand boxes in one image, half of them doubles, through the mending."""
    from masu.data.audit.overlaps import first_twins

    draw = np.random.default_rng(0)
    corners = draw.uniform(0, 4000, (5_000, 2))
    boxes = np.concatenate([corners, corners + draw.uniform(5, 60, (5_000, 2))], 1)
    boxes = np.concatenate([boxes, boxes])
    started = time.perf_counter()
    twins = first_twins(boxes, np.zeros(len(boxes), np.int64), 0.99)
    return {"seconds": time.perf_counter() - started, "doubles": float((twins >= 0).sum())}


def main() -> None:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("what", nargs="?", choices=("coco", "first-step", "check", "mend"))
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--work", nargs="+")
    given = parser.parse_args()
    if given.work:
        print(json.dumps(work(given.work[0], given.work[1:])))
        return
    if given.what == "mend":
        print(mend())
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        file = make_coco(folder, given.images, given.objects)
        size = file.stat().st_size / 1e9
        print(f"{given.images} images, {given.images * given.objects} objects, {size:.2f} GB")
        if given.what == "coco":
            print(measured("read", str(folder)))
        elif given.what == "check":
            print(measured("check", str(folder)))
        else:
            make_coco(folder, given.images // 100, given.objects, "val")
            print(first_step(folder))


if __name__ == "__main__":
    main()
