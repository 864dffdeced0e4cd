"""KServe's inference protocol, version 2, over HTTP: what Triton's clients and KServe call.

A model has two inputs, of which a request has one: ``image``, BYTES of shape ``[N]``, each an encoded file
(as base64 where it stands in the JSON), or ``pixels``, UINT8 of shape ``[N, H, W, 3]``. Its outputs are the
rows of all images, one after the other: ``boxes`` FP32 ``[k, 4]``, ``scores`` FP32 ``[k]``, ``labels`` INT64
``[k]``, ``names`` BYTES ``[k]``, and ``counts`` INT64 ``[N]``, the rows of each image. Tensors stand in the
JSON or, with the binary extension, behind it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from masu.errors import InputError
from masu.service.app import Log
from masu.service.limits import RefusedError
from masu.service.pictures import bytes_of
from masu.serving.answers import short
from masu.serving.asked import body_of, json_object, threshold_of, truth
from masu.serving.desk import Desk, Picture
from masu.serving.limits import ServingLimits
from masu.serving.models import Array, Found, Served

LENGTH = "Inference-Header-Content-Length"
"""Bytes of the JSON before binary tensors."""

KINDS = {"boxes": "FP32", "scores": "FP32", "labels": "INT64", "names": "BYTES", "counts": "INT64"}
"""Outputs and their types."""

_SHAPES = {"boxes": [-1, 4], "scores": [-1], "labels": [-1], "names": [-1], "counts": [-1]}
_DTYPES = {"FP32": "<f4", "INT64": "<i8"}
_FLAG = "binary_data"
_ALL_FLAG = "binary_data_output"
_SIZE = "binary_data_size"


def routes(desk: Desk, version: str, log: Log) -> list[Route]:
    """The routes of the protocol.

    Args:
        desk: the models.
        version: of masu.
        log: told of what is refused, in one line.
    """

    def answered(
        answer: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        """Errors as the protocol has them: one text."""

        async def guarded(request: Request) -> Response:
            after = None
            try:
                return await answer(request)
            except RefusedError as error:
                status, message, after = error.status, str(error), error.after
            except InputError as error:
                status, message = 400, str(error)
            log(f"{request.method} {request.url.path}: {status} {message}")
            headers = None if after is None else {"Retry-After": str(after)}
            return JSONResponse({"error": message}, status, headers)

        return guarded

    async def server(_request: Request) -> Response:
        return JSONResponse({"name": "masu", "version": version, "extensions": ["binary_tensor_data"]})

    async def live(_request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_request: Request) -> Response:
        return JSONResponse({"ready": desk.ready}, 200 if desk.ready else 503)

    async def about(request: Request) -> Response:
        return JSONResponse(metadata(_model(request, desk)))

    async def model_ready(request: Request) -> Response:
        name = _model(request, desk).name
        return JSONResponse({"name": name, "ready": desk.ready}, 200 if desk.ready else 503)

    async def infer(request: Request) -> Response:
        model = _model(request, desk)
        async with desk.turns.place() as place:
            head, tail = _split(request, await body_of(request, desk.limits))
            said = json_object(head)
            pictures = pictures_of(said.get("inputs"), tail, desk.limits)
            wanted = outputs_of(said)
            parameters = _object(said.get("parameters"), "parameters")
            threshold = threshold_of(parameters.get("threshold"))
            margins = truth("margins", parameters.get("margins", False))
            named = [(None, one) for one in pictures]
            found = await place.run(lambda: desk.find(place, model, named, threshold, margins))
        return _answer(model, said.get("id"), found, wanted)

    one = "/v2/models/{model}"
    made = [
        Route("/v2", answered(server)),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
    ]
    for top in (one, f"{one}/versions/{{version}}"):
        made += [
            Route(top, answered(about)),
            Route(f"{top}/ready", answered(model_ready)),
            Route(f"{top}/infer", answered(infer), methods=["POST"]),
        ]
    return made


def metadata(model: Served) -> dict[str, Any]:
    """What the protocol says of a model."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "masu",
        "inputs": [
            {"name": "image", "datatype": "BYTES", "shape": [-1]},
            {"name": "pixels", "datatype": "UINT8", "shape": [-1, -1, -1, 3]},
        ],
        "outputs": [{"name": name, "datatype": kind, "shape": _SHAPES[name]} for name, kind in KINDS.items()],
    }


