"""Object stores through fsspec: URLs such as ``s3://bucket/key``, with errors of one line."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from masu.data.pixels.pictures import UnreadableImageError
from masu.errors import InputError, bad_input


class StoreError(InputError):
    """An object store that refuses or does not answer: no fault of an image, so the job stops."""

    default_code = "store"


REFUSED = "an object that the store refuses"
"""How the error begins of one that is there and is not given, while others may be."""

NO_OBJECT = "no such object"

_ALL_REFUSED = {
    "AccountProblem",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
"""Amazon's codes for a caller that is refused rather than an object."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PACKAGES = {
    "s3": "masu[s3]",
    "s3a": "masu[s3]",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
}


def is_url(text: str) -> bool:
    """Whether a text names an object of a store rather than a local file."""
    return _SCHEME.match(text) is not None


def scheme_of(url: str) -> str:
    """``s3`` of ``s3://bucket/key``."""
    return url.partition("://")[0].lower()


def open_filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the URL's path in it.

    Raises:
        InputError: for a scheme that is unknown or whose package is not installed.
    """
    scheme = scheme_of(url)
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url)
    except ImportError:
        package = _PACKAGES.get(scheme, f"fsspec's package for {scheme}")
        raise bad_input(url, "no package for this scheme", package, f"pip install '{package}'") from None
    except ValueError:
        raise bad_input(
            url,
            f"the unknown scheme {scheme!r}",
            "a local path, or a URL such as s3://bucket/prefix",
            "check it",
        ) from None
    return filesystem, path


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Turn what a store raises, other than that a thing is not there, into one line.

    Raises:
        StoreError: the store refuses or does not answer. FileNotFoundError passes.
    """
    try:
        yield
    except (InputError, FileNotFoundError):
        raise
    except Exception as error:  # noqa: BLE001 each store's client has exceptions of its own, some no OSError
        found = f"a store that refuses or does not answer ({type(error).__name__}: {error})"
        wanted, fix = "readable objects or a writable folder", "check address and keys and start again"
        raise bad_input(url, found, wanted, fix, kind=StoreError) from None


@contextmanager
def local_file(path: str) -> Iterator[Path]:
    """A local file with the content of a path or URL; that of a URL is gone afterwards.

    Raises:
        UnreadableImageError: no such object, or one that the store refuses.
        StoreError: the store refuses all of them or does not answer.
    """
    if not is_url(path):
        yield Path(path)
        return
    filesystem, inside = open_filesystem(path)
    try:
        with store_errors(path), _refusals(path):
            content = filesystem.cat_file(inside)
    except FileNotFoundError:
        raise UnreadableImageError(path, NO_OBJECT, "check the URL") from None
    # a file, so that every format is decoded as it is from disk
    with tempfile.TemporaryDirectory(prefix="masu-") as folder:
        file = Path(folder) / f"image{Path(inside).suffix}"
        file.write_bytes(content)
        yield file


def is_readable(url: str) -> bool:
    """Whether a store gives an object; its first byte is asked for. One that is not there is not given.

    Raises:
        StoreError: the store refuses all of them or does not answer.
    """
    filesystem, inside = open_filesystem(url)
    try:
        with store_errors(url), _refusals(url):
            filesystem.cat_file(inside, start=0, end=1)
    except (FileNotFoundError, UnreadableImageError):
        return False
    return True


@contextmanager
def _refusals(url: str) -> Iterator[None]:
    """Tell an object that is refused from a caller that is."""
    try:
        yield
    except PermissionError as error:
        answer = getattr(error.__cause__, "response", None) or {}  # of botocore
        if answer.get("Error", {}).get("Code") in _ALL_REFUSED:
            raise
        raise UnreadableImageError(url, f"{REFUSED} ({error})", "ask for the right to read it") from None
