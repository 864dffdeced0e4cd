"""torchvision's detectors with trained-looking weights, and both libraries' answers side by side."""

from __future__ import annotations

import numpy as np
import skimage.data
import sklearn.datasets
import torch
import torchvision
from torch import Tensor, nn

CLASSES = 6


def photographs() -> list[Tensor]:
    """Real photographs that scikit-learn and scikit-image ship, ``(3, H, W)`` float 0..1, of several sizes."""
    images = [
        *sklearn.datasets.load_sample_images().images,  # 427 × 640
        skimage.data.astronaut(),  # 512 × 512
        skimage.data.chelsea(),  # 300 × 451
    ]
    return [torch.from_numpy(np.array(i)).permute(2, 0, 1).contiguous() / 255 for i in images]


def reference(name: str, seed: int = 0, frozen: bool = False, **settings: object) -> nn.Module:
    """A torchvision detector whose outputs are as spread as a trained one's.

    Normalisation statistics are set from a real photograph, so that activations neither vanish nor
    explode; the heads' last layers are scaled until thousands of proposals and scores above the threshold
    survive.
    """
    torch.manual_seed(seed)
    model = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=CLASSES + 1, **settings
    )
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    images = photographs()
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    with torch.no_grad():
        batch, _ = model.transform([images[0], images[3]])
        model.train()
        features = model.backbone(batch.tensors)
        boxes = [torch.rand(64, 4) * 100 for _ in range(2)]
        for b in boxes:
            b[:, 2:] += b[:, :2] + 32
        heads = model.roi_heads
        pooled = heads.box_head(heads.box_roi_pool(features, boxes, batch.image_sizes))
        objectness, proposal_deltas = model.rpn.head(list(features.values()))
        scores, deltas = heads.box_predictor(pooled)
        _spread(model.rpn.head.cls_logits, objectness, 5)
        _spread(model.rpn.head.bbox_pred, proposal_deltas, 1)
        _spread(heads.box_predictor.cls_score, [scores], 4)
        _spread(heads.box_predictor.bbox_pred, [deltas], 3)
    for norm in norms:
        norm.momentum = 0.1
    model.roi_heads.box_roi_pool.scales = None
    if frozen:
        freeze_norms(model.backbone.body)
    return model.to(memory_format=torch.channels_last).eval()


def _spread(layer: nn.Conv2d | nn.Linear, outputs: list[Tensor], largest: float) -> None:
    """Scale and shift a last layer so that each output is centred and the largest of all is ``largest``."""
    flat = torch.cat([x.movedim(1, -1).flatten(0, -2) for x in outputs])
    layer.weight.mul_(largest / (flat - flat.mean(dim=0)).abs().max())
    layer.bias.sub_(flat.mean(dim=0) * largest / (flat - flat.mean(dim=0)).abs().max())


def freeze_norms(module: nn.Module) -> None:
    """As torchvision's builders do with pretrained weights."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = torchvision.ops.FrozenBatchNorm2d(child.num_features, child.eps)
            frozen.load_state_dict({k: v for k, v in child.state_dict().items() if "tracked" not in k})
            setattr(module, name, frozen)
        else:
            freeze_norms(child)
