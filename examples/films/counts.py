"""Who crosses a line, and how many are in a zone: a film's tracks, counted by supervision.

    python counts.py MODEL FILM LINE ZONE
    python counts.py best.safetensors street.mp4 0,300,1280,300 "400,200 900,200 900,700 400,700"

LINE is x1,y1,x2,y2, ZONE the corners of a polygon, in pixels. Needs `pip install 'masu[video]'`.
"""

import sys

import numpy as np
import supervision as sv

import masu


def counts(detector, film, line, zone, threshold=None):
    """Walk through a film.

    Returns:
        How many objects crossed the line in one direction and in the other, and of each frame its seconds
        and how many objects were in the zone.
    """
    x1, y1, x2, y2 = line
    gate = sv.LineZone(start=sv.Point(x1, y1), end=sv.Point(x2, y2), triggering_anchors=[sv.Position.CENTER])
    area = sv.PolygonZone(polygon=np.array(zone), triggering_anchors=[sv.Position.CENTER])
    inside = []
    for seen in masu.watch(detector, film, track=True, threshold=threshold):
        known = [row for row, track in enumerate(seen.tracks) if track is not None]
        found = seen.found[known].to_supervision()
        found.tracker_id = np.array([seen.tracks[row] for row in known], int)
        gate.trigger(found)
        inside.append((seen.frame.seconds, int(area.trigger(found).sum())))
    return gate.in_count, gate.out_count, inside


if __name__ == "__main__":
    model, film, line, zone = sys.argv[1:5]
    corners = [tuple(map(int, corner.split(","))) for corner in zone.split()]
    came, went, inside = counts(masu.load(model), film, tuple(map(int, line.split(","))), corners)
    print(f"{came} in one direction, {went} in the other; most in the zone: {max(n for _, n in inside)}")
