"""One model in every runtime that is installed: milliseconds an image, bytes, AP.

    python -m benchmarks.deploy runs/mine/best.safetensors photos/            # the table for docs/deploy.md
    python -m benchmarks.deploy runs/mine/best.safetensors photos/ --only tflite --json docs/deploy.json

One image at a time, on one thread, reading of files left out; the median of ``--images`` images of the test
split. Other rows of the JSON stay, so that a runtime of another environment can be added.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import masu
from masu import InputError
from masu.data.dataset import Dataset
from masu.data.pixels.images import read_pixels
from masu.evaluation.evaluate import evaluate
from masu.exports.exported import ExportedDetector
from masu.exports.write import SUFFIXES
from masu.seal import files_of
from masu.verbs.export import export

RUNTIMES = {
    "eager": "PyTorch",
    "onnx": "ONNX Runtime",
    "int8": "ONNX Runtime, 8 bits",
    "openvino": "OpenVINO",
    "tflite": "LiteRT",
    "ncnn": "ncnn",
}


def measure(to: str, detector: Any, data: Dataset, calibration: Dataset, images: int) -> dict[str, Any]:
    """One row: exported, timed, scored; or why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        opened, size, more = detector, None, {}
        if to != "eager":
            target: Any = "onnx" if to == "int8" else to
            file = Path(folder) / f"model{SUFFIXES[target]}"
            try:
                if to == "int8":
                    done = export(detector, file, to=target, data=data, int8=calibration)
                    more = {"spared": done.spared}
                else:
                    export(detector, file, to=target, canvas=_canvas(detector, data, to))
            except InputError as error:
                return {"refused": str(error)}
            size = sum(part.stat().st_size for part in files_of(file))
            opened = ExportedDetector(file, threads=1)
        pixels = [read_pixels(data[i].image, None) for i in range(min(images, len(data)))]
        opened.predict(pixels[0])
        times = []
        for image in pixels:
            started = time.perf_counter()
            opened.predict(image)
            times.append(time.perf_counter() - started)
        ap = getattr(evaluate(opened, data), "ap", None)
        return {"ms": 1000 * statistics.median(times), "bytes": size, "ap": ap} | more


def _canvas(detector: Any, data: Dataset, to: str) -> tuple[int, int] | None:
    from masu.exports.parts import canvas_for

    return canvas_for(detector.input, data.sizes.tolist()) if to in ("tflite", "ncnn") else None


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| model | runtime | ms | MB | AP |", "|" + " --- |" * 5]
    for row in rows:
        if "refused" in row:
            cells = ["–", "–", "–"]
        else:
            cells = [
                f"{row['ms']:.0f}",
                "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}",
                f"{row['ap']:.3f}",
            ]
        lines.append(f"| `{row['model']}` | {RUNTIMES[row['to']]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", help="of the model in the table; default: its type")
    parser.add_argument("--json", type=Path, default=Path("docs/deploy.json"))
    parser.add_argument("--only", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--images", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    detector = masu.load(arguments.model)
    name = arguments.name or type(detector).__name__
    data, calibration = (masu.read_dataset(arguments.data, split=split) for split in ("test", "train"))
    for to in arguments.only:
        found = measure(to, detector, data, calibration, arguments.images)
        rows = json.loads(arguments.json.read_text()) if arguments.json.exists() else []
        rows = [row for row in rows if (row["model"], row["to"]) != (name, to)]
        rows.append({"model": name, "to": to} | found)
        order = list(RUNTIMES)
        rows.sort(key=lambda row: (row["model"], order.index(row["to"])))
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
        print(name, to, found, file=sys.stderr, flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
