"""docs/from-torchvision.md names things that exist."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "from-torchvision.md"
NAMES = sorted(set(re.findall(r"`(masu(?:\.\w+)+)`", PAGE.read_text(encoding="utf-8"))))


def found(name):
    """What a dotted name stands for: something of a module, or the module itself."""
    thing = importlib.import_module("masu")
    for part in name.split(".")[1:]:
        try:
            thing = getattr(thing, part)
        except AttributeError:
            thing = importlib.import_module(f"{thing.__name__}.{part}")
    return thing


def test_there_are_names():
    assert len(NAMES) > 20


@pytest.mark.parametrize("name", NAMES)
def test_each_is_there(name):
    assert callable(found(name))
