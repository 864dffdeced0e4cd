"""How near a network's layers come to what the machine can do, measured in the same run.

python -m benchmarks.roofline                 # a minute on two idle cores
python -m benchmarks.roofline --only small

A layer can take no less time than its multiplications at the rate of a large matrix product, nor than its
bytes (input, weights, output, each once) at the rate of a copy. The limit of a kind of layer is the sum over
its layers of the larger of both; its share is the limit over the time. Winograd needs fewer multiplications
than the limit counts, so that its share can pass 100 %.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from benchmarks.measure import Pair, alternate, describe_machine
from benchmarks.networks import pretrained_like, small_default
from benchmarks.torchvision_oracle import photographs
from masu.detectors.detector import Detector
from masu.ops.nms import compiled
from masu.ops.products import linear

NETWORKS: dict[str, Callable[[], Detector]] = {
    "small": lambda: small_default()[1],
    "mobilenet_320": lambda: pretrained_like("fasterrcnn_mobilenet_v3_large_320_fpn")[1],
    "resnet50": lambda: pretrained_like("fasterrcnn_resnet50_fpn")[1],
}
RUNS = 7


@dataclass
class Kind:
    """Layers of one kind: times of each run in ms, GFLOP, MB and the least time in ms."""

    times: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    gflop: float = 0
    megabytes: float = 0
    least: float = 0


def rates(side: int = 2048, megabytes: int = 256) -> tuple[float, float, float]:
    """GFLOP/s of ``@`` and of masu's product, and GB/s of a copy, read and written."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    source = torch.randn(megabytes * 250_000)
    target = torch.empty_like(source)
    with torch.inference_mode():
        plain, own = alternate(Pair(lambda: a @ b, lambda: linear(a, b), None), 9)
        copied, _ = alternate(Pair(lambda: target.copy_(source), None, None), 9)
    assert own is not None
    return 2 * side**3 / plain / 1e6, 2 * side**3 / own / 1e6, 2 * megabytes / copied


def kind_of(module: nn.Module) -> str | None:
    """A layer's kind; None for what has no weights and for what holds other layers."""
    if isinstance(module, nn.Linear):
        return "fully connected"
    if not isinstance(module, nn.Conv2d):
        return None
    if module.groups > 1:
        return "depthwise"
    rows, columns = module.kernel_size
    return f"{rows}×{columns}" + (f", stride {module.stride[0]}" if module.stride[0] > 1 else "")


def measure(detector: Detector, gflops: float, gigabytes: float) -> tuple[float, dict[str, Kind]]:
    """Milliseconds of a photograph, and what each kind of layer takes of them and needs at least."""
    network, photo = detector.prediction_network(), photographs()[:1]
    watched = copy.deepcopy(network)
    kinds: dict[str, Kind] = defaultdict(Kind)
    began: list[float] = []
    runs: list[int] = []

    def after(module: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
        took = (time.perf_counter() - began.pop()) * 1e3
        kind = kinds[kind_of(module) or ""]
        run = len(runs)
        if run > 0:  # the first run warms up
            kind.times[run] += took
        if run == 1:
            weight = next(module.parameters())
            flop = 2 * output.numel() * weight[0].numel()
            tensors = [*tree_leaves(given), weight, output]
            read = sum(t.nbytes for t in tensors)
            kind.gflop += flop / 1e9
            kind.megabytes += read / 1e6
            kind.least += max(flop / gflops, read / gigabytes) / 1e6

    for module in watched.detector.modules():
        if kind_of(module):
            module.register_forward_pre_hook(lambda *_: began.append(time.perf_counter()))
            module.register_forward_hook(after)
    whole = []
    for run in range(RUNS + 1):
        runs += [run] if run else []
        start = time.perf_counter()
        network.predict(photo)
        whole.append((time.perf_counter() - start) * 1e3)
        watched.predict(photo)
    return statistics.median(whole[1:]), kinds


def main() -> None:
    """Print the machine's rates and a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    chosen = parser.parse_args().only
    print(describe_machine())
    compiled()
    plain, own, gigabytes = rates()
    print(f"matrix product: {plain:.0f} GFLOP/s by @, {own:.0f} by masu; a copy: {gigabytes:.0f} GB/s\n")
    print("| network | layers | ms | GFLOP | MB | GFLOP/s | limit, ms | share |\n|" + " --- |" * 8)
    for name in chosen:
        whole, kinds = measure(NETWORKS[name](), max(plain, own), gigabytes)
        rest = whole
        for kind, found in sorted(kinds.items(), key=lambda item: -statistics.median(item[1].times.values())):
            took = statistics.median(found.times.values())
            rest -= took
            cells = [
                f"{took:.2f}",
                f"{found.gflop:.2f}",
                f"{found.megabytes:.0f}",
                f"{found.gflop / took * 1e3:.0f}",
            ]
            print(
                "| "
                + " | ".join([name, kind, *cells, f"{found.least:.2f}", f"{found.least / took:.0%}"])
                + " |"
            )
        gflop = sum(found.gflop for found in kinds.values())
        print(f"| {name} | everything else | {rest:.2f} | – | – | – | – | – |")
        print(
            f"| {name} | whole | {whole:.2f} | {gflop:.2f} | – | {gflop / whole * 1e3:.0f} | – | – |",
            flush=True,
        )


if __name__ == "__main__":
    main()
