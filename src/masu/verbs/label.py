"""Label: photographs on a page, drafts of one's own model, and labels in files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from masu.data.audit.labelled import labelled
from masu.data.fitting import measured
from masu.data.formats import label_files, read_annotations
from masu.data.formats.writing import refuse_target, writable, write_dataset
from masu.errors import bad_input, counted, listed
from masu.ranges import SECONDS
from masu.service.hosts import LOOPBACK
from masu.service.needed import require_packages
from masu.training.run_lock import alone_in
from masu.words import LABEL_ORDERS, WRITTEN_FORMATS

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from masu.labelling.desk import Desk

BUDGET = 40.0
"""Seconds of each training between photographs."""


@dataclass(frozen=True)
class Labelling:
    """A page that is ready to be served.

    Attributes:
        app: an application of ASGI, for uvicorn or any other server.
        token: that the first address must have: ``http://127.0.0.1:20815/?token=…``.
        port: to serve on, the same at each start: a browser keeps answers that it could not send by address.
        desk: what is on it.
        form: the format of the label files.
        out: folder of the model and of all that is no label.
        flip: whether photographs are learnt and looked at mirrored, too.
    """

    app: ASGIApp
    token: str
    port: int
    desk: Desk
    form: str
    out: Path
    flip: bool


@contextmanager
def label(
    photographs: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    classes: Sequence[str] = (),
    form: str | None = None,
    time_budget: float | None = BUDGET,
    flip: bool = True,
    order: str = "random",
    hosts: frozenset[str] | None = LOOPBACK,
    log: Callable[[str], None] = lambda _line: None,
) -> Iterator[Labelling]:
    """The page on which a folder of photographs is labelled, as long as the context is open.

    ::

        with masu.label("photos") as labelling:
            uvicorn.run(labelling.app, port=labelling.port)

    Labels are kept at once in their own files: files of LabelMe beside the photographs where there are none
    yet, else those that the data set has (LabelMe, VOC, YOLO or COCO). After five labelled photographs a
    model is trained in a process beside the server, again and again as labels come; its boxes are drafts on
    the page.

    Args:
        photographs: a folder.
        out: folder for the model (``best.safetensors``), unfinished work and what was counted. Default:
            ``runs/label-NAME``. Opened again, labelling goes on.
        classes: names to begin with, beside those of the labels.
        form: format of the labels; default: found by looking.
        time_budget: seconds of each training; None: no training and no drafts.
        flip: whether objects are the same in a mirror. False for letters, digits and signs: no photograph is
            learnt or looked at mirrored; an ``out`` that was begun so stays so.
        order: which photograph comes next: ``"random"`` (the same at each start), ``"best"`` (of which the
            model is unsure, unlike the others) or ``"name"``. In the first two, photographs that are almost
            the same as a labelled one come last.
        hosts: names under which requests may call the server; None: any.
        log: told what is refused or goes wrong, in one line.

    Returns:
        A context; what it opens with is the page, ready to be served. At its end the training stops.

    Raises:
        InputError: without the packages of ``masu[label]``, a folder without photographs, labels of a format
            that is not changed in place or that stand in another folder, an ``out`` within the photographs or
            where somebody labels already, or arguments out of range.
    """
    require_packages()
    from masu.labelling.app import make_label_app
    from masu.labelling.desk import Desk
    from masu.labelling.home import home_of
    from masu.labelling.photographs import Photographs

    if order not in LABEL_ORDERS:
        raise bad_input("--order", repr(order), f"one of {listed(LABEL_ORDERS)}", code="unknown-name")
    if time_budget is not None:
        SECONDS.check("time_budget", time_budget)
    folder = Path(photographs)
    below = Photographs.below(folder)
    home = _home(folder, out)
    name, files = label_files(folder, form)
    with ExitStack() as open_:
        open_.enter_context(alone_in(home, "a labelling"))
        own = home_of(home, folder, flip)
        if flip and not own.flip:
            log(f"no photograph is mirrored, as {home} was begun (--no-flip)")
        desk = Desk(below, files, name, home, time_budget or 0.0, log, own.flip)
        open_.callback(desk.close)
        _refuse_labels_elsewhere(folder, desk)
        for one in classes:
            desk.sitting.add_class(one)
        desk.teaching.consider()
        app = make_label_app(
            desk,
            token=own.token,
            key=own.key,
            order=order,
            formats=WRITTEN_FORMATS,
            export=lambda to: _as_json(export_labels(desk, to)),
            commands=[one._asdict() for one in commands(folder, home, own.flip)],
            hosts=hosts,
            log=log,
        )
        yield Labelling(app, own.token, own.port, desk, name, home, own.flip)


def _home(folder: Path, out: str | os.PathLike[str] | None) -> Path:
    home = Path("runs") / f"label-{folder.resolve().name}" if out is None else Path(out)
    if home.resolve().is_relative_to(folder.resolve()):
        raise bad_input(
            "--out", f"{home}, which is within {folder}", "a folder of its own", "name one elsewhere"
        )
    if home.exists() and not home.is_dir():
        raise bad_input("--out", f"{home}, which is a file", "a folder", "name another")
    return home


def _refuse_labels_elsewhere(folder: Path, desk: Desk) -> None:
    """Refuse to begin anew where the photographs have labels or drafts that stand beside their folder."""
    known, _ = labelled([folder], desk.sitting.photographs.paths.values(), drafts_too=True)
    here = desk.sitting.in_state("done", "locked", "unfinished") or desk.sitting.drafted
    if known and not here:
        found = f"labels or drafts of {counted(len(known), 'photograph')} that stand outside of it"
        raise bad_input(folder, found, "the folder that holds photographs and labels", "name that one")


def _as_json(made: Exported) -> dict[str, Any]:
    return asdict(made) | {"folder": str(made.folder), "said": list(made.said)}


@dataclass(frozen=True)
class Exported:
    """Labels in another format.

    Attributes:
        folder: the new folder.
        images: photographs in it, those with an answer.
        boxes: labels in it.
        said: one sentence for each thing that the format cannot hold.
    """

    folder: Path
    images: int
    boxes: int
    said: tuple[str, ...]


def export_labels(desk: Desk, to: str) -> Exported:
    """Write the labels in another format, with copies of their photographs, into a new folder below ``out``.

    Args:
        desk: of the labelling.
        to: a format that masu writes.

    Raises:
        InputError: another format, no photograph with an answer, or as of
            :func:`masu.data.formats.writing.write_dataset`.
    """
    out = next(place for n in range(1, 10_000) if not (place := desk.out / f"{to}-{n}").exists())
    refuse_target(out, to)
    from masu.labelling.photographs import name_of

    folder, done = desk.sitting.photographs.folder, set(desk.sitting.in_state("done"))
    data = read_annotations(folder, desk.form)
    data = data.take([at for at, path in enumerate(data.paths) if name_of(path, folder) in done])
    data = writable(measured(data))
    said = write_dataset(out, to, data)
    return Exported(out, len(data), len(data.boxes), tuple(said))


class Command(NamedTuple):
    """What one may do next.

    Attributes:
        text: to type.
        what: it does.
    """

    text: str
    what: str


def commands(folder: Path, home: Path, flip: bool = True) -> list[Command]:
    """What to do with the labels of a folder, in order.

    Args:
        folder: of the photographs.
        home: the folder of the labelling.
        flip: whether objects are the same in a mirror.
    """
    mirrored = "" if flip else " --no-flip"
    photos, run = shlex.quote(str(folder)), shlex.quote(f"{home}-trained")
    return [
        Command(f"masu train {photos} --time-budget 5m{mirrored} --out {run}", "train longer, on all labels"),
        Command(
            f"masu check {photos} --model {run} --report labels.html", "find labels that are probably wrong"
        ),
        Command(f"masu evaluate {run}/best.safetensors {photos} --report errors.html", "see where it fails"),
        Command(f"masu detect {run}/best.safetensors NEW_PHOTOS --out found", "use it on other photographs"),
        Command(f"masu export {run}/best.safetensors", "have one ONNX file for other programs"),
    ]
