"""Addresses of images on the web and in clouds, as tools for labelling keep them."""

from __future__ import annotations

from urllib.parse import unquote


def path_of(address: str) -> str:
    """The path in an address such as ``https://host/a/b.jpg?key=1`` or ``s3://bucket/a/b.jpg``: ``a/b.jpg``.

    What is no address comes back as it is.
    """
    _, found, rest = address.partition("://")
    return decoded(rest.partition("/")[2]) if found else address


def decoded(path: str) -> str:
    """The path of an address that begins with it: without query and fragment, letters decoded."""
    return unquote(path.partition("?")[0].partition("#")[0]).lstrip("/")
