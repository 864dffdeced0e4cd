"""What a bulk job does, cut into numbered shards, and the manifest by which a folder knows its job.

Law: the parts in a folder are a subset of the shards of the plan in its manifest; together they are the job.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from masu.bulk.stores import Store
from masu.bulk.table import part_rows
from masu.errors import bad_input
from masu.seal import files_of

MANIFEST = "_masu.json"
"""Name of the manifest; readers of Parquet folders pass over names that begin with an underscore."""

FORMAT = "masu-bulk-1"
"""Marks a manifest; a later number means a layout that older versions cannot continue."""

_READERS = 16  # parts looked at together, which lie in an object store perhaps

SHARD_IMAGES = (16, 1024)
"""Fewest and most images of a shard; what is lost with a killed process is a shard per worker."""


@dataclass(frozen=True)
class Plan:
    """A bulk job.

    Attributes:
        model: SHA-256 of the model.
        threshold: lowest score; None: the model's own.
        shard_images: images of each shard but the last.
        images: paths and URLs, sorted, each once.
    """

    model: str
    threshold: float | None
    shard_images: int
    images: tuple[str, ...]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-len(self.images) // self.shard_images)

    def shard(self, number: int) -> tuple[str, ...]:
        """The images of a shard, ``0 <= number < shards``."""
        return self.images[number * self.shard_images : (number + 1) * self.shard_images]

    def as_json(self) -> str:
        """The manifest, ASCII: a name that is not UTF-8 survives."""
        return json.dumps({"format": FORMAT, "shards": self.shards, **asdict(self)}, indent=0)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan of a manifest.

        Raises:
            ValueError: for another text.
        """
        try:
            values: Any = json.loads(text)
        except RecursionError:
            raise ValueError("nested too deep") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError("not a manifest of this version")
        model, threshold, size, images = (
            values.get(name) for name in ("model", "threshold", "shard_images", "images")
        )
        if not isinstance(model, str):
            raise ValueError("model is no text")
        if threshold is not None and not (type(threshold) in (int, float) and 0 <= threshold <= 1):
            raise ValueError("threshold is no score from 0 to 1")
        if type(size) is not int or size < 1:
            raise ValueError("shard_images is no number from 1")
        if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
            raise ValueError("images is no list of texts")
        return cls(model, threshold, size, tuple(images))


def make_plan(
    model: str | os.PathLike[str],
    images: Sequence[str],
    threshold: float | None,
    shard_images: int | None = None,
) -> Plan:
    """The plan for images as :func:`masu.bulk.sources.list_images` gives them.

    Args:
        model: the model's file.
        images: sorted, each once, at least one.
        threshold: lowest score; None: the model's own.
        shard_images: default: some 256 shards, within ``SHARD_IMAGES``.

    Raises:
        InputError: no such model.
    """
    fewest, most = SHARD_IMAGES
    size = shard_images or min(max(-(-len(images) // 256), fewest), most)
    return Plan(checksum(Path(model)), threshold, size, tuple(images))


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


def part_name(shard: int) -> str:
    """The file that holds the rows of a shard."""
    return f"part-{shard:06d}.parquet"


def left(plan: Plan, store: Store) -> list[int]:
    """The shards that have no whole file yet; a part that is cut, empty or another's counts as none.

    Raises:
        InputError: where the folder holds another job's parts.
    """
    names = store.names()
    thing = f"{getattr(store, 'path', '') or getattr(store, 'url', '')}"
    if MANIFEST in names:
        try:
            existing = Plan.from_json(store.read(MANIFEST).decode())
        except ValueError as error:
            raise bad_input(
                f"{thing}/{MANIFEST}",
                f"no readable manifest ({error})",
                "one of this version",
                "choose another --out",
                code="other-version",
            ) from None
        difference = _difference(existing, plan)
        if difference:
            raise bad_input(
                thing, f"another job ({difference})", "this one or an empty folder", "choose another --out"
            )
    elif any(name.startswith("part-") and name.endswith(".parquet") for name in names):
        raise bad_input(thing, f"parts without {MANIFEST}", "an empty folder", "choose another --out")
    there = [number for number in range(plan.shards) if part_name(number) in names]
    with ThreadPoolExecutor(_READERS) as pool:
        sizes = pool.map(lambda number: part_rows(store, part_name(number)), there)
        done = {number for number, rows in zip(there, sizes, strict=True) if rows == len(plan.shard(number))}
    return [number for number in range(plan.shards) if number not in done]


def _difference(existing: Plan, plan: Plan) -> str:
    if existing.model != plan.model:
        return f"model {existing.model[:12]}, now {plan.model[:12]}"
    if existing.threshold != plan.threshold:
        before, now = ("the model's" if t is None else f"{t:g}" for t in (existing.threshold, plan.threshold))
        return f"threshold {before}, now {now}"
    if existing.images != plan.images:
        gone, new = set(existing.images) - set(plan.images), set(plan.images) - set(existing.images)
        counts = f"{len(existing.images)} images, now {len(plan.images)}: {len(gone)} gone, {len(new)} new"
        return f"{counts}, such as {min(gone or new)}"
    if existing.shard_images != plan.shard_images:
        return f"{existing.shard_images} images a part, now {plan.shard_images}"
    return ""
