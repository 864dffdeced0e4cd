"""Films made for tests: coloured squares that move as is known, and a detector that finds them by their colour."""

from fractions import Fraction

import av
import numpy as np

from masu.ops.images import InputPolicy
from masu.records import Detections

NAMES = ("red", "green", "blue")
COLOURS = np.array([(220, 30, 30), (30, 200, 30), (40, 40, 230)])
SIZE = 12


def place(colour, number):
    """Left upper corner of the square of a colour in a frame: red goes right, green down, blue left."""
    return [(4 + 3 * number, 8), (60, 4 + 2 * number), (100 - 3 * number, 40)][colour]


def box(colour, number):
    x, y = place(colour, number)
    return [x, y, x + SIZE, y + SIZE]


def scene(number, colours=(0, 1, 2), size=(120, 80)):
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    for colour in colours:
        x, y = place(colour, number)
        image[y : y + SIZE, x : x + SIZE] = COLOURS[colour]
    return image


def film(
    path, images, *, times=None, codec="ffv1", pixels="bgr0", rate=10, rotation=0, options=None, base=None
):
    """A film of images at times in seconds (default: number / rate), lossless by default."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = images[0].shape[1], images[0].shape[0], pixels
        base = base or Fraction(1, 1000)
        stream.codec_context.time_base = stream.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            seconds = number / rate if times is None else times[number]
            frame.pts, frame.time_base = round(seconds / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Finder:
    """Finds the squares by their colour, exactly in a lossless film; a square half out of sight is weaker."""

    names = NAMES
    kind = "detector"
    input = InputPolicy()

    def __init__(self, scores=None):
        self.scores = scores or (lambda colour, call: 0.9 - colour / 100)
        self.calls = 0
        self.shapes = []

    def predict(self, images, threshold=None, batch_size=1):
        return [self._of(image, threshold) for image in images]

    def _of(self, image, threshold):
        self.shapes.append(tuple(image.shape))
        pixels = image.permute(1, 2, 0).numpy().astype(int)
        boxes, scores, labels = [], [], []
        for colour, wanted in enumerate(COLOURS):
            rows, columns = np.nonzero(np.abs(pixels - wanted).max(-1) < 40)
            if len(rows):
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                scores.append(self.scores(colour, self.calls))
                labels.append(colour)
        self.calls += 1
        found = Detections(boxes, scores, labels, [NAMES[k] for k in labels])
        return found.above(0 if threshold is None else threshold)
