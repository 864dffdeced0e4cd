"""What a detector finds under other settings, from outputs of its network that are kept.

A setting of a stage changes nothing before that stage. So the network runs once for each image, and a try
runs the stages alone, from the first one with another setting on. Outputs are kept as far as a number of
bytes suffices: with the feature maps, which an earlier stage's settings need since the later heads look at
them again; else what the last stage starts from, which its own settings need. Where neither is kept, the
network runs again, as it does for another size of the images.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from masu.data.dataset import Dataset
from masu.data.pixels.windows import Picture
from masu.detectors.config import DetectorConfig
from masu.detectors.detector import Detector, in_given_pixels
from masu.detectors.raw import Raw
from masu.detectors.stage_settings import settings_of
from masu.detectors.stages import Stage, Step, step
from masu.devices import moved
from masu.evaluation.predictions import predictions
from masu.ops.images import InputPolicy
from masu.records import Detections
from masu.thresholds import Threshold
from masu.views import found_in_each

MOST_BYTES = 2**30
"""Of what is kept, of all images together."""


@dataclass(frozen=True, eq=False)
class Timed:
    """A step of a stage, and the seconds that it took.

    Attributes:
        step: what was made of the rows.
        look: seconds of asking the network for the rows.
        rest: seconds of all that follows.
    """

    step: Step
    look: float
    rest: float


@dataclass(frozen=True, eq=False)
class Looked:
    """What is kept of one image.

    Attributes:
        raw: the network's outputs without pixels; nothing of them where only the last stage can run again.
        steps: of every stage; without rows of those that cannot run again.
        network: seconds that the network took.
        first: number of the first stage that can run again.
    """

    raw: Raw
    steps: tuple[Timed, ...]
    network: float
    first: int

    @property
    def seconds(self) -> float:
        """Of the image, from pixels to detections."""
        return self.network + sum(one.look + one.rest for one in self.steps)


@dataclass(frozen=True, eq=False)
class Replayed:
    """What was found in the images of a data set.

    Attributes:
        found: by the image's position, with the detector's own names and labels, on the CPU.
        seconds: of an image, mean; of what is replayed, what its parts took when they ran.
        ran: images for which the network ran.
    """

    found: dict[int, Detections]
    seconds: float
    ran: int


class Replay:
    """The images of a data set before one network, under any settings.

    Args:
        network: of :meth:`Detector.prediction_network`; it is not changed.
        data: images and targets.
        most_bytes: of what is kept.
    """

    def __init__(self, network: Detector, data: Dataset, most_bytes: int = MOST_BYTES) -> None:
        self._network, self._data, self._most = network, data, most_bytes
        self._input = network.input
        self._kept: dict[int, Looked] = {}
        self._bytes = 0

    def under(
        self, config: DetectorConfig, progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> Replayed:
        """What is found under a configuration that differs from the network's in settings and size only.

        Args:
            config: of the detector.
            progress: called with (images done, images in total).
        """
        net = copy.copy(self._network)
        net.config = config
        same_input = config.pyramid.input == self._input
        numbers = {i: first_changed(one, net.stages) for i, one in self._kept.items()} if same_input else {}
        again = {i: self._kept[i] for i, number in numbers.items() if number >= self._kept[i].first}
        found, seconds = {}, 0.0
        for i, one in again.items():
            with torch.inference_mode():
                steps = _walk(net.stages, one.raw, one.steps, numbers[i])
            now = replace(one, steps=steps)
            found[i], seconds = _named(net, now), seconds + now.seconds
            progress(len(found), len(self._data))
        missing = [i for i in range(len(self._data)) if i not in again]
        watched = _Watched(net)
        before = len(found)
        for prediction in predictions(
            watched,
            [self._data[i][0] for i in missing],
            [],
            threshold=None,
            batch_size=1,
            progress=lambda done, _: progress(before + done, len(self._data)),
        ):
            i = missing[prediction.index]
            found[i], seconds = prediction.detections, seconds + prediction.seconds
            if same_input and i not in self._kept and watched.last is not None:
                self._keep(i, watched.last)
        return Replayed(dict(sorted(found.items())), seconds / max(len(found), 1), len(found) - before)

    def settle(self, config: DetectorConfig) -> None:
        """Start from another configuration: what is kept is brought to it, or dropped at another size.

        Args:
            config: that was kept.
        """
        self._network = copy.copy(self._network)
        self._network.config = config
        if config.pyramid.input != self._input:
            self._input, self._kept, self._bytes = config.pyramid.input, {}, 0
            return
        stages = self._network.stages
        for i, one in self._kept.items():
            number = first_changed(one, stages)
            if one.first <= number < len(stages):
                with torch.inference_mode():
                    self._kept[i] = replace(one, steps=_walk(stages, one.raw, one.steps, number))

    def _keep(self, i: int, one: Looked) -> None:
        last = len(one.steps) - 1
        features = one.raw.features if last else ()  # a single stage looks at nothing again
        raw = replace(one.raw, images=replace(one.raw.images, pixels=torch.zeros(0)), features=features)
        before = (replace(timed, step=replace(timed.step, rows=())) for timed in one.steps[:last])
        light = replace(
            one, raw=replace(raw, features=(), levels=()), steps=(*before, one.steps[last]), first=last
        )
        for kept in (replace(one, raw=raw), light):
            size = _size_of(kept)
            # the maps may take half, so that there is room for the little that the last stage needs
            if self._bytes + size <= (self._most / 2 if kept.first < last else self._most):
                self._kept[i], self._bytes = kept, self._bytes + size
                return


def first_changed(one: Looked, stages: Sequence[Stage]) -> int:
    """Number of the first stage whose settings are not those that an image was looked at with."""
    then, now = ([(s.number, s.value) for s in settings_of(of)] for of in (_stages(one), stages))
    return next((a[0] for a, b in zip(then, now, strict=True) if a != b), len(stages))


def _stages(one: Looked) -> tuple[Stage, ...]:
    return tuple(timed.step.stage for timed in one.steps)


def _walk(stages: Sequence[Stage], raw: Raw, known: Sequence[Timed], number: int) -> tuple[Timed, ...]:
    """The steps of all stages: those before a number are known, and so are the rows of the one of it."""
    steps = list(known[:number])
    for stage in stages[number:]:
        start = time.perf_counter()
        if len(steps) == number and number < len(known):
            rows, look = known[number].step.rows, known[number].look
        else:
            rows = tuple(stage.look(raw, steps[-1].step.kept if steps else None))
            look = time.perf_counter() - start
        start = time.perf_counter()
        steps.append(Timed(step(stage, rows, raw.images.sizes), look, 0.0))
        steps[-1] = replace(steps[-1], rest=time.perf_counter() - start)
    return tuple(steps)


def _named(net: Detector, one: Looked) -> Detections:
    return net.named(in_given_pixels(one.steps[-1].step.kept, one.raw.images))[0].to("cpu")


class _Watched:
    """The detector as evaluation wants it; keeps what was looked at in the last image.

    Of a picture that is cut it keeps nothing: outputs of all its tiles would fill the memory.
    """

    last: Looked | None

    def __init__(self, net: Detector) -> None:
        self.names: tuple[str, ...] = net.names
        self.kind: str = net.kind
        self.input: InputPolicy = net.input
        self._net = net

    def predict(
        self, images: Sequence[Tensor | Picture], threshold: Threshold | None = None, batch_size: int = 1
    ) -> list[Detections]:
        (_,) = images
        return found_in_each(images, self._whole, self._in_tiles)

    def _in_tiles(self, picture: Picture) -> Detections:
        self.last = None
        (found,) = self._net.predict([picture])
        return found.to("cpu")

    def _whole(self, images: Sequence[Tensor]) -> list[Detections]:
        (image,) = images
        device = self._net.device
        with torch.inference_mode():
            start = time.perf_counter()
            raw = self._net([moved(image, device)])
            network = time.perf_counter() - start
            self.last = Looked(raw, _walk(self._net.stages, raw, (), 0), network, 0)
        return [_named(self._net, self.last)]


def _size_of(one: Looked) -> int:
    """Bytes of what is kept of an image."""
    tensors = [*one.raw.features]
    for timed in one.steps:
        tensors += [
            tensor for rows in timed.step.rows for tensor in vars(rows).values() if tensor is not None
        ]
        tensors += vars(timed.step.candidates).values()
    return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, Tensor))
