"""The server that X-AnyLabeling calls: ``GET /v1/models`` and ``POST /v1/predict``.

The forms are those of X-AnyLabeling-Server's API reference, and of X-AnyLabeling 4.2's *Remote-Server*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from masu.data.formats.labelme import X_ANYLABELING
from masu.drafts.beside import shapes_of
from masu.drafts.draft import Draft
from masu.service.answering import Answerer
from masu.service.app import json_of
from masu.service.limits import RefusedError
from masu.service.pictures import bytes_of

MODEL = "masu"
"""The name under which the model is asked for; its version is in what is shown."""


def routes(answerer: Answerer) -> list[Route]:
    """The routes of the server.

    Args:
        answerer: the model.
    """
    about = {
        "display_name": f"masu {answerer.version}",
        "widgets": [
            {"name": "button_run", "value": None},
            {"name": "input_conf", "value": None},
            {"name": "edit_conf", "value": 0.0},
            {"name": "toggle_preserve_existing_annotations", "value": False},
        ],
        "params": {"version": answerer.version},
        "classes": list(answerer.names),
        "batch_processing_mode": "default",
    }

    async def models(_request: Request) -> Response:
        return JSONResponse({"success": True, "data": {MODEL: about}})

    async def info(request: Request) -> Response:
        _check_model(request.path_params["model"])
        return JSONResponse({"success": True, "data": {"model_id": MODEL, **about}})

    async def predict(request: Request) -> Response:
        asked = await json_of(request, answerer.limits)
        _check_model(asked.get("model"))
        if not isinstance(image := asked.get("image"), str):
            raise RefusedError(400, "image: found none, wanted it as base64", "INVALID_IMAGE")
        params = asked.get("params") or {}
        if not isinstance(params, dict):
            raise RefusedError(400, "params: found no JSON object")
        threshold, wanted = _threshold(params.get("conf_threshold")), _classes(params.get("filter_classes"))
        with answerer.place():
            content = bytes_of(image, answerer.limits)
            draft = await run_in_threadpool(answerer.draft, content, threshold)
        data = {"shapes": _shapes(draft, wanted), "description": ""}
        return JSONResponse({"success": True, "data": data})

    return [
        Route("/v1/models", models),
        Route("/v1/models/{model}/info", info),
        Route("/v1/predict", predict, methods=["POST"]),
    ]


def _check_model(name: object) -> None:
    if name != MODEL:
        raise RefusedError(404, f"model: found {name!r:.60}, wanted {MODEL!r}", "MODEL_NOT_FOUND")


def _threshold(value: object) -> float | None:
    """The smallest score; 0, which X-AnyLabeling sends until somebody chooses, is the model's own."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RefusedError(400, f"conf_threshold: found {value!r:.20}, wanted a number from 0 to 1")
    return None if math.isclose(value, 0.0) else float(value)


def _classes(value: object) -> frozenset[str]:
    """The classes that are wanted; none named: all."""
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise RefusedError(400, "filter_classes: wanted a list of names")
    return frozenset(value)


def _shapes(draft: Draft, wanted: frozenset[str]) -> Sequence[dict[str, Any]]:
    more = {"attributes": {}, "description": "", "direction": 0, "kie_linking": []}
    shapes = shapes_of(draft, X_ANYLABELING)
    return [shape | more for shape in shapes if not wanted or shape["label"] in wanted]
