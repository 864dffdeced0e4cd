"""A bulk job from beginning to end: list, plan, run what is left."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from masu.bulk.alone import ask_elsewhere
from masu.bulk.local_engine import run_local
from masu.bulk.parts import left
from masu.bulk.plan import begin
from masu.bulk.predictor import Predictor
from masu.bulk.sorting import sorted_names
from masu.bulk.sources import list_images
from masu.bulk.stores import open_store
from masu.bulk.table import require_pyarrow
from masu.errors import bad_input
from masu.ranges import BATCH_SIZE, IMAGE_SIZE, PART_IMAGES, SHARE, WORKERS
from masu.words import BulkEngine


@dataclass(frozen=True)
class BulkReport:
    """What :func:`detect_bulk` did.

    Attributes:
        images: number of images in the job, each of which has its row now.
        done_before: number of those whose rows were there already.
        detections: number of objects in the others.
        errors: number of the others that could not be read; their rows say why.
        killers: those of the others that ended the process that read them, twice; their rows say so.
        parts: number of Parquet files.
        out: the folder, a path or URL.
    """

    images: int
    done_before: int
    detections: int
    errors: int
    parts: int
    out: str
    killers: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The attributes as JSON knows them."""
        return asdict(self)


def detect_bulk(
    model: str | os.PathLike[str],
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    threshold: float | None = None,
    image_size: int | None = None,
    tta: bool = False,
    engine: BulkEngine = "local",
    workers: int | tuple[int, int] | None = None,
    batch_size: int = 1,
    shard_images: int | None = None,
    trust_code: bool = False,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
    told: Callable[[Mapping[str, float], str], None] = lambda _thresholds, _otherwise: None,
) -> BulkReport:
    """Find objects in very many images; the rows go to Parquet files in a folder.

    A job that was stopped, however, goes on when it is started again with the same arguments: what has been
    written stays, every image has exactly one row in the end.

    Args:
        model: a model of masu or an exported file.
        sources: see :func:`masu.bulk.sources.list_images`.
        out: folder or URL of an object store's prefix.
        threshold: lowest score, in 0..1; default: the model's own, per class, or 0.5.
        image_size: shorter side that the network is to see, in pixels, see :func:`masu.with_image_size`;
            default: the model's own. A job goes on as it was begun.
        tta: look at each image mirrored, too, see :func:`masu.with_tta`; a job goes on as it was begun.
        engine: ``"local"``: this process. ``"ray"``: several over Ray, on the cluster that
            ``RAY_ADDRESS`` names or on this machine.
        workers: processes of ``"ray"``; default: one per core or GPU. The cores are shared out among them.
            Two numbers: the fewest to begin with, and the most, which take part as there is room for them.
        batch_size: images that run through the network together.
        shard_images: images that a worker does at a time; default: see :func:`masu.bulk.plan.plan_images`.
        trust_code: see :class:`masu.exports.exported.ExportedDetector`.
        device: see :func:`masu.exports.exported.open_detector`; with ``"ray"`` every process has a GPU of its
            own by ``"cuda"``, and ``"auto"`` is the processor.
        progress: called with (images done, images in the job) after every part.
        told: called before the first image with the model's own thresholds by class, where they are used, and
            with how they were measured where images are looked at otherwise, such as ``"without --tta"``.

    Returns:
        How many images, parts and detections there are, and images with an error in their row.

    Raises:
        InputError: for an argument out of range, another size than that of an exported file, a package that
            is not installed, no image, a folder of another job, or a store that does not answer. What has
            been written stays.
    """
    if engine not in get_args(BulkEngine):
        wanted = f"one of {', '.join(get_args(BulkEngine))}"
        raise bad_input("engine", f"{engine!r}", wanted, code="unknown-name")
    least, most = workers if isinstance(workers, tuple) else (workers, workers)
    for name, value, span in (
        ("threshold", threshold, SHARE),
        ("image_size", image_size, IMAGE_SIZE),
        ("workers", least, WORKERS),
        ("workers", most, WORKERS),
        ("batch_size", batch_size, BATCH_SIZE),
        ("shard_images", shard_images, PART_IMAGES),
    ):
        if value is not None:
            span.check(name, value)
    if least is not None and most is not None and least > most:
        raise bad_input("workers", f"{workers}", "the fewest, then the most", code="out-of-range")
    if engine == "ray" and device.startswith("cuda:"):
        found = f"{device} with engine ray"
        raise bad_input("device", found, "cuda", "every process has one of its own", code="out-of-range")
    require_pyarrow()
    if engine == "ray":
        from masu.bulk.ray_engine import require_ray, run_ray

        require_ray()
    store = open_store(out)
    where = "cpu" if engine == "ray" and device == "auto" else device

    def predictor(threads: int | None = None, device: str = where) -> Predictor:
        return Predictor(
            model,
            threshold,
            threads,
            batch_size,
            trust_code=trust_code,
            device=device,
            tta=tta,
            image_size=image_size,
        )

    @functools.cache
    def check() -> tuple[dict[str, float], str]:
        """A file that is no model stops here, before anything is written."""
        if engine == "ray":
            return ask_elsewhere(predictor(device="cpu").own_thresholds)
        return predictor().own_thresholds()

    with sorted_names(list_images(sources)) as names:
        plan, images = begin(store, names, model, threshold, shard_images, tta, image_size, check)
    shards = left(plan, store)
    done = before = plan.images - sum(plan.rows(range(number, number + 1)) for number in shards)
    detections = errors = 0
    killers: list[str] = []
    if progress is not None:
        progress(done, plan.images)
    if shards:
        thresholds, otherwise = check()
        if threshold is None and thresholds:
            told(thresholds, otherwise)
        if engine == "ray":
            stream = run_ray(plan, images, shards, predictor, workers, gpus=device == "cuda")
        else:
            stream = run_local(plan, images, shards, predictor())
        for tally in stream:
            done += tally.images
            detections += tally.detections
            errors += tally.errors
            killers += tally.killers
            if progress is not None:
                progress(done, plan.images)
    store.sweep()
    killers.sort()
    return BulkReport(plan.images, before, detections, errors, plan.parts, os.fspath(out), tuple(killers))
