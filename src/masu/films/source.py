"""What a word means: a film, a camera, a stream or a sequence of images."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from masu.data.pixels.pictures import FILM_SUFFIXES
from masu.errors import bad_input
from masu.films.frame import Frame, Source
from masu.films.moving import Moving
from masu.films.sequence import ImageSequence
from masu.ranges import EVERY

_CAMERA = "camera:"
_STREAMS = ("rtsp", "rtsps")
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
_SYSTEMS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


def is_film(word: str | os.PathLike[str]) -> bool:
    """Whether a word means a film, a camera or a stream, by its look alone; folders and patterns do not."""
    text = os.fspath(word)
    scheme = _ADDRESS.match(text)
    if text.startswith(_CAMERA) or (scheme and scheme[1].lower() in _STREAMS):
        return True
    return Path(text).suffix.lower() in FILM_SUFFIXES and not os.path.isdir(text) and not scheme


def source_of(word: str | os.PathLike[str]) -> Source:
    """What a word means.

    Args:
        word: a film's path, ``camera:0`` (also by name: ``camera:/dev/video2``), ``rtsp://…``, or a folder or
            pattern of images, which is a sequence in the order of the numbers in their names.

    Raises:
        InputError: for a URL of another kind, or where a folder or pattern has no images.
    """
    text = os.fspath(word)
    if text.startswith(_CAMERA):
        return _camera(text)
    scheme = _ADDRESS.match(text)
    if scheme and scheme[1].lower() in _STREAMS:
        return _stream(text)
    if scheme:
        raise bad_input(text, "a URL", "a film on this computer, camera:0 or rtsp://…", "fetch it first")
    if is_film(text) or (os.path.isfile(text) and not os.path.isdir(text)):
        # named as a file, and nothing but files: a playlist in a film's name can open no address
        options = {"protocol_whitelist": "file"}
        return Moving(text, Path(text).stem, f"file:{text}", options=options)
    return ImageSequence.of(text)


def sources_of(words: Sequence[str | os.PathLike[str]]) -> list[Source]:
    """What several words mean: each a source, but files of images together are one sequence in their order.

    Raises:
        InputError: as of :func:`source_of`.
    """
    files = [Path(word) for word in words if not is_film(word) and os.path.isfile(word)]
    if not files:
        return [source_of(word) for word in words]
    others = [source_of(word) for word in words if Path(word) not in files]
    return [*others, ImageSequence(str(files[0].parent), tuple(files))]


def frames(source: str | os.PathLike[str], every: int = 1) -> Iterator[Frame]:
    """The frames of a film, a camera or an image sequence, upright, one in memory at a time.

    ``detector.predict(frame.image)`` takes each as it is.

    Args:
        source: as of :func:`masu.watch`.
        every: every n-th frame alone, the first one first.

    Returns:
        An iterator of frames: ``number`` from 0, ``seconds`` from the film's own time stamps (None in an
        image sequence), ``image`` ``(H, W, 3)`` uint8 RGB. Parts of a damaged film that cannot be decoded
        are left out; :func:`masu.watch` names them.

    Raises:
        InputError: for a source that is missing or cannot be opened, one without any frame, an ``every``
            below 1, or without the package av (``pip install 'masu[video]'``).
    """
    EVERY.check("every", every)
    return source_of(source).frames(every, [])


def _camera(text: str) -> Moving:
    which = text.removeprefix(_CAMERA)
    if not which:
        raise bad_input(text, "no camera", "its number, such as camera:0, or its name")
    system = "linux" if sys.platform.startswith("linux") else sys.platform
    address = which
    if system == "linux" and which.isascii() and which.isdecimal():
        address = f"/dev/video{int(which)}"
    elif system == "win32":
        address = f"video={which}"
    stem = "camera-" + re.sub(r"[^A-Za-z0-9]+", "-", which).strip("-")
    return Moving(text, stem, address, live=True, form=_SYSTEMS.get(system, "v4l2"))


def _stream(text: str) -> Moving:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host:
        raise bad_input("rtsp", "an address without a host", "rtsp://host/path")
    # a password is nobody's, and some cameras have it in the query
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", f"{host}{parts.path}").strip("-")
    options = {"rtsp_transport": "tcp", "protocol_whitelist": "rtp,rtsp,srtp,tcp,tls,udp"}
    return Moving(shown, stem, text, live=True, options=options)
