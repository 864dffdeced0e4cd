"""What few or one-sided pictures promise."""

from pathlib import Path

import pytest

from masu.data.audit.prospects import said_of_few, said_of_no_empty
from tests.datasets import data_of

GOOD = ((4.0, 5.0, 30.0, 40.0), "deer", False)


def pictures(full: int, empty: int = 0, names: tuple[str, ...] = ("deer",)):
    rows = [(Path(f"{number}.png"), [GOOD] * (number < full)) for number in range(full + empty)]
    return data_of({None: rows}, names, size=(48, 64))


def test_a_model_of_one_animal_calls_every_animal_so():
    assert said_of_no_empty(pictures(20)) == (
        "each of the 20 pictures has a deer: a model that saw nothing else calls everything that resembles it "
        "deer, such as every animal; add pictures without any, saved without a box (a tenth of all is a good start)"
    )
    assert said_of_no_empty(pictures(20, names=("deer", "fox"))) == (
        "each of the 20 pictures has an object: a model may then see some in empty ones; add pictures without "
        "any, saved without a box (a tenth of all is a good start)"
    )


@pytest.mark.parametrize(("full", "empty"), [(19, 0), (20, 1), (0, 20)])
def test_nothing_is_said_of_few_or_mixed_pictures(full, empty):
    assert said_of_no_empty(pictures(full, empty)) is None


def test_few_pictures_promise_little():
    assert said_of_few(pictures(3), pictures(1)) == (
        "3 training images: enough to try it out, and it finds again what looks just like them; AP on 1 image is a "
        "rough guess; masu draft helps to label more"
    )
    assert said_of_few(pictures(1), None) == (
        "1 training image: enough to try it out, and it finds again what looks just like them; masu draft helps "
        "to label more"
    )
    assert said_of_few(pictures(20), pictures(1)) is None
