"""``masu backend``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, print_result, working
from masu.cli.options import DEVICE, MODEL, TRUST_CODE
from masu.cli.values import Number, scores
from masu.errors import listed
from masu.ranges import PORT, SHARE

KEY = "LABEL_STUDIO_API_KEY"
"""The environment variable with the access token of Label Studio."""


@verb(short_help="Serve a model to Label Studio and X-AnyLabeling.")
@MODEL
@option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@option("--port", type=Number(PORT), default=9090, show_default=True, help="0: any that is free.")
@option("--root", type=click.Path(path_type=Path), help="Folder that Label Studio serves as local files.")
@option(
    "--label-studio-url",
    metavar="URL",
    help=f"Label Studio to fetch uploaded images from; its access token in {KEY}.",
)
@option("--threshold", type=Number(SHARE), help="Smallest score. Default: the model's own, or 0.5.")
@DEVICE
@TRUST_CODE
def backend(
    model: Path,
    host: str,
    port: int,
    root: Path | None,
    label_studio_url: str | None,
    threshold: float | None,
    device: str,
    trust_code: bool,
) -> int:
    """Answer Label Studio (as its ML backend) and X-AnyLabeling (as its remote server) with MODEL.

    One line with the address goes to standard output, then it serves until it is stopped. Only this
    computer reaches it, unless --host says otherwise: then everybody who reaches that address can use the
    model. No address but that of --label-studio-url is ever fetched. See docs/draft.md.
    """
    from masu.drafts.model import version_of
    from masu.exports.exported import open_detector
    from masu.service.hosts import is_loopback, names_of
    from masu.threads import in_a_passing_thread
    from masu.verbs.backend import backend as run

    with working("opening the model"):
        detector = in_a_passing_thread(lambda: open_detector(model, trust_code=trust_code, device=device))
        version = version_of(model)
    if threshold is None and detector.thresholds:
        note(f"the model's thresholds: {scores(detector.thresholds)}")
    app = run(
        detector,
        threshold=threshold,
        version=version,
        root=root,
        label_studio_url=label_studio_url,
        label_studio_key=os.environ.get(KEY),
        hosts=names_of(host),
        log=note,
    )
    from masu.service.running import address_of, listen, serve

    opened = listen(host, port)
    address = address_of(opened, host)
    if not is_loopback(host):
        note(f"everybody who reaches {address} can use the model: there is no password")
    print_result(address)
    sys.stdout.flush()
    note(f"serving {version} ({listed(detector.names, 8)}); stop it with Ctrl-C")
    serve(app, opened)
    return DONE
