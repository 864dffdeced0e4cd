"""xaitk-saliency: what a detection rests on, by hiding parts of the picture."""

import numpy as np
from smqtk_detection import DetectImageObjects
from smqtk_image_io import AxisAlignedBoundingBox
from xaitk_saliency.impls.gen_object_detector_blackbox_sal.drise import RandomGridStack


class Blackbox(DetectImageObjects):
    """A detector as smqtk's."""

    def __init__(self, detector):
        self.names, self.network = detector.names, detector.prediction_network()

    def detect_objects(self, img_iter):
        """For each image its boxes, each with a score for every class."""
        for found in self.network.predict(list(img_iter)):
            yield [
                (AxisAlignedBoundingBox(box[:2], box[2:]), dict.fromkeys(self.names, 0.0) | {name: score})
                for box, score, name in zip(
                    found.boxes.numpy(), found.scores.tolist(), found.names, strict=True
                )
            ]

    def get_config(self):
        """Nothing: it is made from a detector."""
        return {}


def heat(detector, picture, found, masks=60):
    """``(k, H, W)`` in -1..1 for detections in a picture ``(H, W, 3)`` uint8."""
    scores = np.eye(len(detector.names))[found.labels] * found.scores.numpy()[:, None]
    saliency = RandomGridStack(n=masks, s=(20, 20), p1=0.5, seed=0, fill=[127, 127, 127])
    return saliency(picture, found.boxes.numpy(), scores, Blackbox(detector))
