"""Forms as browsers and curl send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masu.service.limits import RefusedError
from masu.serving.multipart import Part, parts_of
from tests.serve.conftest import form

KIND = "multipart/form-data; boundary=mark"


@given(st.lists(st.tuples(st.sampled_from(["a", "b c"]), st.sampled_from([None, "", "x.jpg"]), st.binary())))
def test_what_goes_in_comes_out(fields):
    """Whatever bytes a file has, as long as its sender chose a boundary that is not among them."""
    if any(b"\r\n--mark" in b"\r\n" + content for _, _, content in fields):
        return
    body, kind = form(*fields)
    assert parts_of(kind, body, len(fields)) == [Part(*one) for one in fields]


def test_as_browsers_write_it():
    body = (
        b'before\r\n------W7\r\nContent-Disposition: form-data; name="image"; filename="\xc3\xbc b.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\r\n--\n\r\n------W7\r\n"
        b"content-disposition: form-data; name=threshold\r\n\r\n0.5\r\n------W7--\r\nafter"
    )
    kind = 'Multipart/Form-Data; charset=utf-8; boundary="----W7"'
    assert parts_of(kind, body, 2) == [
        Part("image", "ü b.jpg", b"\xff\xd8\r\n--\n"),
        Part("threshold", None, b"0.5"),
    ]


def test_a_file_name_in_extended_form():
    body = (
        b"--mark\r\nContent-Disposition: form-data; name=a; filename*=utf-8''%c3%bc.jpg\r\n\r\n1\r\n--mark--"
    )
    assert parts_of(KIND, body, 1) == [Part("a", "ü.jpg", b"1")]


@pytest.mark.parametrize(
    ("kind", "body", "status", "reason"),
    [
        ("multipart/form-data", b"", 400, "no boundary"),
        (f"multipart/form-data; boundary={'x' * 71}", b"", 400, "no boundary"),
        ("multipart/form-data; boundary=\xfc", b"", 400, "no boundary"),
        (KIND, b"", 400, "no end"),
        (KIND, b"--mark\r\nContent-Disposition: form-data; name=a\r\n\r\n1", 400, "no end"),
        (KIND, b"--mark\r\n\r\n1\r\n--mark--", 400, "without a name"),
        (KIND, b"--mark\r\nContent-Disposition: form-data; name=a\r\n--mark--", 400, "without a name"),
        (KIND, b"--mark\r\nX: " + b"a" * 5000 + b"\r\n\r\n1\r\n--mark--", 400, "without a name"),
        (*reversed(form(*[("a", None, b"")] * 3)), 413, "more than 2 parts"),
    ],
)
def test_what_is_no_form(kind, body, status, reason):
    with pytest.raises(RefusedError, match=reason) as caught:
        parts_of(kind, body, 2)
    assert caught.value.status == status
