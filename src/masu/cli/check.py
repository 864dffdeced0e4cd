"""``masu check``."""

from __future__ import annotations

from pathlib import Path

import click

from masu.cli.exit_codes import DONE, FINDINGS
from masu.cli.grammar import option, verb
from masu.cli.notes import note, working
from masu.cli.options import DATA, DEVICE, IMAGES, NETWORK_SIZE, REPORT, form_of, json_of
from masu.cli.schema import print_json
from masu.cli.values import Time, Word
from masu.errors import bad_input, counted
from masu.words import DRAFT_TOOLS


@verb(short_help="Find the faults of labelled images before training.")
@DATA
@form_of("DATA")
@IMAGES
@NETWORK_SIZE
@REPORT
@option("--fix", "fixed", type=click.Path(path_type=Path), help="Folder for a copy without faults.")
@option(
    "--model",
    metavar="RUN",
    help="Also find wrong labels: short trainings like that of RUN, or of an architecture, judge them.",
)
@option("--time-budget", type=Time(), help="Time of these trainings together. Default: 2m.")
@option(
    "--suggestions",
    type=click.Path(path_type=Path),
    help="New folder for the images with doubtful labels, as drafts for a labelling tool.",
)
@option("--to", type=Word(DRAFT_TOOLS), help="Tool of --suggestions. Default: labelme.")
@DEVICE
@json_of("all findings")
def check(
    data: Path,
    form: str | None,
    images: Path | None,
    image_size: int | None,
    page: Path | None,
    fixed: Path | None,
    model: str | None,
    time_budget: float | None,
    suggestions: Path | None,
    to: str | None,
    device: str,
    as_json: bool,
) -> int:
    """Find the faults of DATA before training: damaged files, bad boxes, doubles, leaks between splits.

    With --model also labels that are probably wrong: missing, of the wrong class, in the wrong place, or
    where nothing is. Each is judged by a detector that has not seen its image.

    Exit code 1 when there are errors, of which masu would leave something out or which deceive.
    """
    from masu.terminal import print_findings
    from masu.verbs.check import DataCheck, network_policy, refuse_outs, write_page
    from masu.verbs.wrong_labels import settings_for

    refuse_outs(fixed, suggestions, to or "labelme")
    for name, given in (("--time-budget", time_budget), ("--suggestions", suggestions)):
        if model is None and given is not None:
            raise bad_input(name, "without --model", "something to train", "add --model RUN")
    if to is not None and suggestions is None:
        raise bad_input("--to", "without --suggestions", "a folder to write", "add --suggestions DIR")
    settings = None if model is None else settings_for(model)
    found = DataCheck(data, form, network_policy(image_size), working, images)
    if settings is not None:
        found.review_labels(settings, time_budget=time_budget, device=device, counter=working)
    if as_json:
        print_json("check", found.report.as_dict())
    else:
        print_findings(found.report)
    if page is not None:
        write_page(found.report, page)
        note(f"open {page}")
    if suggestions is not None:
        for sentence in found.write_suggestions(suggestions, to or "labelme"):
            note(sentence)
        some = found.report.review is not None and found.report.review.labels
        note(f"suggestions are in {suggestions}" if some else "no label is in doubt: no suggestions")
    if fixed is not None:
        changes = found.write_mended(fixed)
        for change in changes[:20]:
            note(change)
        more = ", 20 shown" if len(changes) > 20 else ""
        note(f"{counted(len(changes), 'change')}{more}; the mended copy and changes.json are in {fixed}")
    return FINDINGS if found.report.errors else DONE
