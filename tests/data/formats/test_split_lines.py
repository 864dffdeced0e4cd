"""A line more or less in the list of a split."""

from masu.data.formats.split_lines import with_line, without_line


def test_what_is_no_line_is_not_added():
    assert with_line(b"a\n", b"b\nc") == b"a\n"
    assert with_line(b"a\n", b"b") == b"a\nb\n"


def test_only_the_line_itself_goes():
    assert without_line(b"a\r\nab\r\na 1\r\n", b"a") == b"ab\r\n"
