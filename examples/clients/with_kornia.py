"""kornia: its augmentations as a callable of masu."""

from kornia.augmentation import AugmentationSequential, ColorJiggle, RandomAffine


class Varied:
    """For ``masu.TrainSettings(augmentation=Varied())``."""

    def __init__(self):
        self.steps = AugmentationSequential(
            RandomAffine(degrees=0.0, translate=(0.1, 0.1), p=1.0),
            ColorJiggle(0.2, 0.2, 0.2),
            data_keys=["input", "bbox_xyxy"],
        )

    def __call__(self, image, target):
        """An image ``(C, H, W)`` uint8 and its target, varied."""
        if len(target) == 0:
            return image, target
        varied, boxes = self.steps(image[None].float() / 255, target.boxes[None])
        return varied[0].clamp(0, 1), target.with_boxes(boxes[0])
