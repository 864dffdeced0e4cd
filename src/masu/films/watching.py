"""What a detector finds in the frames of a film, one frame after the other, and whose boxes they are."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch

from masu.data.loading.ahead import ahead
from masu.data.pixels.sources import in_batches
from masu.detectors.detector import Detector
from masu.detectors.margins import Margins, check_can_enlarge, enlarged
from masu.errors import bad_input
from masu.evaluation.predictions import AnyDetector
from masu.films.frame import Frame, Source
from masu.films.newest import newest
from masu.films.source import source_of
from masu.films.tracker import Tracker, least
from masu.ranges import BATCH_SIZE, EVERY
from masu.records import Detections
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame and what was found in it.

    Attributes:
        frame: its number, its time and its pixels.
        found: ``k`` boxes in pixels of the frame, best score first, on the CPU.
        tracks: ``k`` numbers from 1, one and the same for one object through the film; None for a box that
            belongs to no object (yet), and for all where none are followed.
        seconds: that the network took.
    """

    frame: Frame
    found: Detections
    tracks: tuple[int | None, ...]
    seconds: float


def watch(
    detector: AnyDetector,
    source: str | os.PathLike[str],
    *,
    every: int = 1,
    threshold: Threshold | None = None,
    track: bool = False,
    margins: bool = False,
    batch_size: int = 1,
    faults: list[str] | None = None,
) -> Iterator[Seen]:
    """Find objects in the frames of a film, a camera or an image sequence, one after the other.

    Memory does not grow with the film. While the network runs, the next frames are decoded. Of a camera or
    a stream, frames that come while the network is busy are left out, so that what is seen is always now.

    Args:
        detector: any masu detector of RGB images.
        source: a film's path (``.mp4``, ``.mov``, ``.mkv``, ``.avi``, ``.webm``, …), ``"camera:0"``,
            ``"rtsp://…"`` (the one kind of address that is opened), or a folder or pattern of images.
        every: look at every n-th frame alone, the first one first.
        threshold: lowest score, in 0..1, one number or one per class; default: the detector's own
            ``thresholds``, 0.5 for a class without one.
        track: give each object one number through the film (ByteTrack). Boxes below the threshold are kept
            where they continue an object.
        margins: enlarge each box by the margin of its class, after objects were followed.
        batch_size: frames that run through the network together; of a camera always one.
        faults: receives one line for what of the film could not be read.

    Returns:
        An iterator of :class:`masu.films.watching.Seen`: ``frame``, ``found``, ``tracks``, ``seconds``.

    Raises:
        InputError: for a source that is missing, cannot be opened or has no frame, a number out of range, a
            detector of other channels than RGB or without margins, or a package that is missing
            (``pip install 'masu[video]'``). What depends on the film is raised when its turn has come.
    """
    return watch_source(
        detector,
        source_of(source),
        every=every,
        threshold=threshold,
        track=track,
        margins=margins,
        batch_size=batch_size,
        faults=[] if faults is None else faults,
    )


def watch_source(
    detector: AnyDetector,
    source: Source,
    *,
    every: int,
    threshold: Threshold | None,
    track: bool,
    margins: bool,
    batch_size: int,
    faults: list[str],
) -> Iterator[Seen]:
    """:func:`watch` of an opened source."""
    if detector.input.channels is not None:
        found = f"images of {detector.input.channels} channels"
        raise bad_input("model", found, "one of RGB images", "films are RGB")
    EVERY.check("every", every)
    BATCH_SIZE.check("batch_size", batch_size)
    if threshold is None:
        threshold = getattr(detector, "thresholds", None) or DEFAULT_THRESHOLD
    check_threshold(threshold, detector.names)
    own_margins: Margins = getattr(detector, "margins", {}) if margins else {}
    if margins:
        check_can_enlarge(own_margins, getattr(detector, "otherwise", ""))
    tracker = None
    if track:
        rate = source.about().rate
        tracker = Tracker(threshold, None if rate is None else rate / every)
    if isinstance(detector, Detector):  # its weights are looked at once, not for every frame
        detector = detector.prediction_network()
    return _seen(detector, source, every, threshold, tracker, own_margins, batch_size, faults)


def _seen(
    detector: AnyDetector,
    source: Source,
    every: int,
    threshold: Threshold,
    tracker: Tracker | None,
    margins: Margins,
    batch_size: int,
    faults: list[str],
) -> Iterator[Seen]:
    wanted = threshold if tracker is None else least(threshold, detector.names)
    with closing(_frames(source, every, batch_size, faults)) as frames:
        for batch in in_batches(frames, 1 if source.live else batch_size):
            start = time.perf_counter()
            all_found = _found(detector, batch, wanted, batch_size)
            seconds = (time.perf_counter() - start) / len(batch)
            for frame, found in zip(batch, all_found, strict=True):
                tracks: tuple[int | None, ...] = (None,) * len(found)
                if tracker is not None:
                    found, tracks = tracker.follow(found, frame.seconds)
                if margins:
                    found = enlarged(found, margins, *frame.image.shape[:2])
                yield Seen(frame, found, tracks, seconds)


def _frames(source: Source, every: int, count: int, faults: list[str]) -> Generator[Frame]:
    frames = source.frames(every, faults)
    return newest(frames) if source.live else ahead(frames, count)


def _found(
    detector: AnyDetector, batch: Sequence[Frame], threshold: Threshold, batch_size: int
) -> list[Detections]:
    images = [torch.from_numpy(frame.image).permute(2, 0, 1) for frame in batch]  # (H, W, 3) → (3, H, W)
    found = detector.predict(images, threshold=threshold, batch_size=batch_size)
    return [one.to("cpu") for one in found]
