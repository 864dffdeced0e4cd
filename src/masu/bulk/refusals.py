"""Objects that a store refuses: rows where they are some, the end of the job where they are all.

A row must never have to be taken back. So before a shard is written of which nothing was read from a store
that refused something, other images of the job are asked for there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from masu.bulk.manifest import Images
from masu.bulk.remote import NO_OBJECT, REFUSED, StoreError, is_readable, is_url, scheme_of
from masu.errors import bad_input

ASKED = 64
"""Images that are asked for at most, spread over the job."""


def require_some_readable(images: Images, paths: Sequence[str], errors: Sequence[str | None]) -> None:
    """See that a store that refused objects of a shard gives others.

    Args:
        images: of the job.
        paths: of the shard.
        errors: what is wrong with each; None: nothing.

    Raises:
        StoreError: it gave none.
    """
    refused: dict[str, str] = {}
    answering: set[str] = set()
    for path, error in zip(paths, errors, strict=True):
        if error is not None and error.startswith(REFUSED):
            refused.setdefault(bucket_of(path), path)
        elif is_url(path) and error != NO_OBJECT:
            answering.add(bucket_of(path))
    for bucket, path in refused.items():
        if bucket not in answering and not any(map(is_readable, _spread(images, bucket))):
            raise bad_input(
                path,
                "a store that refuses this object and every other one that was asked for",
                "readable objects",
                "check address and keys and start again",
                kind=StoreError,
            )


def bucket_of(url: str) -> str:
    """``s3://bucket`` of ``s3://bucket/folder/key``."""
    return f"{scheme_of(url)}://{url.partition('://')[2].partition('/')[0]}"


def _spread(images: Images, bucket: str) -> Sequence[str]:
    """Some of the images of a bucket; in the sorted list they are neighbours."""
    first, last = bisect_left(images, f"{bucket}/"), bisect_left(images, f"{bucket}0")  # what follows the /
    return [images[i] for i in range(first, last, max(-(-(last - first) // ASKED), 1))]
