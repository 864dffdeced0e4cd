"""trackers follows what masu finds from frame to frame."""

import numpy as np

from examples.clients.with_trackers import tracked


def test_an_object_keeps_its_number_while_the_camera_pans(detector, pictures):
    """A window slides over one picture by 3 pixels a frame."""
    picture = pictures[3]
    frames = [np.ascontiguousarray(picture[:, 3 * i : 3 * i + 270]) for i in range(8)]
    ids = []
    for i, found in enumerate(tracked(detector, frames)):
        sure = found[found.confidence > 0.9]
        assert len(sure) > 0
        assert np.all(np.isfinite(sure.xyxy))
        if i >= 3:
            ids.append(sorted(sure.tracker_id.tolist()))
    assert ids[0]
    assert -1 not in ids[-1]
    assert all(set(ids[0]) <= set(later) for later in ids), ids
