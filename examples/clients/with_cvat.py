"""CVAT: a function for `cvat-cli task auto-annotate` and `annotate_task`."""

import cvat_sdk.auto_annotation as cvataa


class CvatFunction:
    """In the module that CVAT is given: ``create = lambda model: CvatFunction(masu.load(model))``."""

    def __init__(self, detector):
        self.network = detector.prediction_network()
        self.spec = cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(name, i, type="rectangle") for i, name in enumerate(detector.names)]
        )

    def detect(self, context, image):
        """Rectangles in pixels of a Pillow image."""
        threshold = 0.5 if context.conf_threshold is None else context.conf_threshold
        found = self.network.predict([image], threshold)[0]
        return [
            cvataa.rectangle(label, box)
            for label, box in zip(found.labels.tolist(), found.boxes.tolist(), strict=True)
        ]
