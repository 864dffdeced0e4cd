"""Films, cameras and streams as FFmpeg reads them, by PyAV: upright frames with their own time stamps."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from masu.errors import InputError, bad_input, counted
from masu.films.frame import About, Array, Frame
from masu.regular import require_regular

if TYPE_CHECKING:
    from av.container import InputContainer

_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d*)?)")

_NEAR, _NEAR_SHARE = 1.0, 0.02
"""Seconds, and share of the length, by which a whole film may end before the length that it says."""

_WAIT = 10.0
"""Seconds until a camera or a stream that says nothing is given up."""


def require_av() -> Any:
    """The package av.

    Raises:
        InputError: where it is not installed.
    """
    try:
        import av
    except ImportError:
        fix = "pip install 'masu[video]'"
        raise bad_input("av", "no such package", "the package av", fix, code="missing-package") from None
    return av


@dataclass(frozen=True)
class Moving:
    """What FFmpeg opens.

    Attributes:
        name: as it is shown.
        stem: what files about it are called, without a suffix.
        address: what FFmpeg opens.
        live: a camera or a stream.
        form: FFmpeg's name of the format; None: found by looking.
        options: FFmpeg's.
    """

    name: str
    stem: str
    address: str
    live: bool = False
    form: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def about(self) -> About:
        """See :class:`masu.films.frame.Source`; a camera is not opened for it."""
        if self.live:
            return About()
        with self._opened() as container:
            stream = container.streams.video[0]
            rate = stream.average_rate
            return About(stream.frames or None, float(rate) if rate else None)

    def frames(self, every: int, faults: list[str]) -> Generator[Frame]:
        """See :class:`masu.films.frame.Source`."""
        with self._opened() as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE" if self.live else "AUTO"
            reading = _Reading(self.name, container)
            for number, decoded in enumerate(reading.decoded()):
                seconds = reading.seconds(decoded, number)
                if number % every:
                    continue
                try:
                    image = _upright(decoded)
                except (MemoryError, ValueError, OSError) as error:
                    faults.append(f"{self.name}: frame {number} cannot be read ({error})")
                    continue
                yield Frame(number, seconds, image)
            faults += reading.told()
            if not reading.count:
                raise reading.nothing()

    def _opened(self) -> InputContainer:
        av = require_av()
        if not self.live:
            self._require_file()
        try:
            container: InputContainer = av.open(
                self.address,
                format=self.form,
                options=dict(self.options),
                timeout=_WAIT if self.live else None,
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            wanted = "a camera that answers" if self.live else "a film that FFmpeg reads"
            fix = _camera_fix(self.form) if self.live else "replace the file or leave it out"
            raise bad_input(self.name, _words(error), wanted, fix) from None
        if not container.streams.video:
            kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            container.close()
            raise bad_input(self.name, f"{kinds} without pictures", "a film", "leave it out")
        return container

    def _require_file(self) -> None:
        path = Path(self.name)
        try:
            require_regular(path)
        except FileNotFoundError:
            raise bad_input(path, "no such file", "a film", "check the path", code="missing-file") from None
        except OSError as error:
            raise bad_input(path, str(error.strerror or error), "a film", "leave it out") from None
        if not path.stat().st_size:
            raise bad_input(path, "an empty file", "a film", "replace the file or leave it out")


class _Reading:
    """One walk through a film: what was decoded, and what was not."""

    def __init__(self, name: str, container: InputContainer) -> None:
        self.name, self.container = name, container
        self.stream = container.streams.video[0]
        self.count = self.packets = self.broken = 0
        self.first: float | None = None
        self.last: float | None = None
        self.ended = ""

    def decoded(self) -> Iterator[Any]:
        """The frames that can be decoded, in the order in which they are shown."""
        av = require_av()
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
                self.packets += bool(packet.size)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as error:
                self.ended = _words(error)
                return
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError, MemoryError):
                self.broken += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.broken += 1
                    continue
                yield frame
                self.count += 1

    def seconds(self, frame: Any, number: int) -> float | None:
        """When the frame is shown, after the first; without a time stamp, as number and rate say."""
        rate = float(self.stream.average_rate or 0)
        if frame.pts is None or frame.time_base is None:
            if not rate:
                return None
            self.last = round(number / rate if self.last is None else self.last + 1 / rate, 6)
            return self.last
        time = float(frame.pts * frame.time_base)
        if self.first is None:
            start = self.stream.start_time
            # a stream's first frames may come without time stamps
            self.first = time - (self.last + 1 / rate if self.last is not None and rate else 0)
            if start is not None:
                self.first = min(self.first, float(start * frame.time_base))
        self.last = round(time - self.first, 6)
        return self.last

    def told(self) -> Iterator[str]:
        """What could not be read, in at most one line."""
        missing = max(self.stream.frames - self.packets, 0)
        length = self._length()
        short = length is not None and self.last is not None and not missing
        short = short and length - self.last > max(_NEAR, _NEAR_SHARE * length)  # type: ignore[operator]
        if not self.count or not (self.broken or self.ended or missing or short):
            return
        after = "" if self.last is None else f", up to {self.last:.2f} s"
        found = [counted(self.broken, "damaged part")] if self.broken else []
        found += [f"an end before its last {counted(missing, 'frame')}"] if missing else []
        found += [f"an end long before its {length:.2f} s"] if short else []
        found += [self.ended] if self.ended else []
        yield str(
            bad_input(
                self.name,
                " and ".join(found),
                "a whole film",
                f"what can be read is used: {counted(self.count, 'frame')}{after}",
            )
        )

    def _length(self) -> float | None:
        """Seconds that the pictures last, as the film says; None where it speaks of all of it, with sound."""
        if self.stream.duration is not None and self.stream.time_base is not None:
            return float(self.stream.duration * self.stream.time_base)
        if said := _CLOCK.fullmatch(self.stream.metadata.get("DURATION", "")):  # Matroska's own word
            hours, minutes, seconds = said.groups()
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        alone = len(self.container.streams) == 1 and self.container.duration is not None
        return self.container.duration / 1e6 if alone else None  # type: ignore[operator]

    def nothing(self) -> InputError:
        """No frame was decoded."""
        undecoded = f"no frame that can be decoded in {self.packets} parts" if self.packets else "no frame"
        found = self.ended or undecoded
        return bad_input(self.name, found, "a film of at least one frame", "replace the file or leave it out")


def _upright(decoded: Any) -> Array:
    """A decoded frame as ``(H, W, 3)`` uint8, turned as its display matrix says; alpha is dropped."""
    image: Array = decoded.to_ndarray(format="rgb24")
    quarters = round(decoded.rotation / 90) % 4  # counterclockwise, as np.rot90 turns
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _words(error: Exception) -> str:
    """What FFmpeg says, without its numbers and the file's name."""
    return str(getattr(error, "strerror", None) or error).lower()


def _camera_fix(form: str | None) -> str:
    if form is None:
        return "check address, name and password"
    where = "ls /dev/video*" if sys.platform.startswith("linux") else "the system's list of cameras"
    return f"see {where} for the cameras there are"
