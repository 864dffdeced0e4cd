"""trackers: ByteTrack on a detector's boxes."""

import supervision as sv
from trackers import ByteTrackTracker


def tracked(detector, frames):
    """For each frame its boxes, with ``tracker_id`` (-1 until a track has begun)."""
    tracker, network = ByteTrackTracker(), detector.prediction_network()
    for frame in frames:
        found = network.predict([frame], threshold=0.1)[0]
        yield tracker.update(
            sv.Detections(found.boxes.numpy(), confidence=found.scores.numpy(), class_id=found.labels.numpy())
        )
