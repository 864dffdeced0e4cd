"""A verb that was called without something that it needs: what it is, and a whole command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

from masu.cli.values import Word
from masu.errors import InputError, bad_input

_EXAMPLES = {
    "MODEL": "runs/train-1",
    "A": "runs/train-1",
    "B": "runs/train-2",
    "DATA": "photos/",
    "IN": "photos/",
    "OUT": "converted/",
    "SOURCES": "photos/",
    "PHOTOS": "photos/",
    "IMAGE|DATA": "photos/a.jpg",
    "[NAME=]MODEL": "runs/train-1",
}
"""What one may write for an argument, by its name in the help."""

_MEANS = {
    "MODEL": "a run, its best.safetensors or an exported file",
    "A": "a model, its run or saved predictions",
    "B": "a model, its run or saved predictions",
    "DATA": "the folder of labelled images",
    "IN": "the folder of labelled images",
    "OUT": "a new folder",
    "SOURCES": "photographs, folders or films",
    "PHOTOS": "photographs or their folder",
    "IMAGE|DATA": "a photograph or a folder of labelled images",
    "[NAME=]MODEL": "a run, its best.safetensors or an exported file",
}
"""What an argument is, by the same name."""


def unsaid(
    context: click.Context, missing: click.Parameter | None, words: Sequence[str]
) -> InputError | None:
    """The error for a verb without something that it needs.

    Args:
        context: of the verb.
        missing: the argument or option.
        words: what was written after the verb.

    Returns:
        The error; None where nothing better is known than what click says.
    """
    if isinstance(missing, click.Option):
        return _unsaid_option(context, missing, words)
    arguments = [one for one in context.command.params if isinstance(one, click.Argument)]
    names = [_name(one) for one in arguments]
    if missing not in arguments or not set(names) <= _MEANS.keys():
        return None
    said, rest = _parted(context, words)
    name = _name(missing)
    found = f"no {name}"
    if said:
        taken = ", ".join(f"{value} for {of}" for value, of in zip(said, names, strict=False))
        found = f"{taken} and no {name}"
    examples = [_EXAMPLES[one] for one in names]
    given = list(said)
    if len(said) == 1 and names[0] == "MODEL" and len(names) == 2 and _is_no_model(said[0]):
        examples[1:] = given  # the model was left out, not what comes after it
    else:
        examples[: len(given)] = given
    whole = " ".join(["such as:", context.command_path, *map(shlex.quote, [*examples, *rest])])
    return bad_input(context.command_path, found, f"{name}, {_MEANS[name]}", whole)


def _unsaid_option(context: click.Context, missing: click.Option, words: Sequence[str]) -> InputError | None:
    if not isinstance(missing.type, Word):
        return None
    one = missing.opts[0]
    known = missing.type.words
    whole = f"such as: {shlex.join([*context.command_path.split(), *words, one, known[0]])}"
    return bad_input(context.command_path, f"no {one}", f"{one} with one of {', '.join(known)}", whole)


def _parted(context: click.Context, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The values of arguments among the words, and the rest."""
    values, _, order = context.command.make_parser(context).parse_args(list(words))
    said: list[str] = []
    for one in order:
        if isinstance(one, click.Argument):
            value = values.get(one.name or "")
            several = value if isinstance(value, list | tuple) else [value]
            said += [text for text in several if isinstance(text, str)]  # click has a mark for none
    left, rest = list(said), []
    for word in words:
        if left and word == left[0]:
            left.pop(0)
        else:
            rest.append(word)
    return said, rest


def _is_no_model(word: str) -> bool:
    """Whether a word names pictures: by its suffix, or as a folder that is no run."""
    from pathlib import Path

    from masu.data.pixels.pictures import IMAGE_SUFFIXES
    from masu.model_path import BEST

    path = Path(word)
    return path.suffix.lower() in IMAGE_SUFFIXES or (path.is_dir() and not (path / BEST).is_file())


def _name(argument: click.Parameter) -> str:
    return (argument.metavar or (argument.name or "").upper()).rstrip(".…")
