"""torchvision's Faster R-CNN on the small default's backbone, trained as its users do."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from masu.data.formats import Dataset
from masu.data.loading.loader import epoch_batches
from masu.data.loading.pictures import MOST_BYTES, Pictures
from masu.data.loading.transforms import Augmentation
from masu.nets.backbones import Stages, backbone
from masu.nets.imagenet import fill_imagenet
from masu.nets.norm import freeze_norms
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.training.recipe import SPARE

BATCH = 4
LEARNING_RATE = 0.01
CHANNELS = 128


class _Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body: Stages = backbone("efficientnet_lite0")
        fill_imagenet(self.body, "efficientnet_lite0")
        freeze_norms(self.body)
        self.fpn = FeaturePyramidNetwork(list(self.body.channels), CHANNELS, LastLevelMaxPool())
        self.out_channels = CHANNELS

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = self.fpn({str(i): m for i, m in enumerate(self.body(x))})
        return maps


class Baseline:
    """The detector as ``masu.evaluate`` takes one."""

    kind = "detector"
    input = InputPolicy()

    def __init__(self, model: FasterRCNN, names: Sequence[str]) -> None:
        self.model, self.names = model, tuple(names)

    def predict(
        self, images: Sequence[Tensor], threshold: float | None = None, batch_size: int = 1
    ) -> list[Detections]:
        """See :meth:`masu.detectors.detector.Detector.predict`."""
        found = []
        with torch.inference_mode():
            for image in images:
                (raw,) = self.model.eval()([image / 255])
                labels = raw["labels"] - 1
                names = tuple(self.names[i] for i in labels.tolist())
                found.append(Detections(raw["boxes"], raw["scores"], labels, names))
        return found


def train(data: Dataset, budget: float, seed: int, augmentation: Augmentation) -> tuple[Baseline, float, int]:
    """Train for ``budget`` seconds; returns the detector, the seconds and the steps."""
    torch.manual_seed(seed)
    sizes = ((32,), (64,), (128,), (256,))
    model = FasterRCNN(
        _Pyramid(),
        num_classes=len(data.names) + 1,
        min_size=320,
        max_size=640,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], output_size=7, sampling_ratio=2),
        box_score_thresh=0.02,
    ).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.0, momentum=0.9, weight_decay=1e-4)
    pictures = Pictures(shorter=math.ceil(SPARE * 320 * augmentation.enlarges), most_bytes=MOST_BYTES)
    seconds, step, epoch = 0.0, 0, 0
    while seconds < budget:
        clock = time.perf_counter()
        reading = {"seed": seed, "epoch": epoch, "augmentation": augmentation, "pictures": pictures}
        for batch in epoch_batches(data, BATCH, **reading):
            for group in optimizer.param_groups:
                warm = min((step + 1) / 50, 1.0)
                group["lr"] = LEARNING_RATE * warm * 0.5 * (1 + math.cos(math.pi * seconds / budget))
            targets = [{"boxes": t.boxes, "labels": t.labels + 1} for t in batch.targets]
            losses = model([image / 255 for image in batch.images], targets)
            optimizer.zero_grad()
            torch.autograd.backward(torch.stack(list(losses.values())).sum())
            nn.utils.clip_grad_norm_(trained, 10.0)
            optimizer.step()
            now = time.perf_counter()
            seconds, clock, step = seconds + now - clock, now, step + 1
            if seconds >= budget:
                break
        epoch += 1
    return Baseline(model, data.names), seconds, step