def pictures_of(inputs: object, tail: bytes, limits: ServingLimits) -> list[Picture]:
    """The pictures of a request.

    Args:
        inputs: as the JSON has them.
        tail: binary tensors behind it.
        limits: of pictures.

    Raises:
        RefusedError: not one input, another name, type, shape or number of bytes, too many pictures.
    """
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise RefusedError(400, "inputs: wanted one, image (BYTES) or pixels (UINT8)")
    said = _object(inputs[0], "inputs[0]")
    kind, shape, name = said.get("datatype"), said.get("shape"), said.get("name")
    if (name, kind) not in (("image", "BYTES"), ("pixels", "UINT8")):
        found = f"{name!r:.40} of {kind!r:.20}"
        raise RefusedError(400, f"inputs: found {found}, wanted image of BYTES or pixels of UINT8")
    if not isinstance(shape, list) or not all(type(side) is int and 0 < side <= 1 << 31 for side in shape):
        raise RefusedError(400, f"{name}: found the shape {shape!r:.60}, wanted whole numbers from 1")
    size = _object(said.get("parameters"), "parameters").get(_SIZE)
    if size is not None and size != len(tail):
        raise RefusedError(400, f"{name}: found {len(tail)} bytes behind the JSON, wanted {size!r:.20}")
    if shape and shape[0] > limits.tasks:
        raise RefusedError(400, f"{name}: found {shape[0]} pictures, wanted 1 to {limits.tasks}")
    if kind == "BYTES":
        files = _texts(said.get("data"), limits) if size is None else _pieces(tail)
        if shape not in ([len(files)], [len(files), 1]):
            found = f"the shape {shape!r:.60} for {len(files)} pictures"
            raise RefusedError(400, f"image: found {found}, wanted [{len(files)}]")
        return list(files)
    return list(_pixels(shape, said.get("data") if size is None else tail, limits))


def _pixels(shape: list[int], data: object, limits: ServingLimits) -> Array:
    if len(shape) != 4 or shape[3] != 3:
        raise RefusedError(400, f"pixels: found the shape {shape!r:.60}, wanted [N, H, W, 3]")
    if shape[1] * shape[2] > limits.pixels:
        message = f"pixels: found {shape[1] * shape[2]} of a picture, wanted at most {limits.pixels}"
        raise RefusedError(413, message, "TOO_LARGE")
    number = shape[0] * shape[1] * shape[2] * 3
    flat: Array
    if isinstance(data, bytes):
        flat = np.frombuffer(data, np.uint8)
    else:
        try:
            flat = np.asarray(data if isinstance(data, list) else []).ravel()
        except ValueError:
            flat = np.zeros(0)
        if flat.dtype.kind not in "iu" or (flat.size and not 0 <= flat.min() <= flat.max() <= 255):
            raise RefusedError(400, "pixels: wanted whole numbers from 0 to 255")
    if flat.size != number:
        raise RefusedError(400, f"pixels: found {flat.size} numbers, wanted {number}")
    return flat.astype(np.uint8).reshape(shape)


def _texts(data: object, limits: ServingLimits) -> list[bytes]:
    rows = data if isinstance(data, list) else []
    flat = [text for row in rows for text in (row if isinstance(row, list) else [row])]
    if not flat or not all(isinstance(text, str) for text in flat):
        raise RefusedError(400, "image: wanted each file as base64 in data, or the binary extension")
    if len(flat) > limits.tasks:
        raise RefusedError(400, f"image: found {len(flat)} pictures, wanted 1 to {limits.tasks}")
    return [bytes_of(text, limits) for text in flat]


