"""What the tests of several formats share: tiny images, files, and the ways in which a file can be broken."""

import copy
import json
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from masu.data.dataset import Dataset
from masu.data.formats import read_annotations
from masu.errors import InputError


def picture(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    """An image file of ``size`` width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def text(path: Path, content: object) -> Path:
    """A file with a text, or with JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def objects(data: Dataset) -> dict[str, list[tuple]]:
    """By image: class, box and flag of each object."""
    found = {}
    for index in range(len(data)):
        found[data.paths[index].name] = [
            (data.names[data.labels[row]], data.boxes[row].tolist(), int(data.flags[row]))
            for row in range(data.starts[index], data.starts[index + 1])
        ]
    return found


def faults(data: Dataset) -> list[str]:
    """Where, what and what was done, without the file."""
    return [f"{fault.where}: {fault.found}, {fault.action}" for fault in data.faults]


def same(one: Dataset, other: Dataset, atol: float = 0.0) -> None:
    """The law of writers: images, boxes, classes, flags, sizes and splits are those that were written.

    The order of images and classes is not asked for.
    """
    assert sorted(one.splits) == sorted(other.splits)
    mine, others = _by_image(one), _by_image(other)
    assert mine.keys() == others.keys()
    for name, (splits, size, labels, boxes) in mine.items():
        found = others[name]
        assert (found[0], found[1], found[2]) == (splits, size, labels)
        np.testing.assert_allclose(found[3], boxes, rtol=0, atol=atol)


def _by_image(data: Dataset) -> dict:
    found = {}
    for index in range(len(data)):
        own = data.objects(index)
        splits = {split for split, mine in zip(data.splits, data.members[:, index], strict=True) if mine}
        labels = [(data.names[k], int(f)) for k, f in zip(data.labels[own], data.flags[own], strict=True)]
        found[data.paths[index].name] = (splits, data.sizes[index].tolist(), labels, data.boxes[own])
    return found


def readable_or_refused(path: Path, form: str) -> None:
    """Whatever a file holds: it is read, or refused in one line."""
    try:
        read_annotations(path, form)
    except InputError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def broken_json(draw, value: object) -> str:
    """A JSON text with a value replaced, a key or entry left out, or its end cut off."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(value))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[key] = draw(_VALUES)
        else:
            del holder[key]
    made = json.dumps(value)
    return made[: draw(st.integers(0, len(made)))] if draw(st.integers(0, 9)) == 0 else made


@st.composite
def broken_text(draw, value: str) -> str:
    """A text of which parts are left out, or replaced by other letters."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(value)))
        end = min(len(value), start + draw(st.integers(0, 12)))
        value = (
            value[:start]
            + draw(st.sampled_from(["", "9" * 400, "nan", "-1", "<a>", "é", "\0", '"', ",", "\n"]))
            + value[end:]
        )
    return value


def _places(value: object):
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from _places(inner)
