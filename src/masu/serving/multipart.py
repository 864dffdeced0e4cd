"""The parts of a form, as browsers and curl send files (RFC 7578)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value

from masu.service.limits import RefusedError

_LONGEST_HEAD = 4096  # bytes of the headers of a part
_LONGEST_BOUNDARY = 70  # RFC 2046


@dataclass(frozen=True)
class Part:
    """One field.

    Attributes:
        name: of the field.
        file: name of the file; None: a text.
        content: its bytes.
    """

    name: str
    file: str | None
    content: bytes


def parts_of(content_type: str, body: bytes, most: int) -> list[Part]:
    """The fields in their order.

    Args:
        content_type: ``multipart/form-data; boundary=…``.
        body: of the request.
        most: fields.

    Raises:
        RefusedError: no boundary, a body that does not end with it, a part without a name, too many parts.
    """
    said = Message()
    said["content-type"] = content_type
    boundary = said.get_param("boundary")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= _LONGEST_BOUNDARY or not boundary.isascii():
        raise RefusedError(400, "content-type: found no boundary of multipart/form-data")
    made: list[Part] = []
    for part in _between(body, b"\r\n--" + boundary.encode()):
        if len(made) == most:
            raise RefusedError(413, f"body: found more than {most} parts")
        made.append(_part(part))
    return made


def _between(body: bytes, mark: bytes) -> Iterator[bytes]:
    """What stands between two marks, up to the last one, which two hyphens follow."""
    body = b"\r\n" + body
    at = body.find(mark)
    while at >= 0:
        start = at + len(mark)
        if body[start : start + 2] == b"--":
            return
        at = body.find(mark, start)
        if at < 0:
            break
        yield body[start:at]
    raise RefusedError(400, "body: found no end of multipart/form-data")


def _part(content: bytes) -> Part:
    head, blank, rest = content.partition(b"\r\n\r\n")
    said = Message()
    if blank and len(head) <= _LONGEST_HEAD:
        for line in head.decode("utf-8", "replace").split("\r\n"):
            key, _, value = line.partition(":")
            if key.strip().lower() == "content-disposition":
                said["content-disposition"] = value.strip()
    name = said.get_param("name", header="content-disposition")
    file = said.get_param("filename", header="content-disposition")
    if not isinstance(name, str):
        raise RefusedError(400, "body: found a part without a name")
    return Part(name, None if file is None else collapse_rfc2231_value(file), rest)
