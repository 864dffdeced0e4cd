"""pytorch-grad-cam: what the pyramid's maps respond to."""

from pytorch_grad_cam import EigenCAM
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from pytorch_grad_cam.utils.reshape_transforms import fasterrcnn_reshape_transform

import masu


def heat(detector, image, threshold=0.5):
    """``(H, W)`` in 0..1 of an image ``(C, H, W)``, float 0..1."""
    model = masu.to_torchvision(detector).eval()
    found = model([image])[0]
    sure = found["scores"] > threshold
    cam = EigenCAM(model, [model.backbone], reshape_transform=fasterrcnn_reshape_transform)
    return cam(image[None], [FasterRCNNBoxScoreTarget(found["labels"][sure], found["boxes"][sure])])[0]
