"""Which images a bulk job is about: folders, patterns, lists of paths and URLs, object stores."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import IO, Any

from masu.bulk.remote import is_url, open_filesystem, scheme_of, store_errors
from masu.data.pixels.pictures import files_below, find_images, is_image_name
from masu.errors import bad_input
from masu.regular import open_regular

_SIGNS = re.compile(r"[*?\[]")


def list_images(sources: Sequence[str | os.PathLike[str]]) -> Iterator[str]:
    """The images that the sources mean, as they are found: in any order, perhaps more than once.

    Local ones come as absolute paths. Of folders, lists and stores of Amazon's kind there is never more than
    a page in memory.

    Args:
        sources: image files, folders and patterns as :func:`masu.data.pixels.pictures.find_images` has;
            URLs of an object, a prefix or a pattern, such as ``s3://bucket/shots`` or
            ``s3://bucket/**/*.jpg``; text files ``*.txt``, local or not, with one path or URL a line. What
            stands in such a list is taken as it is: relative to the working directory, looked at only when
            its turn comes.

    Raises:
        InputError: for a source without images, a bucket or list that is not there, an unknown scheme, or a
            store that does not answer.
    """
    if not sources:
        raise bad_input("images", "no source", "a file, a folder, a pattern or a URL", "name at least one")
    for source in (os.fspath(source) for source in sources):
        if source.lower().endswith(".txt"):
            yield from _listed(source)
        elif is_url(source):
            yield from _objects(source)
        elif os.path.isdir(source):
            yield from _inside(source)
        else:
            yield from (os.path.abspath(path) for path in find_images([source]))


def _inside(folder: str) -> Iterator[str]:
    empty = True
    for path in files_below(os.path.abspath(folder)):
        if is_image_name(os.path.basename(path)) and os.path.isfile(path):
            yield path
            empty = False
    if empty:
        find_images([folder])  # says what is there instead


def _listed(source: str) -> Iterator[str]:
    schemes: set[str] = set()
    empty = True
    try:
        with _opened(source) as file, TextIOWrapper(file, "utf-8", errors="surrogateescape") as lines:
            for line in filter(None, map(str.strip, lines)):
                empty = False
                if not is_url(line):
                    yield os.path.abspath(line)
                    continue
                if scheme_of(line) not in schemes:
                    open_filesystem(line)
                    schemes.add(scheme_of(line))
                yield line
    except FileNotFoundError:
        raise bad_input(
            source,
            "no such file",
            "a list of images, one path or URL a line",
            "check the path",
            code="missing-file",
        ) from None
    except OSError as error:
        found = f"a list that cannot be read ({error.strerror or error})"
        raise bad_input(source, found, "one path or URL a line", "check the path") from None
    if empty:
        raise bad_input(source, "an empty list", "one path or URL a line", "add the images")


@contextmanager
def _opened(source: str) -> Iterator[IO[bytes]]:
    if not is_url(source):
        with open_regular(source) as file:
            yield file
        return
    filesystem, path = open_filesystem(source)
    with store_errors(source), filesystem.open(path, "rb") as file:
        yield file


def _objects(source: str) -> Iterator[str]:
    filesystem, path = open_filesystem(source)
    empty = True
    try:
        with store_errors(source):
            if filesystem.isfile(path):
                yield source
                return
            for url in _urls(filesystem, path):
                if is_image_name(url.rsplit("/", 1)[-1]):
                    yield url
                    empty = False
    except FileNotFoundError as error:
        raise bad_input(
            source, f"nothing there ({error})", "a bucket or folder that exists", "check the URL"
        ) from None
    if empty:
        raise bad_input(
            source, "no image", "an image, or a prefix or pattern with images under it", "check the URL"
        )


def _urls(filesystem: Any, path: str) -> Iterator[str]:
    """URLs of the objects of a prefix or pattern."""
    sign = _SIGNS.search(path)
    if "s3" not in filesystem.protocol or (sign and "/" not in path[: sign.start()]):
        names = filesystem.glob(path) if sign else filesystem.find(path)
        yield from (str(filesystem.unstrip_protocol(name)) for name in names)
        return
    root = path[: sign.start()].rpartition("/")[0] if sign else path.rstrip("/")
    bucket, _, prefix = root.partition("/")
    question = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
    if sign and "/" not in path[len(root) + 1 :]:
        question["Delimiter"] = "/"  # not what lies deeper
    matches = re.compile(_translated(path) if sign else "").match
    base = str(filesystem.unstrip_protocol(bucket))
    while True:
        page = filesystem.call_s3("list_objects_v2", **question)
        for key in (entry["Key"] for entry in page.get("Contents", ())):
            if matches(f"{bucket}/{key}"):
                yield f"{base}/{key}"
        if not page.get("IsTruncated"):
            return
        question["ContinuationToken"] = page["NextContinuationToken"]


def _translated(pattern: str) -> str:
    from fsspec.utils import glob_translate

    return str(glob_translate(pattern))
