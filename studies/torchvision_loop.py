"""torchvision's training loop, as its reference scripts have it, on a detector of masu: which settings learn.

    python -m studies.torchvision_loop DATA
    python -m studies.torchvision_loop DATA --optimizer adamw --lr 5e-4

The loop is that of ``references/detection`` of torchvision: batches of 2, flipped at random, a
learning rate that rises through the first epoch, gradients as they are, an end at a loss that is not finite.
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import nn

import masu
from masu.data.formats import Dataset
from masu.data.loading.loader import epoch_batches
from masu.data.loading.transforms import Augmentation

BATCH = 2
SAID_EVERY = 20
OPTIMIZERS = {
    "sgd": lambda trained, lr: torch.optim.SGD(trained, lr=lr, momentum=0.9, weight_decay=1e-4),
    "adamw": lambda trained, lr: torch.optim.AdamW(trained, lr=lr, weight_decay=1e-4),
}
FLIPS = Augmentation(photometric=0.0, scale=(1.0, 1.0))


def train(
    model: nn.Module, data: Dataset, optimizer: torch.optim.Optimizer, steps: int, clip: float | None
) -> int:
    """Train for so many steps; returns those that were taken, fewer where a loss was not finite."""
    model.train()
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    of_epoch = math.ceil(len(data) / BATCH)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / 1000, total_iters=min(1000, of_epoch - 1))
    step, seen = 0, []
    while step < steps:
        for batch in epoch_batches(data, BATCH, seed=0, epoch=step // of_epoch, augmentation=FLIPS):
            targets = [{"boxes": t.boxes, "labels": t.labels + 1} for t in batch.targets]
            terms = model([image / 255 for image in batch.images], targets)
            loss = sum(terms.values())
            if not math.isfinite(loss.item()):
                print(
                    f"step {step + 1}: {', '.join(f'{k} {v.item():.3g}' for k, v in terms.items())}; stopped"
                )
                return step
            optimizer.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(trained, clip)
            optimizer.step()
            warm.step()
            step += 1
            seen.append(loss.item())
            if step % SAID_EVERY == 0 or step == steps:
                rate = optimizer.param_groups[0]["lr"]
                print(
                    f"step {step}: learning rate {rate:.2g}, mean loss {sum(seen) / len(seen):.3f}",
                    flush=True,
                )
                seen.clear()
            if step == steps:
                return step
    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--model", default="faster_rcnn_lite0_fpn")
    parser.add_argument("--weights", default="imagenet", choices=("imagenet", "none", "auto"))
    parser.add_argument("--optimizer", default="sgd", choices=OPTIMIZERS)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--clip", type=float, help="Largest norm of the gradients; default: as they are.")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--images", type=int, help="Evaluate on so many; default: all of the split test.")
    options = parser.parse_args()
    torch.manual_seed(0)
    data, test = (masu.read_dataset(options.data, split=name) for name in ("train", "test"))
    detector = masu.build(options.model, data.names, options.weights, options.image_size)
    model = masu.to_torchvision(detector)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = OPTIMIZERS[options.optimizer](trained, options.lr)
    taken = train(model, data, optimizer, options.steps, options.clip)
    found = masu.evaluate(
        model.to_masu().eval(), test.take(range(options.images)) if options.images else test
    )
    print(f"{options.optimizer} {options.lr:g}: {taken} steps, AP {found.ap:.3f}, AP50 {found.ap50:.3f}")


if __name__ == "__main__":
    main()
