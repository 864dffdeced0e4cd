"""The batches of an epoch, the same for the same seed whatever the number of workers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as Indexed

from masu.cores import usable_cores
from masu.data.dataset import Dataset
from masu.data.fitting import fit_box
from masu.data.kinds import Fault
from masu.data.loading.ahead import ahead
from masu.data.loading.callables import Variation, variation
from masu.data.loading.crops import Crops
from masu.data.loading.pictures import Pictures
from masu.data.loading.randomness import mixed
from masu.data.loading.workers import read_ahead
from masu.data.pixels.pictures import UnreadableImageError
from masu.errors import InputError, bad_input
from masu.records import Target


@dataclass(frozen=True, eq=False)
class Batch:
    """Images and their targets, ready for a detector.

    Attributes:
        images: n tensors ``(3, H, W)`` uint8 (or ``channels``, see there), each of its own size.
        targets: n targets, boxes in pixels of these images.
        paths: the n files the images came from.
        number: position in the epoch, from 0; the ``start`` of what follows is ``number + 1``.
        places: the n positions of the images in the batch as it was planned, which may hold more: images
            that cannot be read, and those of other processes.
        planned: images in it as it was planned.
    """

    images: tuple[Tensor, ...]
    targets: tuple[Target, ...]
    paths: tuple[Path, ...]
    number: int
    places: tuple[int, ...]
    planned: int

    def __len__(self) -> int:
        return len(self.images)


def micro_batches(count: int, parts: int) -> list[range]:
    """The places of a batch of ``count`` images in parts of one size, the last ones smaller or empty."""
    size = -(-count // parts)
    return [range(min(i * size, count), min((i + 1) * size, count)) for i in range(parts)]


def batch_count(shown: Dataset | Crops, batch_size: int) -> int:
    """The number of batches of an epoch; the last one may be smaller.

    Args:
        shown: the images, or the crops of them.
        batch_size: images in a batch.

    Raises:
        InputError: ``batch_size`` below 1.
    """
    _at_least("batch_size", batch_size, 1)
    return -(-len(shown) // batch_size)


def epoch_batches(
    dataset: Dataset,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    augmentation: Variation | Callable[..., Any] | None = None,
    pictures: Pictures | None = None,
    crops: Crops | None = None,
    start: int = 0,
    workers: int = 0,
    parts: int = 1,
    own: range = range(1),
    on_fault: Callable[[Fault], None] | None = None,
    on_lost: Callable[[str], None] | None = None,
) -> Iterator[Batch]:
    """The batches of one epoch in random order.

    Images of about the same shape come together, so that little of a batch is padding: the random order is
    cut into stretches of ``STRETCH`` batches, each sorted by the ratio of the sides and its batches shuffled.

    Where pictures are cut into windows, the random order is of pictures first: those of ``MIXED`` at a time
    are shuffled together, so that a picture is read a few times in a row and not all through the epoch.

    The order depends on ``seed``, ``epoch``, ``batch_size`` and ``crops`` only, an image's windows and
    augmentation on seed, epoch, its index in the data set, the window's number and how often the epoch
    showed it before: any number of workers and a start at any batch give the same batches. The global random
    state is neither read nor changed.

    Args:
        dataset: what to read.
        batch_size: images in a batch, at least 1; the last batch has the rest.
        seed: any integer.
        epoch: number of the epoch, from 0.
        augmentation: how to vary the images, see :func:`masu.data.loading.callables.variation`; None leaves
            them as they are.
        pictures: reads the images, and may keep them from epoch to epoch; default: RGB photographs as they
            are.
        crops: what is shown of the images; default: each whole and once.
        start: number of the first batch to give, to go on in the middle of an epoch.
        workers: processes that read ahead, no more than there are processors; 0: a thread of this one reads
            a batch ahead, unless the augmentation is the user's own.
        parts: into so many every batch is cut.
        own: the parts that are read; where these are not all, a batch is given also if it is empty, since
            other processes hold the rest of it.
        on_fault: called with each image that cannot be read and is skipped, and with each box that had to
            be cut to its image. Its batch is smaller by that image; a batch left empty is passed over, and
            ``Batch.number`` counts it nonetheless. Default: an image that cannot be read raises.
        on_lost: told of workers that were killed or hang and were replaced; see
            :func:`masu.data.loading.workers.read_ahead`. Default: it raises.

    Raises:
        InputError: an image that cannot be read, if there is no ``on_fault``; a number out of range; lost
            workers, if there is no ``on_lost`` or they are too many; what an augmentation of the user's own
            returns and cannot be used.
    """
    crops = crops or Crops(dataset)
    count = batch_count(crops, batch_size)
    _at_least("start", start, 0)
    _at_least("workers", workers, 0)
    vary = None if augmentation is None else variation(augmentation)
    plan = _Plan(dataset, crops, batch_size, seed, epoch, vary, pictures or Pictures(), parts, own)
    numbers, workers = range(start, count), min(workers, usable_cores())
    read: Generator[_Part] = (plan[number] for number in numbers)
    if workers:
        read = read_ahead(plan, numbers, workers, on_lost)
    elif vary is None or vary.alone:
        read = ahead(read, 1)
    with closing(read):
        for part in read:
            if part.refused:  # carried here: what a worker raises comes with the lines of its traceback
                raise part.refused[0]
            for fault in part.faults:
                if on_fault is not None:
                    on_fault(fault)
                elif fault.kind == "unreadable-image":
                    raise UnreadableImageError(fault.file, fault.found, "replace the file or leave it out")
            if part.loaded or len(own) < parts:
                yield _batch(part)


STRETCH = 16
"""Batches among which images are sorted by shape."""

MIXED = 8
"""Pictures whose windows are shuffled together."""

_WHOLE_IMAGE = "image"


_Array = np.ndarray[Any, Any]


class _Packed(NamedTuple):
    """A target as arrays: unlike tensors, these pass between processes without shared memory.

    Containers have little of that, and every tensor in it holds a file open.
    """

    boxes: _Array
    labels: _Array
    ignored: _Array

    @classmethod
    def of(cls, target: Target) -> _Packed:
        return cls(target.boxes.numpy(), target.labels.numpy(), target.ignored.numpy())

    def unpacked(self) -> Target:
        return Target._trusted(*map(torch.from_numpy, self))


class _Loaded(NamedTuple):
    place: int
    path: Path
    image: _Array
    target: _Packed


class _Part(NamedTuple):
    number: int
    planned: int
    loaded: list[_Loaded]
    faults: list[Fault]
    refused: list[InputError]


class _Plan(Indexed[_Part]):
    """An epoch by batch number: ``plan[number]`` reads that batch."""

    def __init__(
        self,
        dataset: Dataset,
        crops: Crops,
        batch_size: int,
        seed: int,
        epoch: int,
        variation: Variation | None,
        pictures: Pictures,
        parts: int,
        own: range,
    ) -> None:
        generator = torch.Generator().manual_seed(mixed(seed, epoch))
        self.shown = crops.of_epoch(seed, epoch)
        order = _order(crops, self.shown, generator)
        self.batches = _of_like_shape(order, _ratios(crops)[self.shown].tolist(), batch_size, generator)
        self.dataset, self.crops = dataset, crops
        self.seed, self.epoch, self.variation, self.pictures = seed, epoch, variation, pictures
        self.parts, self.own = parts, own

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> _Part:
        indices = self.batches[number]
        part = _Part(number, len(indices), [], [], [])
        planned = micro_batches(len(indices), self.parts)
        for place in (place for i in self.own for place in planned[i]):
            self._load(indices[place], place, part)
        return part

    def _load(self, at: int, place: int, part: _Part) -> None:
        number = int(self.shown[at])
        times = at - int(np.searchsorted(self.shown, number))
        crop = self.crops.crop(number, self.seed, self.epoch, times)
        path, target = self.dataset[crop.image]
        try:
            image, read = self.pictures.read(path, crop.window, self.crops.shorter(crop))
        except UnreadableImageError as error:
            part.faults.append(Fault("unreadable-image", path, _WHOLE_IMAGE, error.found, "skipped"))
            return
        image = self.crops.filled(crop, image)
        target = self.crops.shown(crop, _inside(target, read.size, path, part.faults))
        if read.factor > 1:
            target = target.with_boxes(target.boxes / read.factor)
        if self.variation is not None:
            draw, classes = mixed(self.seed, self.epoch, *crop.drawn), len(self.dataset.names)
            bands = self.pictures.channels is not None
            try:
                image, target = self.variation.varied(image, target, seed=draw, bands=bands, classes=classes)
            except InputError as error:
                part.refused.append(InputError(f"{path}: {error}", thing=str(path), found=str(error)))
                return
            except Exception as error:
                error.add_note(f"in the augmentation of {path}")
                raise
        part.loaded.append(_Loaded(place, path, image.numpy(), _Packed.of(target)))


def _order(crops: Crops, shown: _Array, generator: torch.Generator) -> list[int]:
    """The places in ``shown`` in random order, those of a picture that is cut near each other."""
    if not crops.tiled.any():
        every: list[int] = torch.randperm(len(shown), generator=generator).tolist()
        return every
    order: list[int] = torch.randperm(len(crops.tiled), generator=generator).tolist()
    ends = np.searchsorted(shown, crops.ends).tolist()
    found = []
    for start in range(0, len(order), MIXED):
        near = [at for image in order[start : start + MIXED] for at in range(ends[image], ends[image + 1])]
        found += [near[i] for i in torch.randperm(len(near), generator=generator).tolist()]
    return found


def _ratios(crops: Crops) -> _Array:
    """Height over width of every crop; 1 where nobody knows."""
    sizes = np.where(crops.sizes > 0, crops.sizes, 1)
    whole = sizes[:, 0] / sizes[:, 1]
    ratios = np.ones(crops.ends[-1])  # of windows
    ratios[crops.ends[:-1]] = whole
    return ratios


def _of_like_shape(
    order: list[int], ratios: Sequence[float], batch_size: int, generator: torch.Generator
) -> list[list[int]]:
    """The order cut into batches, the smaller one last."""
    batches: list[list[int]] = []
    for start in range(0, len(order), STRETCH * batch_size):
        stretch = sorted(order[start : start + STRETCH * batch_size], key=ratios.__getitem__)
        own = [stretch[at : at + batch_size] for at in range(0, len(stretch), batch_size)]
        rest = [own.pop()] if len(own[-1]) < batch_size else []
        shuffled = torch.randperm(len(own), generator=generator).tolist()
        batches += [own[number] for number in shuffled] + rest
    return batches


def _batch(part: _Part) -> Batch:
    return Batch(
        images=tuple(torch.from_numpy(one.image) for one in part.loaded),
        targets=tuple(one.target.unpacked() for one in part.loaded),
        paths=tuple(one.path for one in part.loaded),
        number=part.number,
        places=tuple(one.place for one in part.loaded),
        planned=part.planned,
    )


def _inside(target: Target, size: tuple[int, int], path: Path, faults: list[Fault]) -> Target:
    """The target with its boxes cut to the image, whose true height and width are known only now."""
    limit = torch.tensor([size[1], size[0]])
    if bool((target.boxes[:, :2] >= 0).all() and (target.boxes[:, 2:] <= limit).all()):
        return target
    boxes, kept = [], []
    for number, values in enumerate(target.boxes.tolist()):
        box, kind, found, action = fit_box((values[0], values[1], values[2], values[3]), size)
        if found:
            where = f"object {number + 1} that is left of its annotation"
            faults.append(Fault(kind, path, where, found, action))
        if box is not None:
            boxes.append(box)
            kept.append(number)
    return Target(boxes, target.labels[kept], target.ignored[kept])  # type: ignore[arg-type]


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise bad_input(name, str(value), f"a whole number from {least}", f"choose {least} or more")
