"""The way in which a model looks at pictures: at what size, and how often.

What is measured of its scores and boxes (thresholds, calibration, margins) is of the way in which it was
measured, so a model's file says which one that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from masu.errors import bad_input
from masu.settings import Within, check_fields


@dataclass(frozen=True)
class Way:
    """How pictures are looked at.

    Attributes:
        image_size: shorter side of the network's input in pixels.
        looks: 1; 2: at the mirror image, too.
    """

    image_size: Annotated[int, Within(1, 65_536)]
    looks: Annotated[int, Within(1, 2)] = 1

    def __post_init__(self) -> None:
        check_fields(self)

    def unlike(self, other: Way) -> str:
        """What sets it apart from another one, in options; empty for the same.

        ``Way(320).unlike(Way(672, 2))`` is ``"with --image-size 320 and without --tta"``.
        """
        said = [] if self.image_size == other.image_size else [f"with --image-size {self.image_size}"]
        if self.looks != other.looks:
            said.append("with --tta" if self.looks == 2 else "without --tta")
        return " and ".join(said)


def refuse_other_size(own: int, asked: int) -> None:
    """Refuse to ask an exported file, whose graph has its size built in, at another one.

    Args:
        own: shorter side to which the graph brings images, in pixels.
        asked: the one that is wanted.

    Raises:
        InputError: where they differ.
    """
    if asked != own:
        raise bad_input(
            "--image-size",
            f"{asked} for an exported file, whose graph brings images to {own} pixels",
            f"{own}, or a model of masu (.safetensors)",
            f"export the model at that size: masu export MODEL --image-size {asked}",
        )


def refuse_mixed(thing: object, staying: Sequence[str], before: Way, now: Way) -> None:
    """Refuse to put what was measured in one way beside what was measured in another one.

    Args:
        thing: that stores, or where.
        staying: what a model's file has and keeps.
        before: the way in which that was measured.
        now: that of what comes.

    Raises:
        InputError: for two ways, with what measures the rest anew.
    """
    if staying and before != now:
        anew = "calibrate" if "calibrated scores" in staying else "store-thresholds"
        raise bad_input(
            thing,
            f"{' and '.join(staying)} in the model that were measured {before.unlike(now)}",
            "one way of looking for all that a model holds",
            f"measure them anew: --{anew}{' none' if anew == 'calibrate' else ' beside it'}",
        )