def _pieces(tail: bytes) -> list[bytes]:
    """Each of four bytes with its length, and its content."""
    pieces, at = [], 0
    while at < len(tail):
        (length,) = struct.unpack_from("<I", tail, at) if at + 4 <= len(tail) else (len(tail),)
        if at + 4 + length > len(tail):
            raise RefusedError(400, "image: found binary data that ends in the middle of a file")
        pieces.append(tail[at + 4 : at + 4 + length])
        at += 4 + length
    return pieces


def outputs_of(said: dict[str, Any]) -> dict[str, bool]:
    """Which outputs are wanted, and whether as binary data.

    Raises:
        RefusedError: one that there is not.
    """
    all_binary = _object(said.get("parameters"), "parameters").get(_ALL_FLAG) is True
    asked = said.get("outputs")
    if asked is None or asked == []:
        return dict.fromkeys(KINDS, all_binary)
    if not isinstance(asked, list):
        raise RefusedError(400, "outputs: wanted a list")
    wanted = {}
    for one in asked:
        said_of = _object(one, "outputs")
        name = said_of.get("name")
        if not isinstance(name, str) or name not in KINDS:
            raise RefusedError(400, f"outputs: found {name!r:.40}, wanted one of {', '.join(KINDS)}")
        wanted[name] = _object(said_of.get("parameters"), "parameters").get(_FLAG, all_binary) is True
    return wanted


def _answer(model: Served, number: object, found: Sequence[Found], wanted: dict[str, bool]) -> Response:
    rows = {
        "boxes": np.concatenate([one.boxes.reshape(-1, 4) for one in found]),
        "scores": np.concatenate([one.scores for one in found]),
        "labels": np.concatenate([one.labels for one in found]),
        "counts": np.array([len(one.names) for one in found]),
    }
    names = [name for one in found for name in one.names]
    outputs, tail = [], b""
    for name, binary in wanted.items():
        kind = KINDS[name]
        shape = [len(names)] if name == "names" else list(rows[name].shape)
        said: dict[str, Any] = {"name": name, "datatype": kind, "shape": shape}
        if binary:
            content = _bytes(names) if name == "names" else rows[name].astype(_DTYPES[kind]).tobytes()
            said["parameters"] = {_SIZE: len(content)}
            tail += content
        elif name == "names":
            said["data"] = names
        else:
            flat = rows[name].ravel()
            said["data"] = short(flat) if kind == "FP32" else flat.tolist()
        outputs.append(said)
    body: dict[str, Any] = {"model_name": model.name, "model_version": model.version, "outputs": outputs}
    if isinstance(number, str):
        body["id"] = number
    if not any(wanted.values()):
        return JSONResponse(body)
    head = json.dumps(body, ensure_ascii=False).encode()
    return Response(head + tail, media_type="application/octet-stream", headers={LENGTH: str(len(head))})


def _bytes(names: Sequence[str]) -> bytes:
    coded = [name.encode() for name in names]
    return b"".join(struct.pack("<I", len(one)) + one for one in coded)


def _split(request: Request, body: bytes) -> tuple[bytes, bytes]:
    """The JSON, and what is behind it."""
    said = request.headers.get(LENGTH)
    if said is None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "", "application/octet-stream"):
            raise RefusedError(415, f"content-type: found {kind[:40]!r}, wanted application/json")
        return body, b""
    if not said.isascii() or not said.isdecimal() or len(said) > 12 or int(said) > len(body):
        raise RefusedError(400, f"{LENGTH}: found {said[:20]!r}, wanted at most {len(body)}")
    return body[: int(said)], body[int(said) :]


def _model(request: Request, desk: Desk) -> Served:
    model = desk.model(request.path_params["model"])
    version = request.path_params.get("version")
    if version is not None and version != model.version:
        raise RefusedError(404, f"version: found {version!r:.60}, wanted {model.version!r}")
    return model


def _object(value: object, thing: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusedError(400, f"{thing}: found no JSON object")
    return value
