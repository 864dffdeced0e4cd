"""The one object that every engine calls: paths in, a table of what was found out."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from masu.bulk.remote import StoreError, local_file
from masu.bulk.table import ImageRow, to_table
from masu.data.pixels.pictures import UnreadableImageError
from masu.errors import InputError
from masu.threads import compute_alone

if TYPE_CHECKING:
    import pyarrow
    from torch import Tensor

    from masu.detectors.detector import Detector
    from masu.detectors.tta import FlipTTA
    from masu.exports.exported import ExportedDetector


class Predictor:
    """Detection of a batch of paths, for Ray Data, Spark, Dask or a plain loop.

    It holds settings only and can be pickled; the model is loaded in the process that calls it, once however
    often the predictor is unpickled there. Images are decoded ahead in threads while the network runs::

        predictor = Predictor("cells.safetensors", threshold=0.5)
        table = predictor({"path": ["a.jpg", "s3://bucket/b.jpg"]})

    Args:
        model: a model of masu, or an exported file (``.onnx``, ``.xml``, ``.pt2``).
        threshold: lowest score, in 0..1; default: the model's own, per class, or 0.5.
        threads: that the network uses in this process; default: its own choice, all usable cores.
        batch_size: images that run through the network together, where they are padded alike.
        readers: threads that decode.
        trust_code: see :class:`masu.exports.exported.ExportedDetector`.
        device: see :func:`masu.exports.exported.open_detector`.
        tta: look at each image mirrored, too, see :func:`masu.with_tta`.
        image_size: shorter side that the network is to see, in pixels, see :func:`masu.with_image_size`;
            default: the model's own.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        threshold: float | None = None,
        threads: int | None = None,
        batch_size: int = 1,
        readers: int = 2,
        trust_code: bool = False,
        device: str = "cpu",
        tta: bool = False,
        image_size: int | None = None,
    ) -> None:
        self.model = os.path.abspath(model)
        self.threshold = threshold
        self.threads = threads
        self.batch_size = batch_size
        self.readers = readers
        self.trust_code = trust_code
        self.device = device
        self.tta = tta
        self.image_size = image_size

    @property
    def detector(self) -> Detector | ExportedDetector | FlipTTA:
        """The model, loaded at first use.

        Raises:
            InputError: for a file that is no model, a size out of range, or another one than that of an
                exported file.
        """
        changed = os.stat(self.model).st_mtime_ns if os.path.exists(self.model) else 0
        return _load(
            self.model, changed, self.threads, self.trust_code, self.device, self.tta, self.image_size
        )

    def own_thresholds(self, _batch: object = None) -> tuple[dict[str, float], str]:
        """The model's thresholds by class, and how they were measured where it looks otherwise, else empty.

        See :attr:`masu.detectors.predict.Predictor.otherwise`. It can be called as the predictor is, with a
        batch that is not looked at.

        Raises:
            InputError: see :attr:`detector`.
        """
        detector = self.detector
        return dict(detector.thresholds), detector.otherwise

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> pyarrow.Table:
        """Predict the images under ``batch["path"]``.

        Returns:
            One row per path, in their order, of :func:`masu.bulk.table.schema`. An image that is missing or
            damaged has its ``error`` and nothing else.

        Raises:
            InputError: for a model that cannot be read, or an object store that refuses or does not answer.
        """
        return to_table(list(self.rows([str(path) for path in batch["path"]])))

    def rows(self, paths: Sequence[str]) -> Iterator[ImageRow]:
        """The row of each path, in order."""
        detector = self.detector
        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)  # holds for the calling thread, so at every call
        waiting: list[tuple[str, Tensor | str]] = []
        for path, image in self._images(paths, detector.input.channels):
            waiting.append((path, image))
            if len(waiting) == self.batch_size:
                yield from self._predict(detector, waiting)
                waiting = []
        yield from self._predict(detector, waiting)

    def _images(self, paths: Sequence[str], channels: int | None) -> Iterator[tuple[str, Tensor | str]]:
        """Paths with their pixels, or with what is wrong with them; a few decoded ahead."""
        pool = ThreadPoolExecutor(self.readers, initializer=compute_alone)
        ahead: deque[tuple[str, Future[Tensor | str]]] = deque()
        try:
            for path in paths:
                ahead.append((path, pool.submit(_read, path, channels)))
                if len(ahead) > self.batch_size + self.readers:
                    first, image = ahead.popleft()
                    yield first, image.result()
            while ahead:
                first, image = ahead.popleft()
                yield first, image.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _predict(
        self, detector: Detector | ExportedDetector | FlipTTA, images: Sequence[tuple[str, Tensor | str]]
    ) -> Iterator[ImageRow]:
        from masu.detectors.prediction import out_of_memory, too_large

        pixels = [image for _, image in images if not isinstance(image, str)]
        threshold = detector.thresholds if self.threshold is None else self.threshold
        try:
            found = iter(detector.predict(pixels, threshold, self.batch_size) if pixels else ())
        except Exception as error:
            if not out_of_memory(error):
                raise
            if len(images) == 1:
                yield ImageRow(images[0][0], error=str(too_large("image", pixels[0])))
            else:
                for one in images:
                    yield from self._predict(detector, [one])
            return
        for path, image in images:
            if isinstance(image, str):
                yield ImageRow(path, error=image)
            else:
                height, width = image.shape[-2:]
                yield ImageRow(path, height, width, next(found).to("cpu"))


def _read(path: str, channels: int | None) -> Tensor | str:
    from masu.data.pixels.images import read_pixels

    try:
        with local_file(path) as file:
            return read_pixels(file, channels)
    except StoreError:
        raise
    except UnreadableImageError as error:
        return error.found
    except InputError as error:
        return str(error)


@functools.lru_cache(maxsize=1)
def _load(
    model: str,
    changed: int,
    threads: int | None,
    trust_code: bool,
    device: str,
    tta: bool,
    image_size: int | None,
) -> Detector | ExportedDetector | FlipTTA:
    """Engines unpickle the predictor for every task: the model outlives it. ``changed`` tells a new file."""
    from masu.detectors.sizing import with_image_size
    from masu.detectors.tta import with_tta
    from masu.exports.exported import open_detector

    detector = open_detector(Path(model), threads, trust_code=trust_code, device=device)
    sized = detector if image_size is None else with_image_size(detector, image_size)
    return with_tta(sized) if tta else sized
