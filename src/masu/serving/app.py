"""The application: boxes as JSON, KServe's protocol, counts, and a page to try a model on."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from masu.service.app import Log, make_app
from masu.service.hosts import LOOPBACK
from masu.service.limits import RefusedError
from masu.serving import kserve
from masu.serving.answers import as_json, drawn
from masu.serving.asked import asked_of
from masu.serving.desk import Desk
from masu.serving.measures import MEDIA_TYPE
from masu.serving.models import Array, Found, Served
from masu.serving.watched import Watched, told_with_id

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
"""Media types of the page's files."""

_SAFE = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Permissions-Policy": "camera=(self)",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Service:
    """An application of ASGI that serves models.

    Args:
        desk: the models.
        version: of masu.
        hosts: as of :func:`masu.service.app.make_app`.
        log: told of each request, in one line that begins with its id.
    """

    def __init__(
        self, desk: Desk, version: str, *, hosts: frozenset[str] | None = LOOPBACK, log: Log
    ) -> None:
        self._desk = desk
        app = make_app(_routes(desk, version, told_with_id(log)), hosts=hosts, log=told_with_id(log))
        self._app = Watched(app, desk.measures, log)

    @property
    def models(self) -> dict[str, Served]:
        """What is served, by name."""
        return dict(self._desk.models)

    def stop(self) -> None:
        """From now on ``/ready`` says no; requests are still answered."""
        self._desk.ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI says."""
        await self._app(scope, receive, send)


def _routes(desk: Desk, version: str, log: Log) -> list[Route]:
    page_files = resources.files("masu.serving").joinpath("page")
    files = {file.name: file.read_bytes() for file in page_files.iterdir() if file.is_file()}
    described = openapi(desk, version)

    async def predict(request: Request) -> Response:
        async with desk.turns.place() as place:
            asked = await asked_of(request, desk.limits)
            model = desk.model(asked.model)
            pictures: list[str] = []

            def draw(picture: Array, found: Found) -> None:
                pictures.append(drawn(picture, found))

            found = await place.run(
                lambda: desk.find(
                    place,
                    model,
                    asked.pictures,
                    asked.threshold,
                    asked.margins,
                    draw if asked.drawn else None,
                )
            )
        images = [as_json(one, name) for one, (name, _) in zip(found, asked.pictures, strict=True)]
        if asked.drawn:
            images = [one | {"drawn": picture} for one, picture in zip(images, pictures, strict=True)]
        return JSONResponse({"model": model.name, "version": model.version, "images": images})

    async def models(_request: Request) -> Response:
        return JSONResponse({"models": [about(one) for one in desk.models.values()]})

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(_request: Request) -> Response:
        said = {"status": "ready" if desk.ready else "stopping", "models": list(desk.models)}
        return JSONResponse(said, 200 if desk.ready else 503)

    async def metrics(_request: Request) -> Response:
        text = desk.measures.text(desk.turns.inside, desk.ready)
        return PlainTextResponse(text, headers={"Content-Type": MEDIA_TYPE})

    async def schema(_request: Request) -> Response:
        return JSONResponse(described)

    def file_of(name: str) -> Response:
        kind = KINDS.get(name[name.rfind(".") :])
        if name not in files or kind is None:
            raise RefusedError(404, f"{name:.60}: no such file", "NOT_FOUND")
        return Response(files[name], media_type=kind, headers=_SAFE)

    async def page(_request: Request) -> Response:
        return file_of("index.html")

    async def docs(_request: Request) -> Response:
        return file_of("docs.html")

    async def static(request: Request) -> Response:
        return file_of(request.path_params["name"])

    return [
        Route("/", page),
        Route("/docs", docs),
        Route("/static/{name}", static),
        Route("/openapi.json", schema),
        Route("/predict", predict, methods=["POST"]),
        Route("/models", models),
        Route("/health", health),
        Route("/ready", ready),
        Route("/metrics", metrics),
        *kserve.routes(desk, version, log),
    ]


def about(model: Served) -> dict[str, Any]:
    """A model as ``GET /models`` tells of it."""
    return {
        "name": model.name,
        "version": model.version,
        "classes": list(model.names),
        "thresholds": model.thresholds,
        "margins": model.has_margins,
    }


def openapi(desk: Desk, version: str) -> dict[str, Any]:
    """The description of the server (OpenAPI 3.1), with its models' names and limits."""
    text = resources.files("masu.serving").joinpath("openapi.json").read_text("utf-8")
    described: dict[str, Any] = json.loads(text)
    described["info"]["version"] = version
    schemas = described["components"]["schemas"]
    schemas["Model"]["properties"]["name"]["enum"] = list(desk.models)
    described["components"]["parameters"]["model"]["schema"]["enum"] = list(desk.models)
    schemas["Written"]["properties"]["images"]["maxItems"] = desk.limits.tasks
    return described
