"""``masu.cvat`` without CVAT's package; with it: ``make test-clients``."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from masu.cvat import CvatFunction
from masu.errors import InputError
from tests.drafts.finder import DRAWN, NAMES, Finder


@pytest.fixture
def sdk(monkeypatch):
    """What is used of cvat-sdk, each call told as it was made."""
    package, module = ModuleType("cvat_sdk"), ModuleType("cvat_sdk.auto_annotation")
    module.label_spec = lambda name, number, type: (name, number, type)
    module.DetectionFunctionSpec = SimpleNamespace
    module.rectangle = lambda number, points, **more: (number, points, more)
    package.auto_annotation = module
    monkeypatch.setitem(sys.modules, "cvat_sdk", package)
    monkeypatch.setitem(sys.modules, "cvat_sdk.auto_annotation", module)


@pytest.mark.usefixtures("sdk")
def test_rectangles_have_the_class_and_the_score():
    function = CvatFunction(Finder({"dog & <hen>": 0.9, "cat": 0.7}))
    assert function.spec.labels == [(name, number, "rectangle") for number, name in enumerate(NAMES)]
    image = Image.new("RGB", (40, 30))
    (dog, _, score), (cat, _, low) = DRAWN["a.png"]
    first = (1, list(dog), {"score": score})
    assert function.detect(SimpleNamespace(conf_threshold=None), image) == [first]
    second = (0, list(cat), {"score": low})
    assert function.detect(SimpleNamespace(conf_threshold=0.0), image) == [first, second]


@pytest.mark.usefixtures("sdk")
def test_a_threshold_out_of_range():
    with pytest.raises(InputError) as caught:
        CvatFunction(Finder(), threshold=1.5)
    assert caught.value.code == "out-of-range"


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvat_sdk", None)
    with pytest.raises(InputError) as caught:
        CvatFunction(Finder())
    assert (caught.value.thing, caught.value.code) == ("cvat-sdk", "missing-package")
    assert caught.value.fix == "pip install cvat-cli"
