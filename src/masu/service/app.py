"""The application that every server of masu is: routes, and plain answers to what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from masu.atomic import WriteError
from masu.errors import InputError
from masu.service.hosts import LOOPBACK
from masu.service.limits import Limits, RefusedError

Log = Callable[[str], None]


def make_app(routes: Sequence[BaseRoute], *, hosts: frozenset[str] | None = LOOPBACK, log: Log) -> Starlette:
    """The application; a request that is not answered gets JSON with one line, never a traceback.

    Args:
        routes: of the application.
        hosts: names under which requests may call this server, so that no page of the web reaches it under a
            name of its own; None: any.
        log: told of each request that is refused, in one line.
    """

    def refused(request: Request, status: int, code: str, message: str, after: int | None = None) -> Response:
        log(f"{request.method} {request.url.path}: {status} {message}")
        body = {"success": False, "error": {"code": code, "message": message}, "detail": message}
        return JSONResponse(body, status, None if after is None else {"Retry-After": str(after)})

    async def of_refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        return refused(request, error.status, error.code, str(error), error.after)

    async def of_input(request: Request, error: Exception) -> Response:
        # a disk that is full today may have room tomorrow: the client is to ask again
        status, code = (503, "NOT_WRITTEN") if isinstance(error, WriteError) else (400, "BAD_REQUEST")
        return refused(request, status, code, str(error))

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return refused(request, error.status_code, "BAD_REQUEST", error.detail)

    async def of_anything(request: Request, error: Exception) -> Response:
        log(f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
        return refused(request, 500, "INFERENCE_ERROR", "an error of the server, told in its log")

    handlers: dict[Any, Any] = {
        RefusedError: of_refusal,
        InputError: of_input,
        HTTPException: of_http,
        Exception: of_anything,
    }
    middleware = [] if hosts is None else [Middleware(_OwnNames, hosts=hosts)]
    return Starlette(routes=list(routes), middleware=middleware, exception_handlers=handlers)


class _OwnNames:
    """Refuses requests under a name that is not this computer's."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _host(scope) not in self._hosts:
            message = "a request under another name than this computer's"
            await JSONResponse({"success": False, "detail": message}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host(scope: Scope) -> str:
    named = next((value for key, value in scope["headers"] if key == b"host"), b"")
    try:
        return urlsplit(f"//{named.decode('latin-1')}").hostname or ""
    except ValueError:
        return ""


async def json_of(request: Request, limits: Limits) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        RefusedError: another content type, which pages of the web may send without being asked; too long a
            body, or one that is no JSON object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, f"content-type: found {kind[:40]!r}, wanted application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.body:
            raise RefusedError(413, f"body: found more than {limits.body} bytes")
    try:
        content = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise RefusedError(400, "body: found no JSON") from None
    if not isinstance(content, dict):
        raise RefusedError(400, "body: found no JSON object")
    return content
