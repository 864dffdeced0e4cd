"""Label Studio's ML backend: what it asks a model, and how it is answered.

The requests are those that Label Studio 1.23 sends, the answers those that it reads: ``GET /health``,
``POST /setup``, ``POST /predict``, ``POST /webhook`` and ``GET /versions``.
"""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from masu.data.formats.label_studio import least_score, result
from masu.drafts.draft import Draft
from masu.service.addresses import Addresses
from masu.service.answering import Answerer
from masu.service.app import Log, json_of
from masu.service.limits import RefusedError
from masu.service.tags import Tags, tags_of

Values = dict[str, Any]


def routes(answerer: Answerer, addresses: Addresses, log: Log) -> list[Route]:
    """The routes of the backend.

    Args:
        answerer: the model.
        addresses: where images may come from.
        log: told of each image that is left out, in one line.
    """
    version = {"model_version": answerer.version}

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "UP", "model_class": "masu", **version})

    async def setup(request: Request) -> Response:
        tags_of((await json_of(request, answerer.limits)).get("schema"), answerer.names)
        return JSONResponse(version)

    async def predict(request: Request) -> Response:
        asked = await json_of(request, answerer.limits)
        tags = tags_of(asked.get("label_config"), answerer.names)
        tasks = asked.get("tasks")
        if not isinstance(tasks, list) or not 0 < len(tasks) <= answerer.limits.tasks:
            raise RefusedError(400, f"tasks: wanted a list of 1 to {answerer.limits.tasks}")
        with answerer.place():
            results = await run_in_threadpool(_predictions, tasks, tags, answerer, addresses, log)
        return JSONResponse({"results": results, **version})

    async def webhook(request: Request) -> Response:
        await json_of(request, answerer.limits)
        return JSONResponse({"status": "ignored", "detail": "masu does not train on events"})

    async def versions(_request: Request) -> Response:
        return JSONResponse({"versions": [answerer.version]})

    return [
        Route("/", health),
        Route("/health", health),
        Route("/setup", setup, methods=["POST"]),
        Route("/predict", predict, methods=["POST"]),
        Route("/webhook", webhook, methods=["POST"]),
        Route("/versions", versions),
    ]


def _predictions(
    tasks: list[Any], tags: Tags, answerer: Answerer, addresses: Addresses, log: Log
) -> list[Values | list[Values]]:
    """A prediction of each task; none, as an empty list, of one whose image cannot be had.

    Raises:
        RefusedError: the first one, where there is no image of any task.
    """
    made: list[Values | list[Values]] = []
    refused: list[tuple[RefusedError, str]] = []
    for task in tasks:
        data = task.get("data") if isinstance(task, dict) else None
        try:
            content = addresses.read(data.get(tags.key) if isinstance(data, dict) else None)
            made.append(prediction(answerer.draft(content), tags, answerer.version))
        except RefusedError as error:
            number = task.get("id") if isinstance(task, dict) else None
            refused.append((error, f"task {number!r:.20}: {error}"))
            made.append([])
    if len(refused) == len(tasks):
        raise refused[0][0]
    for _, line in refused:
        log(line)
    return made


def prediction(draft: Draft, tags: Tags, version: str) -> Values:
    """A draft as Label Studio takes it; classes without a label are left out."""
    rows = zip(draft.boxes, draft.names, draft.scores, strict=True)
    results = [
        result(f"masu{at}", box, tags.names[name], draft.size, score=score, tags=(tags.labels, tags.image))
        for at, (box, name, score) in enumerate(rows)
        if name in tags.names
    ]
    return {"model_version": version, "score": least_score(results), "result": results}
