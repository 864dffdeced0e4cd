"""A server on a port of this computer, until it is stopped."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp

from masu.errors import bad_input

_CONNECTIONS = 64  # at once; each may hold a request of the largest size
_SECONDS_TO_FINISH = 10


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


def address_of(opened: socket.socket, host: str) -> str:
    """The address to call, such as ``http://127.0.0.1:9090``; of all addresses at once the host's name."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{opened.getsockname()[1]}"


def serve(app: ASGIApp, opened: socket.socket) -> None:
    """Answer requests until a signal; those that run are finished.

    Args:
        app: of :func:`masu.service.app.make_app`.
        opened: of :func:`listen`.
    """
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    uvicorn.Server(config).run(sockets=[opened])
