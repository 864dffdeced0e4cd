"""The upright box around a turned rectangle or ellipse."""

from __future__ import annotations

import math

from masu.data.formats.masks import box_of_points
from masu.data.formats.rows import BadEntryError, Box


def box_of_turned(box: Box, degrees: float, pivot: tuple[float, float]) -> Box:
    """The box around a rectangle that is turned clockwise about a point.

    Args:
        box: xyxy in pixels before it is turned, y downwards.
        degrees: of the turn.
        pivot: x and y of the point that stays.

    Raises:
        BadEntryError: for a turn that is not finite.
    """
    if not degrees:
        return box
    cosine, sine = _direction(degrees)
    x1, y1, x2, y2 = box
    px, py = pivot
    corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    return box_of_points(
        [
            (px + (x - px) * cosine - (y - py) * sine, py + (x - px) * sine + (y - py) * cosine)
            for x, y in corners
        ]
    )


def box_of_ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float) -> Box:
    """The box around an ellipse that is turned clockwise about its centre.

    Args:
        x: of the centre, in pixels.
        y: of the centre.
        radius_x: half its width before it is turned.
        radius_y: half its height.
        degrees: of the turn.

    Raises:
        BadEntryError: for a turn that is not finite.
    """
    cosine, sine = _direction(degrees)
    half_x = math.hypot(radius_x * cosine, radius_y * sine)
    half_y = math.hypot(radius_x * sine, radius_y * cosine)
    return x - half_x, y - half_y, x + half_x, y + half_y


def _direction(degrees: float) -> tuple[float, float]:
    """Cosine and sine; exact for quarter turns, so that whole pixels stay whole."""
    if not math.isfinite(degrees):
        raise BadEntryError(f"a rotation of {degrees}", "a number of degrees")
    quarters, rest = divmod(degrees, 90)
    if not rest:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarters % 4)]
    turn = math.radians(math.fmod(degrees, 360))
    return math.cos(turn), math.sin(turn)
