"""Reading JSON in pieces: the same as ``json.loads``, whatever the size of a block."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from masu.data.formats import json_stream
from masu.data.formats.json_stream import pieces, spans
from masu.data.formats.rows import BadEntryError

KEYS = frozenset(("a", "b", '"', "\\", "é", "[]"))
BLOCKS = (1, 2, 3, 7, 64, 4_000_000)
TEXTS = st.text(
    st.sampled_from('ab"\\[]{},: \n\t\u2028é\U0001f600/u00') | st.characters(exclude_categories=["Cs"]),
    max_size=8,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
PAGES = st.dictionaries(
    st.sampled_from(sorted(KEYS)) | TEXTS, VALUES | st.lists(VALUES, max_size=6), max_size=5
)
SPACES = st.text(" \t\r\n", max_size=2)
BOUNDED = settings(
    max_examples=40, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def spaced(value, draw, escaped):
    """JSON with blanks wherever they may be."""
    blank = lambda: draw(SPACES)  # noqa: E731
    if isinstance(value, dict):
        inner = [
            f"{blank()}{json.dumps(k, ensure_ascii=escaped)}{blank()}:{spaced(v, draw, escaped)}"
            for k, v in value.items()
        ]
        return f"{blank()}{{{','.join(inner) or blank()}}}{blank()}"
    if isinstance(value, list):
        return f"{blank()}[{','.join(spaced(v, draw, escaped) for v in value) or blank()}]{blank()}"
    return f"{blank()}{json.dumps(value, ensure_ascii=escaped)}{blank()}"


def joined(file):
    """What the pieces say: values by key, lists put together again."""
    found = {}
    for piece in pieces(file, KEYS):
        if piece.key not in KEYS:
            assert (piece.number, piece.text, piece.listed) == (0, b"", False)
            continue
        value = json.loads(piece.text)
        content = file.read_bytes()
        assert content[piece.at :].startswith(piece.text[1:-1] if piece.listed else piece.text)
        if piece.listed:
            entries = [content[start:end] for start, end in spans(piece).tolist()]
            assert [json.loads(entry) for entry in entries] == value
            assert [entry.strip() for entry in entries] == entries
        if not piece.listed:
            assert piece.key not in found
            found[piece.key] = value
            continue
        assert piece.number == len(found.setdefault(piece.key, [])) + 1
        found[piece.key] += value
    return found


@BOUNDED
@given(page=PAGES, data=st.data(), escaped=st.booleans(), mark=st.booleans())
def test_pieces_are_the_whole(tmp_path, monkeypatch, page, data, escaped, mark):
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbf" * mark + spaced(page, data.draw, escaped).encode())
    wanted = {key: value for key, value in page.items() if key in KEYS}
    for block in BLOCKS:
        monkeypatch.setattr(json_stream, "_BLOCK", block)
        assert joined(file) == wanted


NOT_JSON = [
    "",
    "{",
    '{"a"}',
    '{"a":}',
    '{"a":[}',
    '{"a":[1,2}',
    '{"a":[1]]',
    '{"a":[1],}',
    "[1]",
    '{"a":1}x',
    '{"a":[1]',
    "{,}",
]
NOT_JSON += [
    '{"a":1 "b":2}',
    '{"a:1}',
    '{"a\\":1}',
    "{a:1}",
    '{"z":[}',
    '{"z":[1]',
    '{"z":{"y":[}}',
    '"a"',
    "null",
    '{"a":1}}',
    '{"a":[1]}{',
]


@pytest.mark.parametrize("text", NOT_JSON)
@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_no_object_is_refused(tmp_path, monkeypatch, text, block):
    monkeypatch.setattr(json_stream, "_BLOCK", block)
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(BadEntryError):
        joined(file)


@BOUNDED
@given(
    page=PAGES, at=st.integers(0, 10**6), change=st.sampled_from([*'"\\[]{},: a0', ""]), keep=st.booleans()
)
@example(page={"a": [1]}, at=0, change="", keep=False)
def test_a_changed_text_is_refused_or_the_same_as_the_whole(tmp_path, monkeypatch, page, at, change, keep):
    text = json.dumps(page)
    at %= len(text)
    text = text[:at] + change + text[at + (not keep) :]
    file = tmp_path / "a.json"
    file.write_text(text)
    try:
        content = json.loads(text, object_pairs_hook=list_of_pairs)
        good = isinstance(content, Pairs)
    except (ValueError, RecursionError):
        good = False
    for block in (1, 3, 4_000_000):
        monkeypatch.setattr(json_stream, "_BLOCK", block)
        try:
            found = joined(file)
        except (BadEntryError, ValueError, AssertionError):
            assert not good or len({key for key, _ in content}) < len(content)
            continue
        if not good:  # then it is within a value that is passed over
            assert any(piece.key not in KEYS for piece in pieces(file, KEYS))
        else:
            assert found == {key: plain(value) for key, value in content if key in KEYS}


class Pairs(list):
    """An object as its pairs, so that doubled keys are seen."""


def list_of_pairs(pairs):
    return Pairs(pairs)


def plain(value):
    if isinstance(value, Pairs):
        return {key: plain(one) for key, one in value}
    return [plain(one) for one in value] if isinstance(value, list) else value


def test_the_place_of_the_fault_is_told(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"a": [],\n"b" 1}')
    with pytest.raises(BadEntryError) as caught:
        joined(file)
    assert str(caught.value) == "broken JSON ('1' where ':' should be: line 2), wanted annotations"
