"""FiftyOne: a model for `dataset.apply_model`."""

from fiftyone.utils.torch import DetectorOutputProcessor, TorchImageModel, TorchImageModelConfig
from torchvision.transforms.functional import to_tensor

import masu


def as_fiftyone(detector, threshold=0.5):
    """For ``dataset.apply_model(as_fiftyone(detector), label_field="found")``."""
    settings = {
        "model": masu.to_torchvision(detector),
        "classes": ["background", *detector.names],
        "output_processor_cls": DetectorOutputProcessor,
        "transforms": to_tensor,
        "raw_inputs": True,
        "confidence_thresh": threshold,
    }
    return TorchImageModel(TorchImageModelConfig(settings))
