"""Saliency: which pixels support a detection, and whether the picture of it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from PIL import Image
from torch import Tensor

from masu.data.pixels.images import displayable, read_pixels
from masu.detectors.detector import Detector
from masu.detectors.predict import ImageSource
from masu.detectors.tiling import refuse_tiled
from masu.drawing import draw
from masu.errors import bad_input, listed
from masu.evaluation.predictions import AnyDetector
from masu.explanation.attribution import by_gradient, by_occlusion
from masu.explanation.faithfulness import SAME, Faithfulness, Margins, faithfulness, margins, middle, scene
from masu.explanation.heat import heat
from masu.ops.geometry import iou
from masu.records import Detections

Method = Literal["gradient", "occlusion"]

LEFT_OVER = 0.5
"""Share of the score above which, with the window wiped out, the evidence lies elsewhere."""


@dataclass(frozen=True, eq=False)
class Saliency:
    """Which pixels support one detection.

    Attributes:
        map: ``(H, W)`` float32 in 0..1, in pixels of the image as it was given, the highest value 1; 0
            outside the window, which is the box widened on every side by half its longer side.
        box: ``(4,)`` float32 xyxy pixels.
        label: class id.
        name: class name.
        score: best IoU × score of a detection of the class with this box: a detection's own score.
        score_without: the same with the window wiped out.
        deletion: mean score while the window's pixels are taken away, the map's highest first; small is good.
        insertion: mean score while they are shown again, the map's highest first; large is good.
        of_middle: the same two for a plain Gaussian in the middle of the box, which knows only the box.
        margins: by how much the map has to be better than that, and than a random order, which has an
            insertion equal to its deletion on average; None where it is not better anyway.
        method: ``"gradient"`` or ``"occlusion"``.
        trustworthy: the map orders the window's pixels better than both, by more than the margins: by luck, a
            map that knows only the box gets there in less than one of twenty cases.
        verdict: the same in words, with the figures.
        picture: ``(3, H, W)`` uint8, the image.
    """

    map: Tensor
    box: Tensor
    label: int
    name: str
    score: float
    score_without: float
    deletion: float
    insertion: float
    of_middle: Faithfulness
    margins: Margins | None
    method: Method
    trustworthy: bool
    verdict: str
    picture: Tensor

    def overlay(self) -> Image.Image:
        """The map in colours over the image in grey, with box, class name and score; of the image's size."""
        found = Detections(self.box[None], [self.score], [self.label], (self.name,))  # type: ignore[arg-type]
        return draw(heat(self.picture, self.map), found)


def saliency(
    detector: AnyDetector,
    image: ImageSource,
    detection: int | None = None,
    *,
    box: Sequence[float] | Tensor | None = None,
    label: int | str | None = None,
    method: Method | None = None,
) -> Saliency:
    """Which pixels of an image support a detection, with a test of the answer.

    The map comes from the gradient of the detection's class logit with its anchor or RoI held fixed
    (:func:`masu.explanation.attribution.by_gradient`), or from covering parts of the image, which needs
    nothing but ``predict`` (:func:`masu.explanation.attribution.by_occlusion`). It is then tested on the
    detector itself by deletion and insertion (Petsiuk et al. 2018, section 4.2), beside a map that knows
    only the box. This takes about 40 predictions. Where the map is the better one, 180 more tell whether
    that is luck (:func:`masu.explanation.faithfulness.margin`). The detector is left as it was.

    Args:
        detector: any of masu's, or an exported file as :func:`masu.open_detector` opens it.
        image: a file, a Pillow image, an array or a tensor.
        detection: index into ``detector.predict([image])[0]``, best score first; or give box and label.
        box: x1, y1, x2, y2 in pixels of the image: the detection of the class with the best IoU × score that
            overlaps it by at least 0.5, or, where none does, the box itself, of something that is not found.
        label: class id or name of the box.
        method: ``"gradient"`` or ``"occlusion"``; None: the gradient, for an exported file occlusion.

    Returns:
        The map, and the score that says whether to trust it.

    Raises:
        InputError: for an image that cannot be read, a detection that is not there, a box without area or
            outside of the image, an unknown class or method, or the gradient of an exported file.
    """
    chosen = _method(detector, method)
    pixels = read_pixels(image, detector.input.channels).cpu()
    refuse_tiled("saliency", pixels.shape, detector.input.tiles)
    values = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    boxed, named = _wanted(detector, values, detection, box, label)
    place = scene(detector, values, boxed, named)
    part = by_gradient(detector, place)[0] if chosen == "gradient" else by_occlusion(place)  # type: ignore[arg-type]
    part = part / part.max().clamp(min=torch.finfo(part.dtype).tiny)
    x1, y1, x2, y2 = place.window
    whole = torch.zeros(values.shape[1:])
    whole[y1:y2, x1:x2] = part
    score, without = place.ends
    own, of_middle = faithfulness(place, part), faithfulness(place, middle(place))
    name = detector.names[named]
    better = without <= LEFT_OVER * score and own.gain > max(of_middle.gain, 0)
    beyond = margins(place, of_middle) if better else None
    trustworthy, verdict = judged(name, score, without, own, of_middle, beyond)
    return Saliency(
        map=whole,
        box=boxed,
        label=named,
        name=name,
        score=score,
        score_without=without,
        deletion=own.deletion,
        insertion=own.insertion,
        of_middle=of_middle,
        margins=beyond,
        method=chosen,
        trustworthy=trustworthy,
        verdict=verdict,
        picture=displayable(pixels),
    )


