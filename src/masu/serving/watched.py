"""Around every request: an id, a line in the log, a count, and no foreign page of the web."""

from __future__ import annotations

import re
import time
import uuid
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from masu.service.app import Log
from masu.serving.measures import Measures

HEADER = "X-Request-ID"
"""In the request, where a client has one of its own, and in the answer."""

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="-")
"""The id of the request that is answered."""

_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_OWN = ("same-origin", "none")
_INFER = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")
_ROUTES = frozenset(
    ("/", "/predict", "/models", "/health", "/ready", "/metrics", "/docs", "/openapi.json", "/v2")
)
_QUIET = ("/health", "/ready", "/metrics", "/v2/health/live", "/v2/health/ready", "/static/")


def told_with_id(log: Log) -> Log:
    """A log whose lines begin with the id of the request."""
    return lambda line: log(f"{REQUEST.get()} {line}")


class Watched:
    """An application whose requests are counted and told.

    Args:
        app: what answers.
        measures: the counts.
        log: told of each request that was answered, in one line, but for questions whether the server lives.
    """

    def __init__(self, app: ASGIApp, measures: Measures, log: Log) -> None:
        self._app, self._measures, self._log = app, measures, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI says."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        given = headers.get(HEADER, "")
        own = given if _ID.fullmatch(given) else uuid.uuid4().hex[:16]
        REQUEST.set(own)
        begun, status = time.perf_counter(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = own
            await send(message)

        try:
            if scope["method"] == "POST" and headers.get("sec-fetch-site", "none") not in _OWN:
                text = "a request of another page of the web"
                body = {"success": False, "error": {"code": "FOREIGN", "message": text}, "detail": text}
                await JSONResponse(body, 403)(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        finally:
            self._measures.request(_route(path), status)
            if 0 < status < 400 and not path.startswith(_QUIET):
                told_with_id(self._log)(
                    f"{scope['method']} {path}: {status}, {1000 * (time.perf_counter() - begun):.0f} ms"
                )


def _route(path: str) -> str:
    """A few words, however many addresses are asked for."""
    if path in _ROUTES:
        return path
    return "/v2/models/{model}/infer" if _INFER.fullmatch(path) else "other"
