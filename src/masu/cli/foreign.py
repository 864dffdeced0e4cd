"""Words of other tools, and what masu calls them: one line instead of "no such option"."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import click

from masu.errors import InputError, bad_input, listed

VERBS = {
    "fit": "train",
    "predict": "detect",
    "infer": "detect",
    "inference": "detect",
    "val": "evaluate",
    "validate": "evaluate",
    "test": "evaluate",
    "eval": "evaluate",
    "visualize": "explain",
    "autoanchor": "anchors",
}
"""Other tools' verbs."""

PROGRAMS = ("yolo", "mmdet", "detectron2")
"""Other tools, written as if they were verbs: ``masu yolo train``."""

OPTIONS = {
    "imgsz": "--image-size",
    "img-size": "--image-size",
    "img": "--image-size",
    "min-size": "--image-size",
    "lr0": "--lr",
    "learning-rate": "--lr",
    "batch": "--batch-size",
    "bs": "--batch-size",
    "conf": "--threshold",
    "conf-thres": "--threshold",
    "score-thr": "--threshold",
    "iou-thres": "--iou",
    "nms": "--iou",
    "max-det": "--max-detections",
    "num-workers": "--workers",
    "freeze": "--frozen-stride",
    "amp": "--precision",
    "half": "--precision",
    "cos-lr": "--schedule",
    "augment": "--tta",
    "report-to": "--log-to",
    "log-with": "--log-to",
    "flipud": "--flip-vertical",
    "project": "--out",
    "name": "--out",
    "output": "--out",
    "output-dir": "--out",
    "work-dir": "--out",
    "cfg": "--architecture",
    "arch": "--architecture",
    "val-data": "--val",
}
"""Other tools' options; each is one of masu's under another name."""

ARGUMENTS = {
    "model": "MODEL",
    "weights": "MODEL",
    "checkpoint": "MODEL",
    "ckpt": "MODEL",
    "data": "DATA",
    "dataset": "DATA",
    "source": "SOURCES",
    "input": "SOURCES",
}
"""Other tools' options that are arguments of masu, of the verbs that have no option of that name."""

_KEY_AND_VALUE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)=(.*)", re.DOTALL)


def refuse_verb(words: Sequence[str]) -> None:
    """Refuse a verb of another tool.

    Args:
        words: the command line from the verb on.

    Raises:
        InputError: naming masu's.
    """
    said = [word for word in words[:3] if word not in PROGRAMS]
    if words[0] in PROGRAMS:
        modes = [VERBS.get(word, word) for word in said if word.isalpha()]
        raise bad_input(
            words[0], "another tool", f"masu {modes[-1] if modes else 'train'}", "see 'masu --help'"
        )
    if words[0] in VERBS:
        verb = VERBS[words[0]]
        raise bad_input(words[0], "another tool's verb", f"masu {verb}", f"see 'masu {verb} --help'")


def refuse_key_and_value(context: click.Context, text: str) -> None:
    """Refuse ``imgsz=640`` among the arguments of a verb, unless there is such a file.

    Raises:
        InputError: naming masu's spelling.
    """
    match = _KEY_AND_VALUE.fullmatch(text)
    if match is None or os.path.exists(text):
        return
    key, value = match[1].replace("_", "-"), match[2]
    own = _option(context.command, f"--{key}")
    wanted = _masus(context, key, value) if own is None else _spelt(own, value)
    if wanted is not None:
        raise _refused(context, text, wanted)


def refuse_option(context: click.Context, name: str) -> None:
    """Refuse an option of another tool that the verb does not have.

    Raises:
        InputError: naming masu's spelling.
    """
    wanted = _masus(context, name.lstrip("-").replace("_", "-"), "")
    if wanted is not None:
        raise _refused(context, name, wanted)


def _refused(context: click.Context, text: str, wanted: str) -> InputError:
    return bad_input(text[:60], "another tool's spelling", wanted, f"see '{context.command_path} --help'")


def _masus(context: click.Context, key: str, value: str) -> str | None:
    """How masu says it: for this verb, or for the verbs that have it."""
    command = context.command
    arguments = {str(one.human_readable_name) for one in command.params if isinstance(one, click.Argument)}
    if ARGUMENTS.get(key) in arguments:
        return f"{ARGUMENTS[key]} without a name: {command.get_usage(context).removeprefix('Usage: ')}"
    name = OPTIONS.get(key)
    if name is None:
        return None
    own = _option(command, name)
    if own is not None:
        return _spelt(own, value or own.make_metavar(context))
    group = context.parent.command if context.parent is not None else None
    verbs = group.commands.items() if isinstance(group, click.Group) else ()
    return f"{name}, an option of {listed(verb for verb, one in verbs if _option(one, name))}"


def _spelt(own: click.Option, value: str) -> str:
    return own.opts[0] if own.is_flag else f"{own.opts[0]} {value}"


def _option(command: click.Command, name: str) -> click.Option | None:
    for one in command.params:
        if isinstance(one, click.Option) and name in (*one.opts, getattr(one, "old", None)):
            return one
    return None
