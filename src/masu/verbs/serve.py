"""Serve: models for other programs, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from masu import __version__
from masu.service.hosts import LOOPBACK
from masu.service.needed import require_packages
from masu.threads import in_a_passing_thread
from masu.thresholds import Threshold

if TYPE_CHECKING:
    from masu.serving.app import Service
    from masu.serving.limits import ServingLimits
    from masu.serving.models import Given


def serve(
    models: Given | Sequence[Given] | Mapping[str, Given],
    *,
    threshold: Threshold | None = None,
    image_size: int | None = None,
    tta: bool = False,
    device: str = "auto",
    trust_code: bool = False,
    limits: ServingLimits | None = None,
    hosts: frozenset[str] | None = LOOPBACK,
    log: Callable[[str], None] = lambda _line: None,
) -> Service:
    """An ASGI application that finds objects in the photographs of requests.

    ``POST /predict`` takes files, base64 or the bytes of one picture and answers boxes as JSON; ``/v2`` is
    KServe's protocol; ``/`` a page to try a model on; ``/docs`` says the rest. Models are open and warm when
    it is returned. Nothing that a request names is ever fetched or opened. See docs/serve.md.

    Args:
        models: the path of a model, an exported file or a run, or an open detector; several in a list, or by
            the names under which they are to be asked.
        threshold: smallest score where a request names none; default: the model's own ``thresholds``, 0.5 for
            a class without one.
        image_size: shorter side that networks are to see, in pixels, see :func:`masu.with_image_size`;
            default: the model's own.
        tta: look at every picture mirrored, too, in twice the time, see :func:`masu.with_tta`. Margins that
            were measured with one look, or at another size, are refused then.
        device: of models of masu, as of :func:`masu.load`; exported files run on the processor.
        trust_code: open ``.pt2`` files too, which can run any code on this computer.
        limits: of requests, see :class:`masu.serving.limits.ServingLimits`.
        hosts: names under which requests may call the server; None: any.
        log: told of each request, in one line that begins with its id.

    Returns:
        An application for uvicorn or any other ASGI server. After its ``stop()`` ``/ready`` says no.

    Raises:
        TypeError: with ``image_size`` or ``tta``, for what is open and no detector of masu.
        InputError: without the packages of ``masu[serve]``, for no model, two of one name, a file that cannot
            be opened, a threshold or size out of range, another size than that of an exported file, or a
            model of other images than RGB photographs.
    """
    require_packages("serve")
    from masu.serving.app import Service
    from masu.serving.desk import Desk
    from masu.serving.limits import ServingLimits
    from masu.serving.models import opened

    made = in_a_passing_thread(
        lambda: opened(
            models,
            threshold=threshold,
            image_size=image_size,
            tta=tta,
            device=device,
            trust_code=trust_code,
        )
    )
    return Service(Desk(made, limits or ServingLimits()), __version__, hosts=hosts, log=log)
