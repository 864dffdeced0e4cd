"""The application of a desk: the page, and what it asks as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from masu.errors import listed
from masu.labelling.desk import Desk
from masu.labelling.photographs import Shown, shown, thumbnail
from masu.labelling.sitting import ConflictError
from masu.labelling.wire import saving, text_of
from masu.service.app import Log, json_of, make_app
from masu.service.hosts import LOOPBACK
from masu.service.limits import Limits, RefusedError
from masu.service.token import Guarded
from masu.words import LABEL_ORDERS

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Media types of the page's files."""

_SAFE = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Answer = TypeVar("Answer")


class _PhotoConvertor(PathConvertor):
    """A photograph's id in an address: of any characters, line breaks too (``path`` leaves those out)."""

    regex = "(?s:.*)"


register_url_convertor("photo", _PhotoConvertor())
Export = Callable[[str], dict[str, Any]]


def make_label_app(
    desk: Desk,
    *,
    token: str,
    key: str,
    order: str,
    formats: tuple[str, ...],
    export: Export,
    commands: Sequence[dict[str, str]],
    hosts: frozenset[str] | None = LOOPBACK,
    log: Log,
) -> Guarded:
    """The application.

    Args:
        desk: what is on the page.
        token: that a browser must have, see :mod:`masu.service.token`.
        key: tells this labelling from others in one browser.
        order: in which photographs come first of all, one of :data:`masu.words.LABEL_ORDERS`.
        formats: that ``export`` knows.
        export: writes the labels in a format, and says where.
        commands: what to do next, as ``text`` and ``what``.
        hosts: as of :func:`masu.service.app.make_app`.
        log: told of what is refused, in one line.
    """
    limits = Limits(body=8_000_000)
    files = {file.name: file.read_bytes() for file in _page_files()}

    async def page(_request: Request) -> Response:
        return _file("index.html")

    async def static(request: Request) -> Response:
        return _file(request.path_params["name"])

    def _file(name: str) -> Response:
        if name not in files:
            raise RefusedError(404, f"{name}: no such file")
        kind = KINDS[name[name.rindex(".") :]]
        return Response(files[name], media_type=kind, headers=_SAFE)

    async def session(_request: Request) -> Response:
        return JSONResponse(
            {**await run_in_threadpool(desk.session, order), "key": key, "formats": list(formats)}
        )

    async def photograph(request: Request) -> Response:
        return JSONResponse(await _of(request, desk.photograph))

    async def drafts(request: Request) -> Response:
        return JSONResponse(await _of(request, desk.drafts))

    async def save(request: Request) -> Response:
        asked = saving(await json_of(request, limits))
        try:
            return JSONResponse(await _of(request, lambda name: desk.save(name, asked)))
        except ConflictError as error:
            body = {"error": {"code": "CHANGED", "message": str(error)}, "photo": desk.theirs(error)}
            return JSONResponse({"success": False, "detail": str(error), **body}, 409)

    async def picture(request: Request, make: Callable[[Path], Shown]) -> Response:
        tag = await _of(request, lambda name: f'"{key}-{desk.sitting.stamp(name)}"')
        headers = {**_SAFE, "Cache-Control": "private, no-cache", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        found = await _of(request, lambda name: desk.sitting.picture(name, make))
        return Response(found.content, media_type=found.kind, headers=headers)

    async def next_one(request: Request) -> Response:
        wanted = request.query_params.get("order", order)
        if wanted not in LABEL_ORDERS:
            raise RefusedError(400, f"order: wanted one of {listed(LABEL_ORDERS)}")
        return JSONResponse(await run_in_threadpool(desk.next, request.query_params.get("after"), wanted))

    async def status(request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not since.isascii() or not since.isdecimal() or len(since) > 15:
            raise RefusedError(400, "since: wanted a whole number")
        return JSONResponse(await run_in_threadpool(desk.status, int(since)))

    async def classes(request: Request) -> Response:
        name = text_of(await json_of(request, limits), "name")
        added = await run_in_threadpool(desk.sitting.add_class, name)
        return JSONResponse({"name": added, "classes": list(desk.sitting.classes)})

    async def learning(request: Request) -> Response:
        action = text_of(await json_of(request, limits), "action")
        if action not in ("now", "pause", "go"):
            raise RefusedError(400, "action: wanted now, pause or go")
        desk.teaching.paused = action == "pause"
        await run_in_threadpool(partial(desk.teaching.consider, now=action == "now"))
        return JSONResponse({})

    async def exported(request: Request) -> Response:
        wanted = text_of(await json_of(request, limits), "format")
        return JSONResponse(await run_in_threadpool(export, wanted))

    async def next_commands(_request: Request) -> Response:
        return JSONResponse({"commands": list(commands)})

    one = "/api/photos/{name:photo}"
    routes = [
        Route("/", page),
        Route("/static/{name}", static),
        Route("/api/session", session),
        Route(f"{one}/image", partial(picture, make=shown)),
        Route(f"{one}/thumbnail", partial(picture, make=thumbnail)),
        Route(f"{one}/drafts", drafts),
        Route(one, photograph, methods=["GET"]),
        Route(one, save, methods=["PUT"]),
        Route("/api/next", next_one),
        Route("/api/status", status),
        Route("/api/classes", classes, methods=["POST"]),
        Route("/api/learning", learning, methods=["POST"]),
        Route("/api/export", exported, methods=["POST"]),
        Route("/api/commands", next_commands),
    ]
    return Guarded(make_app(routes, hosts=hosts, log=log), token, f"masu-label-{key}")


async def _of(request: Request, answer: Callable[[str], Answer]) -> Answer:
    """What there is to say of the photograph that a request names."""
    name = request.path_params["name"]
    try:
        return await run_in_threadpool(answer, name)
    except KeyError:
        raise RefusedError(404, f"{name}: no such photograph", "NO_PHOTOGRAPH") from None


def _page_files() -> list[Any]:
    return [
        file
        for file in resources.files("masu.labelling").joinpath("page").iterdir()
        if file.name[file.name.rfind(".") :] in KINDS
    ]
