"""One network for all requests: they take turns, and few wait."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

from masu.data.pixels.images import read_image
from masu.detectors.detector import Detector
from masu.drafts.draft import Draft, draft_of
from masu.evaluation.predictions import AnyDetector
from masu.service.limits import Limits, RefusedError
from masu.service.pictures import picture_of
from masu.thresholds import Threshold


class Answerer:
    """A detector that answers requests from any thread.

    Args:
        detector: any masu detector of RGB photographs.
        threshold: lowest score, where a request names none.
        version: of the model.
        limits: see :class:`masu.service.limits.Limits`.
    """

    def __init__(
        self, detector: AnyDetector, threshold: Threshold, version: str, limits: Limits | None = None
    ) -> None:
        # a detector's weights are looked at once, not for every image
        self._network = detector.prediction_network() if isinstance(detector, Detector) else detector
        self.names, self.threshold, self.version = detector.names, threshold, version
        self.limits = limits or Limits()
        self._door = Lock()
        self._turns = ThreadPoolExecutor(1, "masu-predict")  # one thread: each that computes has its team
        self._inside = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the requests that run or wait.

        Raises:
            RefusedError: where there is none.
        """
        with self._door:
            if self._inside >= self.limits.waiting:
                raise RefusedError(503, f"busy: {self._inside} requests run or wait; try again", "QUEUE_FULL")
            self._inside += 1
        try:
            yield
        finally:
            with self._door:
                self._inside -= 1

    def draft(self, content: bytes, threshold: Threshold | None = None) -> Draft:
        """What is found in an encoded image.

        Args:
            content: the bytes of an image file.
            threshold: lowest score; None: the detector's own.

        Raises:
            RefusedError: as of :func:`masu.service.pictures.picture_of`.
        """
        picture = picture_of(content, self.limits)
        image = read_image(picture)
        least = self.threshold if threshold is None else threshold
        (found,) = self._turns.submit(self._network.predict, [image], threshold=least).result()
        return draft_of(found, (picture.shape[0], picture.shape[1]))
