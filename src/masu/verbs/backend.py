"""Backend: a detector for labelling tools that ask for boxes while a person labels."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from masu.errors import bad_input
from masu.evaluation.predictions import AnyDetector
from masu.service.hosts import LOOPBACK
from masu.service.needed import require_packages
from masu.threads import in_a_passing_thread
from masu.thresholds import DEFAULT_THRESHOLD, Threshold, check_threshold
from masu.verbs.evaluate import refuse_path

if TYPE_CHECKING:
    from starlette.applications import Starlette


def backend(
    detector: AnyDetector,
    *,
    threshold: Threshold | None = None,
    version: str = "masu",
    root: str | os.PathLike[str] | None = None,
    label_studio_url: str | None = None,
    label_studio_key: str | None = None,
    hosts: frozenset[str] | None = LOOPBACK,
    log: Callable[[str], None] = lambda _line: None,
) -> Starlette:
    """An ASGI application that is Label Studio's ML backend and X-AnyLabeling's server.

    It answers ``/health``, ``/setup``, ``/predict``, ``/webhook`` and ``/versions`` as Label Studio asks, and
    ``/v1/models`` and ``/v1/predict`` as X-AnyLabeling does. Images come in the request as base64, from files
    below ``root``, or from the one Label Studio; no other address is ever fetched. See
    :class:`masu.service.limits.Limits` for what a request may cost.

    Args:
        detector: any masu detector of RGB photographs.
        threshold: lowest score, one number or one per class; default: the detector's own ``thresholds``, 0.5
            for a class without one.
        version: of the model, as Label Studio keeps it.
        root: the folder that Label Studio serves as local files.
        label_studio_url: of the Label Studio that has uploaded images, such as ``http://localhost:8080``.
        label_studio_key: its access token.
        hosts: names under which requests may call the server; None: any.
        log: told of what is refused, in one line.

    Returns:
        An application of Starlette, for uvicorn or any other ASGI server.

    Raises:
        InputError: without the packages of ``masu[label]``, for a ``root`` that is no folder, a URL of
            another kind, a threshold out of range, or a detector of other images than RGB photographs.
    """
    refuse_path(detector, "backend")
    require_packages()
    from masu.service.addresses import Addresses
    from masu.service.answering import Answerer
    from masu.service.backend import make_backend
    from masu.service.label_studio_host import LabelStudioHost
    from masu.service.limits import Limits

    if detector.input.channels is not None:
        found = f"one of images of {detector.input.channels} channels"
        raise bad_input("the model", found, "one of RGB photographs, which labelling tools send")
    if threshold is None:
        threshold = getattr(detector, "thresholds", None) or DEFAULT_THRESHOLD
    check_threshold(threshold, detector.names)
    folder = None if root is None else Path(root)
    if folder is not None and not folder.is_dir():
        raise bad_input("--root", f"{folder}, which is no folder", "the folder that Label Studio serves")
    limits = Limits()
    host = None if label_studio_url is None else LabelStudioHost(label_studio_url, label_studio_key, limits)
    answerer = in_a_passing_thread(lambda: Answerer(detector, threshold, version, limits))
    return make_backend(answerer, Addresses(folder, host, limits), hosts=hosts, log=log)
