"""Any callable as augmentation: what masu asks of one, and the check of what comes back."""

from __future__ import annotations

import multiprocessing
import pickle
import re
from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from masu.data.loading.libraries import called
from masu.data.loading.randomness import seeded
from masu.errors import InputError, bad_input
from masu.records import Target

ROUNDING = 1e-3
"""Floats may lie outside 0–1 by this much: an interpolation rounds. They are clipped."""


class Variation(Protocol):
    """What the loader asks of an augmentation."""

    @property
    def alone(self) -> bool:
        """Whether it neither reads nor changes what others see, such as the global random state.

        Then it may work in a thread beside them.
        """

    @property
    def enlarges(self) -> float | None:
        """How much it enlarges a part of an image at most; None: unknown, images come at their full size."""

    def varied(
        self, image: Tensor, target: Target, *, seed: int, bands: bool, classes: int
    ) -> tuple[Tensor, Target]:
        """A varied copy of an image and its objects, the same for the same seed.

        Args:
            image: ``(C, H, W)`` on the CPU, uint8 or float.
            target: its objects.
            seed: any integer from 0 below 2**63.
            bands: the channels are no colours, and floats have any range.
            classes: number of classes.
        """

    def described(self) -> dict[str, Any]:
        """It as JSON has it, the same in every process of the same script."""


def variation(given: Variation | Callable[..., Any]) -> Variation:
    """An augmentation as the loader asks it.

    Args:
        given: a :class:`masu.Augmentation`; a callable ``(image, target) -> (image, target)``; a transform
            of ``torchvision.transforms.v2``; or a ``Compose`` of albumentations.

    Raises:
        InputError: none of these.
    """
    if hasattr(given, "varied"):
        return cast(Variation, given)
    if not callable(given):
        raise bad_input(
            "augmentation",
            f"a value of type {type(given).__name__}",
            "masu.Augmentation or a callable (image, target) -> (image, target)",
            "pass one of these",
        )
    return Called(given)


def refuse_unpicklable(given: Variation | Callable[..., Any]) -> None:
    """Refuse an augmentation that cannot be sent to worker processes, where these are not forked.

    Raises:
        InputError: if so.
    """
    if multiprocessing.get_start_method() == "fork":
        return
    try:
        pickle.dumps(given)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise bad_input(
            f"augmentation {name_of(given)}",
            f"a callable that cannot be sent to worker processes ({error})",
            "one that can be pickled",
            "write it with def or class at the top of a module, or read without workers (workers=0)",
        ) from None


def name_of(given: object) -> str:
    """Module and qualified name of a function, or of an object's class."""
    named = given if hasattr(given, "__qualname__") else type(given)
    return f"{named.__module__}.{named.__qualname__}"


class Called:
    """A callable as the loader asks an augmentation.

    Args:
        given: see :func:`variation`.
    """

    alone = False
    enlarges = None

    def __init__(self, given: Callable[..., Any]) -> None:
        self.given, self.change = given, called(given)

    def described(self) -> dict[str, Any]:
        """Its name and its ``repr``, without addresses in memory."""
        return {"callable": name_of(self.given), "repr": re.sub(r" at 0x[0-9a-fA-F]+", "", repr(self.given))}

    def varied(
        self, image: Tensor, target: Target, *, seed: int, bands: bool, classes: int
    ) -> tuple[Tensor, Target]:
        """What the callable returns, checked: see :class:`Variation`.

        Boxes are clipped to the new image; those without area are left out.

        Raises:
            InputError: what is no image of the same number of channels with its target.
        """
        channels = len(image)
        with seeded(seed):
            made: Any = self.change(image, target)
        if not isinstance(made, tuple | list) or len(made) != 2:
            raise self._bad(f"{_kind(made)} returned", "a pair (image, target)", "return both")
        picture = self._image(made[0], channels, bands)
        return picture, self._target(made[1], picture, classes)

    def _image(self, made: Any, channels: int, bands: bool) -> Tensor:
        if not isinstance(made, Tensor):
            raise self._bad(f"an image of type {_kind(made)}", "a tensor (C, H, W)", "return one")
        image: Tensor = made.detach().cpu().as_subclass(Tensor)
        if image.ndim != 3 or len(image) != channels or image.numel() == 0:
            shape = tuple(image.shape)
            raise self._bad(f"an image of shape {shape}", f"({channels}, H, W)", "keep the channels first")
        if image.dtype == torch.uint8:
            return image.contiguous()
        if not image.is_floating_point():
            raise self._bad(f"an image of {image.dtype}", "uint8 or floats 0–1", "convert it to one of these")
        image = image.float().contiguous()
        low, high = (float(value) for value in image.aminmax())
        least, most = (-torch.finfo().max, torch.finfo().max) if bands else (-ROUNDING, 1 + ROUNDING)
        if not (low >= least and high <= most):
            wanted = "finite values" if bands else "floats 0–1"
            fix = (
                "look where they arise"
                if bands
                else "clip or rescale them; the detector normalises by itself"
            )
            raise self._bad(f"an image with values from {low:g} to {high:g}", wanted, fix)
        return image if bands else image.clamp(0, 1)

    def _target(self, made: Any, image: Tensor, classes: int) -> Target:
        if not isinstance(made, Target):
            raise self._bad(f"a target of type {_kind(made)}", "masu.Target", "return one")
        target: Target = made.to("cpu")
        boxes = target.boxes.detach().as_subclass(Tensor).float()
        if boxes.shape != (len(target.labels), 4):
            found = f"boxes of shape {tuple(boxes.shape)} and {len(target.labels)} labels"
            raise self._bad(found, "one box x1 y1 x2 y2 per label", "leave out both or none")
        if not torch.isfinite(boxes).all():
            raise self._bad("a box that is not finite", "x1 y1 x2 y2 in pixels", "look where it arises")
        wrong = target.labels[(target.labels < 0) | (target.labels >= classes)]
        if len(wrong):
            found = f"label {int(wrong[0])}"
            raise self._bad(
                found, f"class ids 0..{classes - 1}", "labels count from 0, in the data set's order"
            )
        height, width = image.shape[-2:]
        boxes = boxes.clamp(min=0).minimum(torch.tensor([width, height, width, height]))
        return target.with_boxes(boxes).taken((boxes[:, 2:] > boxes[:, :2]).all(1))

    def _bad(self, found: str, wanted: str, fix: str) -> InputError:
        return bad_input(f"augmentation {name_of(self.given)}", found, wanted, fix)


def _kind(value: object) -> str:
    return type(value).__name__
