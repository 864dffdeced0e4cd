"""A list in the text of a JSON file: what is changed is changed, and the rest stays to the letter."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.data.formats.json_places import indentation, list_in, with_list, written

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LAYOUTS = st.sampled_from(
    [
        {},
        {"indent": 2},
        {"indent": "\t"},
        {"separators": (",", ":")},
        {"separators": ("\n , ", " : ")},
        {"ensure_ascii": False},
    ]
)


@given(VALUES, VALUES, st.lists(VALUES, max_size=4), LAYOUTS)
def test_a_list_and_its_entries_are_found(first, last, entries, layout):
    text = "\n " + json.dumps({"a": first, "list": entries, 'q"]': last}, **layout)
    whole, spans = list_in(text, "list")
    assert json.loads(text[slice(*whole)]) == entries
    assert [json.loads(text[s:e]) for s, e in spans] == entries


@given(st.data(), VALUES, st.lists(VALUES, max_size=5), LAYOUTS)
def test_a_changed_list_holds_what_it_should_and_the_rest_is_as_it_was(data, other, entries, layout):
    text = json.dumps({"a": other, "list": entries, "z": other}, **layout)
    whole, spans = list_in(text, "list")
    replaced, wanted = {}, []
    for number, entry in enumerate(entries):
        what = data.draw(st.sampled_from(["keep", "go", "change"]))
        if what == "keep":
            wanted.append(entry)
        elif what == "go":
            replaced[number] = None
        else:
            replaced[number] = written("other", text, 2)
            wanted.append("other")
    added = data.draw(st.lists(VALUES, max_size=2))
    made = with_list(text, whole, spans, replaced, [written(one, text, 2) for one in added])
    assert json.loads(made) == {"a": other, "list": wanted + added, "z": other}
    assert made.startswith(text[: whole.start])
    assert made.endswith(text[whole.end :])
    if not replaced and not added and (entries or layout.get("indent") is None):
        assert made == text


@pytest.mark.parametrize("indent", [1, 2, 4, "\t"])
def test_what_is_added_looks_as_if_it_had_been_there(indent):
    before = json.dumps({"list": [{"x": [1, 2]}], "z": 1}, indent=indent)
    after = json.dumps({"list": [{"x": [1, 2]}, {"x": [3]}], "z": 1}, indent=indent)
    whole, spans = list_in(before, "list")
    assert with_list(before, whole, spans, {}, [written({"x": [3]}, before, 2)]) == after
    empty = json.dumps({"list": [], "z": 1}, indent=indent)
    whole, _ = list_in(empty, "list")
    one = written({"x": [1, 2]}, empty, 2)
    assert with_list(empty, whole, [], {}, [one]) == before


def test_the_layout_of_a_text():
    assert indentation('{"a": 1}') == ("", "")
    assert indentation('\n{\r\n   "a": 1}') == ("   ", "\r\n")


@pytest.mark.parametrize("text", ["[]", "3", ""])
def test_what_is_no_object(text):
    with pytest.raises(ValueError, match="no object"):
        list_in(text, "list")


@pytest.mark.parametrize("text", ["{}", '{"list": 3}', '{"list": [1], "list": 3}', '{"a": {"list": [1]}}'])
def test_what_has_no_such_list(text):
    with pytest.raises(ValueError, match="no list"):
        list_in(text, "list")


def test_of_a_key_twice_the_last_counts_as_in_any_parser():
    text = '{"a": [1], "a": [22, 3]}'
    whole, spans = list_in(text, "a")
    assert text[slice(*whole)] == "[22, 3]"
    assert [text[slice(*one)] for one in spans] == ["22", "3"]
