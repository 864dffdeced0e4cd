"""What a bulk job does, cut into numbered shards and parts, and the manifest by which a folder knows its job.

Law: the shards cut the sorted list of images, and the parts the list of shards; the rows in a folder are
those of a subset of the shards of the plan in its manifest, each once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from masu.bulk.manifest import Images, difference, write_pages
from masu.bulk.stores import Store
from masu.errors import bad_input
from masu.ranges import IMAGE_SIZE
from masu.seal import files_of

MANIFEST = "_masu.json"
"""Name of the manifest; readers of Parquet folders pass over names that begin with an underscore."""

FORMAT = "masu-bulk-2"
"""Marks a manifest; a later number means a layout that older versions cannot continue."""

WITH_LIST = "masu-bulk-1"
"""An earlier one, with the list of images in the manifest itself; such a job goes on."""

SHARD_IMAGES = (16, 1024)
"""Fewest and most images of a shard; what is lost with a killed process is a shard per worker."""

PARTS = 256
"""Up to so many shards each is a file of its own."""

PART_IMAGES = 2**18
"""Of more shards, so many images make a file: 64 to 256 MB where 8 to 32 objects are found in each."""


@dataclass(frozen=True)
class Plan:
    """A bulk job.

    Attributes:
        model: SHA-256 of the model.
        threshold: lowest score; None: the model's own.
        images: how many.
        shard_images: of each shard but the last.
        part_shards: shards whose rows make a part, but for the last.
        tta: whether each image is looked at mirrored, too.
        image_size: shorter side that the network sees, in pixels; None: the model's own.
    """

    model: str
    threshold: float | None
    images: int
    shard_images: int
    part_shards: int = 1
    tta: bool = False
    image_size: int | None = None

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.images // self.shard_images)

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.shards // self.part_shards)

    def shard(self, number: int) -> slice:
        """Which images a shard has, ``0 <= number < shards``."""
        return slice(number * self.shard_images, min((number + 1) * self.shard_images, self.images))

    def part(self, number: int) -> range:
        """The shards of a part, ``0 <= number < parts``."""
        return range(number * self.part_shards, min((number + 1) * self.part_shards, self.shards))

    def rows(self, shards: range) -> int:
        """How many images neighbouring shards have."""
        return min(shards.stop * self.shard_images, self.images) - shards.start * self.shard_images

    def as_json(self) -> str:
        """The manifest."""
        return json.dumps({"format": FORMAT, "shards": self.shards, **asdict(self)}, indent=0)


def plan_images(
    model: str,
    threshold: float | None,
    images: int,
    shard_images: int | None = None,
    tta: bool = False,
    image_size: int | None = None,
) -> Plan:
    """The plan for so many images.

    Args:
        model: SHA-256 of the model.
        threshold: lowest score; None: the model's own.
        images: at least one.
        shard_images: default: some 256 shards, within ``SHARD_IMAGES``.
        tta: whether each image is looked at mirrored, too.
        image_size: shorter side that the network sees, in pixels; None: the model's own.
    """
    fewest, most = SHARD_IMAGES
    size = shard_images or min(max(-(-images // PARTS), fewest), most)
    many = -(-images // size) > PARTS
    part_shards = max(PART_IMAGES // size, 1) if many else 1
    return Plan(model, threshold, images, size, part_shards, tta, image_size)


def begin(
    store: Store,
    names: Iterable[str],
    model: str | os.PathLike[str],
    threshold: float | None,
    shard_images: int | None,
    tta: bool = False,
    image_size: int | None = None,
    check: Callable[[], object] = lambda: None,
) -> tuple[Plan, Images]:
    """The job of a folder: the one that was begun there, or a new one, whose manifest is written.

    Args:
        store: the folder.
        names: of the images, sorted, each once; read to their end.
        model: its file.
        threshold: lowest score; None: the model's own.
        shard_images: None: as it was begun, or see :func:`plan_images`.
        tta: whether each image is looked at mirrored, too.
        image_size: shorter side that the network sees, in pixels; None: the model's own.
        check: called before a new job is written.

    Raises:
        InputError: no such model, or a folder of another job.
    """
    checked = checksum(Path(model))
    there = store.names()
    if MANIFEST not in there:
        if any(name.startswith("part-") and name.endswith(".parquet") for name in there):
            raise bad_input(store, f"parts without {MANIFEST}", "an empty folder", "choose another --out")
        check()
        images = write_pages(store, names)
        plan = plan_images(checked, threshold, len(images), shard_images, tta, image_size)
        store.write(MANIFEST, plan.as_json().encode())
        return plan, images
    plan, listed = _existing(store)
    images = Images(store, plan.images)
    differs = (
        _difference(plan, checked, threshold, tta, image_size)
        or difference(images if listed is None else listed, names)
        or (
            f"{plan.shard_images} images a shard, now {shard_images}"
            if shard_images not in (None, plan.shard_images)
            else ""
        )
    )
    if differs:
        found = f"another job ({differs})"
        raise bad_input(store, found, "this one or an empty folder", "choose another --out")
    if listed is not None:
        write_pages(store, listed)
        store.write(MANIFEST, plan.as_json().encode())
    return plan, images


def checksum(model: Path) -> str:
    """SHA-256 of a model file and of weights beside it.

    Raises:
        InputError: no such file.
    """
    digest = hashlib.sha256()
    for file in files_of(model):
        if not file.is_file():
            raise bad_input(file, "no such file", "a model", "check the path", code="missing-file")
        with open(file, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def read_plan(text: str) -> tuple[Plan, list[str] | None]:
    """The plan of a manifest, and the list of images where an earlier version wrote it there.

    Raises:
        ValueError: for another text.
    """
    try:
        values: Any = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(values, dict) or values.get("format") not in (FORMAT, WITH_LIST):
        raise ValueError("not a manifest of this version")
    model, threshold = values.get("model"), values.get("threshold")
    if not isinstance(model, str):
        raise ValueError("model is no text")
    if threshold is not None and not (type(threshold) in (int, float) and 0 <= threshold <= 1):
        raise ValueError("threshold is no score from 0 to 1")
    listed = None
    if values["format"] == WITH_LIST:
        listed = values.get("images")
        if not isinstance(listed, list) or not all(isinstance(image, str) for image in listed):
            raise ValueError("images is no list of texts")
        values = {**values, "images": len(listed), "part_shards": 1}
    counts = []
    for name in ("images", "shard_images", "part_shards"):
        if type(values.get(name)) is not int or values[name] < 1:
            raise ValueError(f"{name} is no number from 1")
        counts.append(values[name])
    tta = values.get("tta", False)
    if type(tta) is not bool:
        raise ValueError("tta is neither true nor false")
    image_size = values.get("image_size")
    if image_size is not None and image_size not in IMAGE_SIZE:
        raise ValueError(f"image_size is not {IMAGE_SIZE}")
    images, shard_images, part_shards = counts
    return Plan(model, threshold, images, shard_images, part_shards, tta, image_size), listed


def _existing(store: Store) -> tuple[Plan, list[str] | None]:
    try:
        return read_plan(store.read(MANIFEST).decode())
    except ValueError as error:
        raise bad_input(
            f"{store}/{MANIFEST}",
            f"no readable manifest ({error})",
            "one of this version",
            "choose another --out",
            code="other-version",
        ) from None


def _difference(plan: Plan, model: str, threshold: float | None, tta: bool, image_size: int | None) -> str:
    if plan.model != model:
        return f"model {plan.model[:12]}, now {model[:12]}"
    for name, before, now in (
        ("threshold", plan.threshold, threshold),
        ("image size", plan.image_size, image_size),
    ):
        if before != now:
            was, becomes = ("the model's" if value is None else f"{value:g}" for value in (before, now))
            return f"{name} {was}, now {becomes}"
    if plan.tta != tta:
        return "without --tta, now with it" if tta else "with --tta, now without it"
    return ""
