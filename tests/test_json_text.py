import json
import math

import jinja2
import pytest

from masu.errors import InputError
from masu.json_text import parsed, to_json
from masu.pages.page import render


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(value):
    written = to_json({"ap": value, "rows": [(0.5, value)], "n": 3, "text": "NaN"}, indent=1)
    assert json.loads(written, parse_constant=pytest.fail) == {
        "ap": None,
        "rows": [[0.5, None]],
        "n": 3,
        "text": "NaN",
    }


def test_what_is_finite_is_as_json_writes_it():
    value = {"b": [1, 2.5, None, True], "a": {"ü": "x"}}
    assert to_json(value, ensure_ascii=False) == json.dumps(value, ensure_ascii=False)


def test_a_page_carries_no_nan():
    loader = jinja2.DictLoader({"page": '<script type="application/json">{{ data | tojson }}</script>'})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2, "PackageLoader", lambda *_: loader)
        assert '"score": null' in render("page", {"of this page": str}, data={"score": math.nan})


@pytest.mark.parametrize("text", [None, "", "nonsense", "[" * 100_000, "9" * 5000])
def test_an_entry_that_is_no_json_is_named(text):
    with pytest.raises(InputError, match=r"^names: found (none|a text that is no JSON)"):
        parsed({} if text is None else {"names": text}, "names")
