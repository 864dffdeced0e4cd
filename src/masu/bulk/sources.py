"""Which images a bulk job is about: folders, patterns, lists of paths and URLs, object stores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from masu.bulk.remote import is_url, open_filesystem, store_errors
from masu.data.pixels.pictures import find_images, is_image_name
from masu.errors import bad_input
from masu.regular import read_bytes


def list_images(sources: Sequence[str | os.PathLike[str]]) -> list[str]:
    """The images that the sources mean, each once, sorted; local ones as absolute paths.

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
    found: set[str] = set()
    for source in (os.fspath(source) for source in sources):
        if source.lower().endswith(".txt"):
            found.update(_listed(source))
        elif is_url(source):
            found.update(_objects(source))
        else:
            found.update(os.path.abspath(path) for path in find_images([source]))
    return sorted(found)


def _listed(source: str) -> Iterator[str]:
    try:
        if is_url(source):
            filesystem, path = open_filesystem(source)
            with store_errors(source):
                content = filesystem.cat_file(path)
        else:
            content = read_bytes(source)
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
    lines = [line.strip() for line in os.fsdecode(content).splitlines()]
    if not any(lines):
        raise bad_input(source, "an empty list", "one path or URL a line", "add the images")
    for line in filter(None, lines):
        if is_url(line):
            open_filesystem(line)
        yield line if is_url(line) else os.path.abspath(line)


def _objects(source: str) -> list[str]:
    filesystem, path = open_filesystem(source)
    try:
        with store_errors(source):
            if filesystem.isfile(path):
                return [source]
            pattern = any(sign in path for sign in "*?[")
            inside = filesystem.glob(path) if pattern else filesystem.find(path)
    except FileNotFoundError as error:
        raise bad_input(
            source, f"nothing there ({error})", "a bucket or folder that exists", "check the URL"
        ) from None
    images = [name for name in inside if is_image_name(name.rsplit("/", 1)[-1])]
    if not images:
        raise bad_input(
            source, "no image", "an image, or a prefix or pattern with images under it", "check the URL"
        )
    return [str(filesystem.unstrip_protocol(name)) for name in images]
