"""albumentations: a pipeline as augmentation."""

import albumentations as A

import masu


def settings(**more):
    """For ``masu.train``; boxes are pascal_voc, that is xyxy in pixels."""
    boxes = A.BboxParams(format="pascal_voc", label_fields=["labels"], min_visibility=0.3)
    pipeline = A.Compose([A.Affine(translate_percent=0.1), A.RandomBrightnessContrast()], bbox_params=boxes)
    return masu.TrainSettings(augmentation=pipeline, **more)
