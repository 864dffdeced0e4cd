"""A server on a port of this computer, until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Timer
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from masu.errors import InputError, bad_input

_CONNECTIONS = 64  # at once; each may hold a request of the largest size
_SECONDS_TO_FINISH = 10
_SECONDS_IDLE = 5


def listen(host: str, port: int) -> socket.socket:
    """An open port.

    Args:
        host: name or address.
        port: 0: any that is free.

    Raises:
        InputError: a port that is taken, or no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise bad_input("--host", f"{host} ({error.strerror})", "an address of this computer") from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
    except OSError as error:
        opened.close()
        found = f"{host}:{port}, which cannot be opened ({(error.strerror or str(error)).lower()})"
        raise bad_input("--port", found, "a free port of this computer", "choose another") from None
    return opened


def listen_from(host: str, first: int, tries: int = 20) -> socket.socket:
    """The first port that is free, from one on.

    Args:
        host: name or address.
        first: port to begin with.
        tries: ports that are tried.

    Raises:
        InputError: as of :func:`listen`, for the last one.
    """
    for port in range(first, first + tries - 1):
        with suppress(InputError):
            return listen(host, port)
    return listen(host, first + tries - 1)


def address_of(opened: socket.socket, host: str) -> str:
    """The address to call, such as ``http://127.0.0.1:9090``; of all addresses at once the host's name."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{opened.getsockname()[1]}"


def serve(
    app: ASGIApp,
    opened: socket.socket,
    *,
    connections: int = _CONNECTIONS,
    idle: int = _SECONDS_IDLE,
    finish: float = _SECONDS_TO_FINISH,
    stopping: Callable[[], None] = lambda: None,
    lull: float = 0.0,
) -> None:
    """Answer requests until a signal; those that run are finished.

    Args:
        app: of :func:`masu.service.app.make_app`.
        opened: of :func:`listen`.
        connections: at once.
        idle: seconds after which a connection without requests is closed.
        finish: seconds that those which run may take in the end.
        stopping: called at the first signal.
        lull: seconds after it in which new requests are still answered; a second signal ends them.
    """
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=connections,
        timeout_keep_alive=idle,
        timeout_graceful_shutdown=round(finish),
    )
    _Server(config, stopping, lull).run(sockets=[opened])


class _Server(uvicorn.Server):
    """Says that it stops before it does."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None], lull: float) -> None:
        super().__init__(config)
        self._stopping, self._lull = stopping, lull
        self._last: Timer | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """At a signal."""
        if self._last is None and self._lull > 0:
            self._stopping()
            self._last = Timer(self._lull, super().handle_exit, (sig, frame))
            self._last.daemon = True
            self._last.start()
            return
        self._stopping()
        super().handle_exit(sig, frame)
