"""A detector that looks at large pictures in tiles, whatever it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from masu.detectors.predict import Predictor
from masu.errors import bad_input
from masu.tiles import Tiles

AnyPredictor = TypeVar("AnyPredictor", bound=Predictor)


def tiled(detector: AnyPredictor, side: int | None, overlap: float = 0.2) -> AnyPredictor:
    """The same detector, looking at large pictures in tiles, or as wholes only.

    Args:
        detector: of masu, or an exported file; it stays as it is. A model that is saved keeps its tiles.
        side: pixels of the picture that a tile has on each side; None: no tiles.
        overlap: share of its side that a tile has in common with the next one, at least.

    Returns:
        A detector of the same kind.

    Raises:
        TypeError: for what has no ``with_tiles``, such as a path.
        InputError: for a side or an overlap out of range.
    """
    if not isinstance(detector, Predictor):
        raise TypeError(
            f"tiled: found a value of type {type(detector).__name__}, wanted a detector; masu.load opens one"
        )
    return detector.with_tiles(None if side is None else Tiles(side, overlap))


def as_told(detector: AnyPredictor, side: int | None, overlap: float | None) -> AnyPredictor:
    """A detector with what was said of its tiles in the place of its own.

    Args:
        detector: it stays as it is.
        side: None: as it is; 0: no tiles.
        overlap: None: as it is.

    Raises:
        InputError: for an overlap without tiles, or a number out of range.
    """
    if side is None and overlap is None:
        return detector
    own = detector.input.tiles
    if side == 0 or (side is None and own is None):
        if overlap is None:
            return detector.with_tiles(None)
        raise bad_input("--overlap", "no tiles to overlap", "--tiles beside it", "or leave --overlap out")
    said: dict[str, Any] = {
        name: value for name, value in (("side", side), ("overlap", overlap)) if value is not None
    }
    return detector.with_tiles(Tiles(**said) if own is None else replace(own, **said))


def refuse_tiled(verb: str, shape: Sequence[int], tiles: Tiles | None) -> None:
    """Refuse a picture that the detector sees in tiles where one is looked into.

    Args:
        verb: that cannot do it.
        shape: of the picture, ``(C, H, W)``.
        tiles: of the detector.

    Raises:
        InputError: naming a way out.
    """
    height, width = shape[1:]
    if tiles is not None and tiles.needed(height, width):
        raise bad_input(
            verb,
            f"a picture of {width}×{height} pixels, which is cut into tiles of {tiles.side}",
            "one of at most a tile",
            "cut such a part out of it, or look at the whole with --tiles none (masu.tiled(detector, None))",
        )
