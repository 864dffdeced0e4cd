"""A step of training in two processes over gloo: ``python -m tests.detectors.two_processes FILE ARCHITECTURE``.

Each process has images of its own. What ``DistributedDataParallel`` leaves as gradients must be the mean of the
gradients that each process has alone, and both processes must hold the same weights after the step. Prints a
line of JSON for each model: the largest difference from that mean, as a share of the largest gradient, and from
the other process.
"""

import json
import sys

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

import masu
from masu.detectors.build import build

BOXES = torch.tensor([[10.0, 20.0, 70.0, 90.0], [8.0, 8.0, 60.0, 80.0]])


def mean(x):
    total = x.clone()
    distributed.all_reduce(total)
    return total / 2


def compared(name, module, losses):
    """``losses(module)`` alone, then with the module wrapped."""
    trained = [p for p in module.parameters() if p.requires_grad]

    def gradients(of):
        torch.manual_seed(distributed.get_rank())
        module.zero_grad()
        sum(losses(of).values()).backward()
        return [p.grad.clone() for p in trained]

    alone = gradients(module)
    wanted = [mean(x) for x in alone]
    found = gradients(DistributedDataParallel(module))
    largest = max(float(x.abs().max()) for x in wanted)
    off = max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True)) / largest
    own = max(float((a - b).abs().max()) for a, b in zip(alone, wanted, strict=True)) / largest
    torch.optim.SGD(trained, 0.01).step()
    apart = max(float((p.detach() - mean(p.detach())).abs().max()) for p in trained)
    if distributed.get_rank() == 0:
        print(json.dumps({"model": name, "off": off, "own": own, "apart": apart}), flush=True)


def process(rank, file, kind):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    generator = torch.Generator().manual_seed(rank)
    images = [torch.rand((3, 96, 96), generator=generator) for _ in range(2)]
    boxes = [BOXES[rank:], BOXES[:rank]]  # the first process has an image without objects
    torch.manual_seed(0)
    detector = build(kind, ("disc", "ring"), image_size=96).train()
    targets = [{"boxes": own, "labels": torch.ones(len(own), dtype=torch.int64)} for own in boxes]
    compared(f"to_torchvision {kind}", masu.to_torchvision(detector), lambda of: of(images, targets))
    ids = [masu.Target(own, torch.zeros(len(own), dtype=torch.int64)) for own in boxes]
    compared(kind, detector, lambda of: detector.losses(of(images), ids))
    distributed.destroy_process_group()


if __name__ == "__main__":
    torch.multiprocessing.spawn(process, tuple(sys.argv[1:]), nprocs=2)
