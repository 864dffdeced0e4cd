"""``masu label``."""

from __future__ import annotations

import sys
import webbrowser
from contextlib import ExitStack, suppress
from pathlib import Path

import click

from masu.cli.exit_codes import DONE
from masu.cli.grammar import option, verb
from masu.cli.notes import note, print_result, working
from masu.cli.options import form_of
from masu.cli.values import Number, Time, Word
from masu.errors import counted
from masu.ranges import PORT
from masu.words import LABEL_ORDERS, WRITTEN_FORMATS


@verb(short_help="Label photographs in a browser, with drafts of your own model.")
@click.argument("photographs", metavar="PHOTOS", type=click.Path(path_type=Path))
@option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the model and unfinished work. Default: runs/label-NAME.",
)
@option("--classes", multiple=True, metavar="A,B,…", help="Classes to begin with; the page adds more.")
@form_of("the labels")
@option("--order", type=Word(LABEL_ORDERS), default="random", show_default=True, help="What comes next.")
@option("--time-budget", type=Time(), default="40s", show_default=True, help="Of each training in between.")
@option("--no-flip", is_flag=True, help="Never mirror a photograph (letters, digits, signs).")
@option("--no-training", is_flag=True, help="No training, and no drafts.")
@option("--export", type=Word(WRITTEN_FORMATS), help="Also write this format into --out at the end.")
@option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@option(
    "--port", type=Number(PORT), help="Default: one of this --out, the same each time. 0: any that is free."
)
@option("--open", "opened", is_flag=True, help="Open the page in the browser.")
def label(
    photographs: Path,
    out: Path | None,
    classes: tuple[str, ...],
    form: str | None,
    order: str,
    time_budget: float,
    no_flip: bool,
    no_training: bool,
    export: str | None,
    host: str,
    port: int | None,
    opened: bool,
) -> int:
    """Label the photographs in the folder PHOTOS on a page in your browser, and train a detector meanwhile.

    One line with the page's address goes to standard output, then it serves until it is stopped. Labels are
    kept at once, in files beside the photographs or in those that the data set has. From five labelled
    photographs on a model learns in the background, and its boxes are drafts that you accept or correct. See
    docs/label.md.
    """
    from masu.service.hosts import is_loopback, names_of
    from masu.verbs.label import commands, export_labels
    from masu.verbs.label import label as run

    named = [name.strip() for one in classes for name in one.split(",")]
    with ExitStack() as until_stopped:
        with working("reading labels"):
            labelling = until_stopped.enter_context(
                run(
                    photographs,
                    out,
                    classes=[name for name in named if name],
                    form=form,
                    time_budget=None if no_training else time_budget,
                    flip=not no_flip,
                    order=order,
                    hosts=names_of(host),
                    log=note,
                )
            )
        from masu.service.running import address_of, listen, listen_from, serve

        socket = listen_from(host, labelling.port) if port is None else listen(host, port)
        address = f"{address_of(socket, host)}/?token={labelling.token}"
        if not is_loopback(host):
            note(f"everybody who has this address and reaches {host} can label; it is not encrypted")
        print_result(address)
        sys.stdout.flush()
        if opened:
            webbrowser.open(address)
        sitting = labelling.desk.sitting
        done, drafted = len(sitting.in_state("done")), sitting.drafted
        drafts = f", {drafted} with drafts that nobody confirmed" if drafted else ""
        count = counted(len(sitting.known), "photograph")
        note(
            f"{count}, {done} with labels{drafts} ({labelling.form}); open this address, and stop with Ctrl-C"
        )
        with suppress(KeyboardInterrupt):
            serve(labelling.app, socket)
        labelled = sitting.in_state("done")
    if export is not None:
        made = export_labels(labelling.desk, export)
        note(f"{counted(made.images, 'photograph')} as {export} in {made.folder}")
    if not labelled:
        note("no photograph has labels yet; the same command goes on where you were")
    for one in commands(photographs, labelling.out, labelling.flip) if labelled else ():
        note(f"{one.what}: {one.text}")
    return DONE
