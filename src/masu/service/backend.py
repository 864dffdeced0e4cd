"""The server for labelling tools: Label Studio's ML backend and X-AnyLabeling's server in one."""

from __future__ import annotations

from starlette.applications import Starlette

from masu.service import label_studio, xanylabeling
from masu.service.addresses import Addresses
from masu.service.answering import Answerer
from masu.service.app import Log, make_app
from masu.service.hosts import LOOPBACK


def make_backend(
    answerer: Answerer, addresses: Addresses, *, hosts: frozenset[str] | None = LOOPBACK, log: Log
) -> Starlette:
    """The application.

    Args:
        answerer: the model.
        addresses: where the images that Label Studio names may come from.
        hosts: as of :func:`masu.service.app.make_app`.
        log: told of what is refused, in one line.
    """
    routes = [*label_studio.routes(answerer, addresses, log), *xanylabeling.routes(answerer)]
    return make_app(routes, hosts=hosts, log=log)