def judged(
    name: str,
    score: float,
    without: float,
    own: Faithfulness,
    of_middle: Faithfulness,
    beyond: Margins | None,
) -> tuple[bool, str]:
    """Whether a map can be trusted, and why, in a sentence.

    Args:
        name: of the class.
        score: of the detection.
        without: the same with the window wiped out.
        own: faithfulness of the map.
        of_middle: that of the middle of the box.
        beyond: by how much the map must be better; None where it is not better at all.
    """
    least = beyond or Margins(0.0, 0.0)
    says = "may, with luck, say" if beyond else "says"
    figures = (
        f"insertion minus deletion is {own.gain:.2f}, for a plain spot in the middle of the box "
        f"{of_middle.gain:.2f}{f' ± {least.middle:.2f}' if beyond else ''}, for a random order "
        f"0{f' ± {least.random:.2f}' if beyond else ''}"
    )
    if score == 0:
        return False, f"nothing to explain: no {name} is found on this box"
    if without > LEFT_OVER * score:
        return False, (
            f"not trustworthy: {without:.2f} of the score {score:.2f} is left when the box and its "
            f"surroundings are wiped out, so what the detection rests on lies elsewhere; {figures}"
        )
    if own.gain <= least.random:
        return False, f"not trustworthy: a random order of the pixels {says} as much; {figures}"
    if own.gain - of_middle.gain <= least.middle:
        return False, f"not trustworthy beyond the box: a spot in its middle {says} as much; {figures}"
    return True, f"trustworthy: the score follows the map more closely than the box alone; {figures}"


def _method(detector: AnyDetector, method: Method | None) -> Method:
    differentiable = isinstance(detector, Detector)
    if method is None:
        return "gradient" if differentiable else "occlusion"
    if method not in get_args(Method):
        wanted = " or ".join(get_args(Method))
        raise bad_input("method", repr(method), wanted, "choose one of them", code="unknown-name")
    if method == "gradient" and not differentiable:
        raise bad_input(
            "method",
            "gradient with an exported file, which has none",
            "occlusion",
            "leave method out or give the model that was exported",
        )
    return method


def _wanted(
    detector: AnyDetector,
    image: Tensor,
    detection: int | None,
    box: Sequence[float] | Tensor | None,
    label: int | str | None,
) -> tuple[Tensor, int]:
    """The box, ``(4,)`` on the CPU, and the class id that are to be explained."""
    if (detection is None) == (box is None):
        given = "neither a detection nor a box" if box is None else "a detection and a box"
        raise bad_input("saliency", given, "one of them", "give detection=0, or box and label")
    found = detector.predict([image])[0]
    if detection is not None:
        if not 0 <= detection < len(found):
            wanted = f"0 to {len(found) - 1}" if len(found) else "an image in which something is found"
            raise bad_input(
                "detection", str(detection), wanted, "it counts what predict gives, best score first"
            )
        return found.boxes[detection].cpu(), int(found.labels[detection])
    wanted_box = _box(box, (image.shape[1], image.shape[2]))
    named = _label(label, detector.names)
    of_class = found.boxes[found.labels == named].cpu()
    overlap = iou(of_class, wanted_box[None])[:, 0]
    merit = found.scores[found.labels == named].cpu() * overlap * (overlap >= SAME)
    return (of_class[merit.argmax()] if (merit > 0).any() else wanted_box), named


def _box(box: Sequence[float] | Tensor | None, size: tuple[int, int]) -> Tensor:
    given = torch.as_tensor(box, dtype=torch.float32).cpu()
    height, width = size
    if given.shape == (4,) and torch.isfinite(given).all():
        x1, y1, x2, y2 = given.tolist()
        if x1 < x2 and y1 < y2 and x1 < width and y1 < height and x2 > 0 and y2 > 0:
            return given
    shown = listed(f"{value:g}" for value in given.flatten().tolist())
    raise bad_input(
        "box", shown, f"x1, y1, x2, y2 of a box in the {height}×{width} image", "give pixels, not shares"
    )


def _label(label: int | str | None, names: Sequence[str]) -> int:
    if isinstance(label, str) and label in names:
        return list(names).index(label)
    if isinstance(label, int) and 0 <= label < len(names):
        return label
    if label is None and len(names) == 1:
        return 0
    code = "unknown-name" if isinstance(label, str) else ""
    raise bad_input("label", repr(label), f"one of {listed(names)}", "give a class id or name", code=code)
