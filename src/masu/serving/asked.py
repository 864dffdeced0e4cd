"""What a request asks: pictures, a model, and how it is to look at them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from masu.service.limits import RefusedError
from masu.service.pictures import bytes_of
from masu.serving.limits import ServingLimits
from masu.serving.multipart import parts_of
from masu.thresholds import Threshold

WORDS = ("model", "threshold", "margins", "drawn")
"""That stand in the address, in a form or in JSON."""

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_FIELDS = 8  # of a form, besides files
_LONGEST = 1000


@dataclass(frozen=True)
class Asked:
    """A request for boxes.

    Attributes:
        pictures: name of the file, or None, and its bytes.
        model: name; None: the only one.
        threshold: smallest score; None: the model's own.
        margins: enlarge boxes.
        drawn: send the picture with boxes, too.
    """

    pictures: tuple[tuple[str | None, bytes], ...]
    model: str | None = None
    threshold: Threshold | None = None
    margins: bool = False
    drawn: bool = False


async def body_of(request: Request, limits: ServingLimits) -> bytes:
    """The bytes of a request.

    Raises:
        RefusedError: too many, or they never came.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RefusedError(415, "content-encoding: found one, wanted a body that is not compressed")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limits.body:
                raise RefusedError(413, f"body: found more than {limits.body} bytes", "TOO_LARGE")
    except ClientDisconnect:
        raise RefusedError(400, "the client left before its request was whole") from None
    return bytes(body)


async def asked_of(request: Request, limits: ServingLimits) -> Asked:
    """What a request says: a form with files, JSON with base64, or the bytes of one picture.

    Raises:
        RefusedError: another kind of content, too much of it, or words that are not known.
    """
    kind = request.headers.get("content-type", "")
    plain = kind.partition(";")[0].strip().lower()
    words: dict[str, Any] = dict(request.query_params)
    pictures: list[tuple[str | None, bytes]]
    if plain == "multipart/form-data":
        parts = parts_of(kind, await body_of(request, limits), limits.tasks + _FIELDS)
        pictures = [(part.file, part.content) for part in parts if part.file is not None]
        words |= {part.name: _text(part.content) for part in parts if part.file is None}
    elif plain == "application/json":
        said = json_object(await body_of(request, limits))
        pictures = _written_out(said.pop("images", None), limits)
        words |= said
    elif plain.startswith("image/") or plain == "application/octet-stream":
        pictures = [(None, await body_of(request, limits))]
    else:
        wanted = "multipart/form-data, application/json or image/…"
        raise RefusedError(415, f"content-type: found {plain[:40]!r}, wanted {wanted}")
    if unknown := sorted(words.keys() - set(WORDS)):
        raise RefusedError(400, f"{unknown[0]!r:.40}: no such word, wanted {', '.join(WORDS)}")
    if not 0 < len(pictures) <= limits.tasks:
        raise RefusedError(400, f"images: found {len(pictures)}, wanted 1 to {limits.tasks}", "INVALID_IMAGE")
    model = words.get("model")
    if model is not None and not isinstance(model, str):
        raise RefusedError(400, "model: found no text, wanted a name")
    flags = {word: truth(word, words.get(word, False)) for word in ("margins", "drawn")}
    return Asked(tuple(pictures), model, threshold_of(words.get("threshold")), **flags)


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RefusedError: anything else.
    """
    try:
        said = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise RefusedError(400, "body: found no JSON") from None
    if not isinstance(said, dict):
        raise RefusedError(400, "body: found no JSON object")
    return said


def threshold_of(value: object) -> Threshold | None:
    """A number, as a text too, or numbers by class.

    Raises:
        RefusedError: anything else.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(name): score for name, score in value.items()}
    raise RefusedError(
        400, f"threshold: found {value!r:.40}, wanted a score from 0 to 1, or one for each class"
    )


def truth(word: str, value: object) -> bool:
    """Whether something is wanted.

    Raises:
        RefusedError: neither yes nor no.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTHS:
        return _TRUTHS[value.lower()]
    raise RefusedError(400, f"{word}: found {value!r:.40}, wanted true or false")


def _written_out(images: object, limits: ServingLimits) -> list[tuple[str | None, bytes]]:
    if not isinstance(images, list) or not all(isinstance(one, str) for one in images):
        message = "images: wanted a list of texts, each the bytes of an image as base64; nothing is fetched"
        raise RefusedError(400, message, "INVALID_IMAGE")
    return [(None, bytes_of(one, limits)) for one in images[: limits.tasks + 1]]


def _text(content: bytes) -> str:
    return content[:_LONGEST].decode("utf-8", "replace")


def _no_number(text: str) -> float:
    raise ValueError(text)
