"""Train in the processes that `torchrun` starts: each writes the digest of its weights and its losses."""

import hashlib
import json
import os
import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader

import masu
from examples.clients.with_accelerate import train
from tests.clients.conftest import in_lists
from tests.clients.learning import mean_loss


def main(file: Path) -> None:
    torch.set_num_threads(1)
    names, pairs = torch.load(file, weights_only=True)
    torch.manual_seed(0)
    beginner = masu.build("faster_rcnn_lite0_fpn", names, image_size=192)
    before = mean_loss(beginner, pairs)
    after = train(beginner, DataLoader(pairs, batch_size=2, collate_fn=in_lists), epochs=3)
    digest = hashlib.sha256()
    for _, weight in sorted(after.state_dict().items()):
        digest.update(weight.numpy().tobytes())
    rank = os.environ["RANK"]
    said = {"digest": digest.hexdigest(), "before": before, "after": mean_loss(after, pairs)}
    (file.parent / f"rank{rank}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
