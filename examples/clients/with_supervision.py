"""supervision: its detections, annotators and tiles."""

import numpy as np
import supervision as sv


def as_supervision(found):
    """Detections of masu as those of supervision."""
    return sv.Detections(
        xyxy=found.boxes.numpy(),
        confidence=found.scores.numpy(),
        class_id=found.labels.numpy(),
        data={"class_name": np.array(found.names, dtype=str)},
    )


def drawn(picture, found):
    """A copy of ``(H, W, 3)`` uint8 with boxes and names."""
    boxes = as_supervision(found)
    picture = sv.BoxAnnotator().annotate(picture.copy(), boxes)
    return sv.LabelAnnotator().annotate(picture, boxes)


def in_tiles(detector, picture, side=640, overlap=100):
    """What is found in overlapping tiles of a large picture."""
    network = detector.prediction_network()
    return sv.InferenceSlicer(
        lambda tile: as_supervision(network.predict([tile], threshold=0.5)[0]),
        slice_wh=side,
        overlap_wh=overlap,
    )(picture)
