"""A token: a browser gets it with its first address, and keeps it as a cookie that no other page sends."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs

from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PARAMETER = "token"
"""Of the first address."""

_MOST_AGE = 30 * 24 * 3600  # seconds


class Guarded:
    """An application that answers who has the token alone: in a cookie, or first in the address.

    Args:
        app: what is guarded.
        token: such as nobody guesses.
        cookie: its name; servers on other ports of one computer share their cookies.
    """

    def __init__(self, app: ASGIApp, token: str, cookie: str) -> None:
        self._app, self._token, self._cookie = app, token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI says."""
        if scope["type"] != "http":
            return
        given = parse_qs(scope["query_string"].decode("latin-1")).get(PARAMETER, [""])[0]
        if self._fits(given) and scope["method"] == "GET" and scope["path"] == "/":
            answer = RedirectResponse("/", 303)
            answer.set_cookie(
                self._cookie, self._token, max_age=_MOST_AGE, httponly=True, samesite="lax", path="/"
            )
            await answer(scope, receive, send)
        elif self._fits(self._kept(scope)):
            await self._app(scope, receive, send)
        else:
            message = "this page wants its token: open the address that `masu label` printed"
            body = {"success": False, "error": {"code": "NO_TOKEN", "message": message}, "detail": message}
            await JSONResponse(body, 403)(scope, receive, send)

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _kept(self, scope: Scope) -> str:
        sent = "; ".join(value.decode("latin-1") for key, value in scope["headers"] if key == b"cookie")
        return cookie_parser(sent).get(self._cookie, "")
