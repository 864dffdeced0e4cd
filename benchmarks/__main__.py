"""``python -m benchmarks [--json FILE] [--chart FILE] [--only NAME …]``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import evaluation, exports, networks, operators
from benchmarks.measure import Row, describe_machine, gflops_of_matmul, measure, print_peak

CASES = {case.name: case for case in (*operators.CASES, *networks.CASES, *exports.CASES, *evaluation.CASES)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, help="write one object per row to this file")
    parser.add_argument("--chart", type=Path, help="draw the ratios to this file")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--peak", nargs=2, metavar=("NAME", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        name, side = arguments.peak
        print_peak(CASES[name], side)
        return
    began = time.perf_counter()
    print(describe_machine())
    rows = [Row("machine_matmul", gflops_of_matmul(), None, None, "GFLOP/s")]
    if "infer_resnet50" in arguments.only:
        rows.append(Row("network_resnet50", networks.gflop(), None, None, "GFLOP"))
    for row in rows:
        print(f"{row.name}: {row.masu:.0f} {row.unit}")
    print("\n| name | work | masu | reference | ratio | wanted |\n|" + " --- |" * 6)
    for name in arguments.only:
        case = CASES[name]
        if case.unit == "MB" and not sys.platform.startswith("linux"):
            print(f"{name}: left out, peak memory is measured on Linux only", file=sys.stderr)
            continue
        row = measure(case)
        rows.append(row)
        wanted = "–" if case.target is None else f"{case.target:g}×"
        cells = [name, case.work, _amount(row.masu, row.unit), _amount(row.reference, row.unit)]
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}×"
        print("| " + " | ".join([*cells, ratio, wanted]) + " |", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all", file=sys.stderr)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if arguments.chart:
        draw(rows, arguments.chart)


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def draw(rows: list[Row], path: Path) -> None:
    """Ratios as bars on a logarithmic axis, the wanted ones as ticks."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    shown = [row for row in rows if row.ratio is not None][::-1]
    figure, axes = pyplot.subplots(figsize=(8, 0.32 * len(shown) + 1), layout="constrained")
    axes.barh([row.name for row in shown], [row.ratio for row in shown], color="#2a6f97")
    for i, row in enumerate(shown):
        target = CASES[row.name].target
        if target:
            axes.plot([target, target], [i - 0.4, i + 0.4], color="#d62828", linewidth=2)
        axes.annotate(f"{row.ratio:.1f}×", (row.ratio, i), xytext=(4, -3), textcoords="offset points")
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("torchvision (pycocotools) ÷ masu, red: wanted")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
