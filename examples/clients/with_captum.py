"""captum: which pixels a detection rests on."""

import torch
from captum.attr import Saliency
from torchvision.ops import box_iou

import masu


def pixels_of(detector, image, row=0):
    """``(C, H, W)``: how much each pixel of an image, float 0..1, counts for its detection number ``row``."""
    model = masu.to_torchvision(detector).eval()
    box = model([image])[0]["boxes"][row : row + 1].detach()

    def score(batch):
        found = model(batch)
        return torch.stack([(box_iou(box, own["boxes"])[0] * own["scores"]).max() for own in found])

    return Saliency(score).attribute(image[None])[0]
