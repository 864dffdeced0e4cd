"""The command line: parse, call a verb, print; one file per verb.

PyTorch is imported only by the verbs that need it, when they run.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from typing import Any, NoReturn

import click

from masu import __version__
from masu.cli import (
    anchors,
    backend,
    check,
    compare,
    completion,
    convert,
    demo,
    detect,
    draft,
    evaluate,
    explain,
    export,
    label,
    models,
    schema,
    serve,
    train,
    tune,
)
from masu.cli.exit_codes import BAD_INPUT, DONE, STOPPED, as_epilog
from masu.cli.foreign import refuse_verb
from masu.cli.grammar import QUIET, VERBOSE
from masu.cli.notes import note, print_error, print_result, rank
from masu.cores import limited_cores
from masu.errors import InputError
from masu.streams import CLOSED_PIPE, OutputError, kept_safe

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main() -> NoReturn:
    """Run ``masu``; bad input gives one line on stderr and exit code 2."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a damaged TIFF is told by masu, in one line
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # a launcher's processes wait for each other, deaf to it
    if alone and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up, as Ctrl-C does
    if (cores := limited_cores()) is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(cores))  # PyTorch counts the cores of the computer
    with kept_safe():
        try:
            code = _run()
            sys.stdout.flush()
        except OutputError as error:
            code = CLOSED_PIPE if error.closed else _refused(str(error))
    sys.exit(code)


def _run() -> int:
    try:
        return cli.main(prog_name="masu", standalone_mode=False) or DONE
    except click.exceptions.NoArgsIsHelpError as error:
        print_result(error.format_message())
        return DONE
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "masu"
        return _refused(f"{error.format_message()} See '{command} --help'.")
    except (click.Abort, KeyboardInterrupt):
        note("stopped")
        return STOPPED
    except (InputError, OSError) as error:
        return _refused(str(error))


def _refused(message: str) -> int:
    who = f" in process {rank()}" if rank() else ""
    shown = re.sub(r"\S{300,}", lambda long: f"{long[0][:300]}…", " ".join(message.split()))
    print_error(f"masu: error{who}: {shown}")
    return BAD_INPUT


class _Verbs(click.Group):
    def __init__(self, *positional: Any, **attributes: Any) -> None:
        super().__init__(*positional, **attributes)
        self.params += [QUIET, VERBOSE]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb; that of another tool is refused with masu's."""
        if not ctx.resilient_parsing and args[0] not in self.commands:
            refuse_verb(args)
        return super().resolve_command(ctx, args)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The verbs as they were added, not by the alphabet."""
        return list(self.commands)


@click.group(cls=_Verbs, context_settings=CONTEXT, epilog=as_epilog())
@click.version_option(__version__, message="masu %(version)s")
def cli() -> None:
    """Train, explain and ship object detectors on the computer you have.

    Start with `masu demo`, or with your own labelled photographs: `masu train PHOTOS`.
    """


for verb in (
    demo.demo,
    check.check,
    convert.convert,
    anchors.anchors,
    models.models,
    train.train,
    evaluate.evaluate,
    compare.compare,
    tune.tune,
    explain.explain,
    detect.detect,
    draft.draft,
    serve.serve,
    backend.backend,
    label.label,
    export.export,
    schema.schema,
    completion.completion,
):
    cli.add_command(verb)
