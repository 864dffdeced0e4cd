"""``masu serve``."""

from __future__ import annotations

import sys

import click

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, print_result, working
from masu.cli.options import DEVICE, NETWORK_SIZE, TRUST_CODE, TTA
from masu.cli.values import Number, said_of_thresholds
from masu.errors import listed
from masu.ranges import LULL, PORT, SECONDS, SHARE, THREADS, WAITING

_BESIDE = 500  # connections that are idle, or hear that it is busy; each holds a few pages of memory
_IDLE = 75  # seconds; longer than the 60 of load balancers, which else send to a connection that just closed


@verb(short_help="Serve models over HTTP, to programs and on a page.")
@click.argument("models", metavar="[NAME=]MODEL…", nargs=-1, required=True)
@option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@option("--port", type=Number(PORT), default=8000, show_default=True, help="0: any that is free.")
@option("--threshold", type=Number(SHARE), help="Smallest score. Default: the model's own, or 0.5.")
@NETWORK_SIZE
@TTA
@option("--at-once", type=Number(THREADS), default=1, show_default=True, help="Predictions at the same time.")
@option(
    "--max-waiting",
    type=Number(WAITING),
    default=16,
    show_default=True,
    help="Requests that run or wait; the next one gets 429.",
)
@option(
    "--request-time",
    type=Number(SECONDS),
    default=30.0,
    show_default=True,
    help="Seconds of a request.",
)
@option(
    "--lull",
    type=Number(LULL),
    default=0.0,
    show_default=True,
    help="Seconds between SIGTERM, when /ready says no, and the end.",
)
@DEVICE
@TRUST_CODE
def serve(
    models: tuple[str, ...],
    host: str,
    port: int,
    threshold: float | None,
    image_size: int | None,
    tta: bool,
    at_once: int,
    max_waiting: int,
    request_time: float,
    lull: float,
    device: str,
    trust_code: bool,
) -> int:
    """Answer requests with the boxes that each MODEL finds: a model, an exported file or a run.

    One line with the address goes to standard output, then it serves until it is stopped; a browser shows
    a page there to try the model. POST /predict takes photographs, /v2 is KServe's protocol, /docs says the
    rest. Only this computer reaches it, unless --host says otherwise: then everybody who reaches that address
    can use the models. See docs/serve.md.
    """
    from masu.service.hosts import is_loopback, names_of
    from masu.service.needed import require_packages
    from masu.verbs.serve import serve as run

    require_packages("serve")
    from masu.serving.limits import ServingLimits

    limits = ServingLimits(waiting=max_waiting, seconds=request_time, workers=at_once)
    with working("opening the models"):
        app = run(
            models,
            threshold=threshold,
            image_size=image_size,
            tta=tta,
            device=device,
            trust_code=trust_code,
            limits=limits,
            hosts=names_of(host),
            log=note,
        )
    from masu.service.running import address_of, listen
    from masu.service.running import serve as answer

    opened = listen(host, port)
    address = address_of(opened, host)
    if not is_loopback(host):
        note(f"everybody who reaches {address} can use the models: there is no password")
    print_result(address)
    sys.stdout.flush()
    for name, one in app.models.items():
        note(f"serving {name}: {one.version} ({listed(one.names, 8)})")
        if one.otherwise and threshold is None and (thresholds := one.measured("thresholds")):
            note(said_of_thresholds(thresholds, one.otherwise))
    note("stop it with Ctrl-C")
    answer(
        app,
        opened,
        connections=max_waiting + _BESIDE,
        idle=_IDLE,
        finish=request_time,
        stopping=app.stop,
        lull=lull,
    )
    return DONE
