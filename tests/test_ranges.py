"""What numbers settings and options may be."""

import math
from fractions import Fraction

import numpy as np
import pytest

from masu import ranges
from masu.errors import InputError
from masu.ranges import Range

ALL = {name: value for name, value in vars(ranges).items() if isinstance(value, Range)}
FEW, SHARE, ABOVE = Range(1, 9), Range(0, 1, whole=False), Range(0, 9, whole=False, above=True)


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        (FEW, [1, 9, np.int64(3), 2**0], [0, 10, 2.0, True, None, "3", math.nan, 10**400]),
        (SHARE, [0, 1, 0.5, -0.0, np.float32(0.25), Fraction(1, 3)], [-1e-9, 1.01, math.nan, math.inf, True]),
        (ABOVE, [5e-324, 9, 9.0], [0, 0.0, -0.0, -math.inf, 9.000001, "1"]),
    ],
)
def test_what_a_range_holds(span, inside, outside):
    assert [value for value in inside if value not in span] == []
    assert [value for value in outside if value in span] == []


@pytest.mark.parametrize(
    ("span", "text", "number"),
    [
        (FEW, "7", 7),
        (FEW, " +7 ", 7),
        (FEW, "007", 7),
        *(
            (FEW, text, None)
            for text in ("", " ", "-", "7.0", "7e0", "0x7", "1_0", "٣", "³", "７", "7 7", "nan")
        ),
        (FEW, "7" * 5000, None),
        (SHARE, "1e-3", 0.001),
        (SHARE, ".5", 0.5),
        (SHARE, "1.", 1.0),
        *(
            (SHARE, text, None)
            for text in ("1e309", "-1e309", "nan", "inf", "infinity", "٠.5", "0_0", "", "1e", ".")
        ),
    ],
)
def test_what_a_text_says(span, text, number):
    assert span.read(text) == number


def test_a_refusal_names_thing_value_and_range():
    with pytest.raises(InputError) as caught:
        FEW.check("epochs", 10**400)
    assert str(caught.value).startswith("epochs: found 1000000")
    assert len(str(caught.value)) < 200
    for span, said in (
        (FEW, "size: found nan, wanted a whole number from 1 to 9; choose one of these"),
        (ABOVE, "size: found nan, wanted a number above 0, at most 9; choose one of these"),
    ):
        with pytest.raises(InputError) as caught:
            span.check("size", math.nan)
        assert str(caught.value) == said


@pytest.mark.parametrize("name", ALL)
def test_no_range_goes_beyond_what_is_computed_with(name):
    """Whole numbers fit 64 bits, others are finite in half the exponent of a float."""
    span = ALL[name]
    assert span.least < span.most < (2**63 if span.whole else 2**101)
