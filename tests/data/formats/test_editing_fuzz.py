"""Label files that are damaged in any way: they are told or kept, no byte of what is not changed is lost."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masu.data.formats import formats
from masu.data.formats.editing import Entry
from masu.errors import InputError
from tests.data.formats.label_files import SIZE, data_set, objects_of, opened, photo_of

FORMS = [name for name, form in formats().items() if form.edit is not None]
PIECES = st.one_of(
    st.binary(max_size=3),
    st.sampled_from(
        [
            *(b"\xff", b"\xef\xbb\xbf", b"\\ud800", b"\xed\xa0\x80", b"\0", b"1e999", b"-1", b"NaN", b"null"),
            *(
                b"[]",
                b"{}",
                b",",
                b'"',
                b"}",
                b"]",
                b"<",
                b">",
                b"/>",
                b"<!--",
                b"&lt;",
                b"<![CDATA[",
                b"\r\n",
            ),
            *(b"\n", b"\x0c", "\u2028".encode(), b"9" * 30, b'"id": 1, ', b'"shapes": [], ', b"<object/>"),
        ]
    ),
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damages=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), PIECES), min_size=1, max_size=3),
    early=st.booleans(),
)
def test_a_damaged_file_is_told_or_changed_with_care(tmp_path_factory, form, damages, early):
    root = data_set(tmp_path_factory.mktemp(form), form)
    photo = photo_of(root, "a.png")
    files = opened(root)
    file = files.file_of(photo)
    content = file.read_bytes()
    for share, length, piece in damages:
        at = int(share * len(content))
        content = content[:at] + piece + content[at + length :]
    file.write_bytes(content)
    if early:
        try:
            files = opened(root, form)
        except InputError:
            return
    loaded = files.load(photo)
    assert (loaded.entries is None) <= bool(loaded.why or not loaded.version)
    new = Entry((70.0, 50.0, 79.0, 59.0), "cat")
    if loaded.why:
        with pytest.raises(InputError):
            files.save(photo, SIZE, [new], loaded.version)
        assert file.read_bytes() == content
        return
    if not loaded.version:
        return
    assert files.save(photo, SIZE, loaded.entries, loaded.version) == loaded.version
    assert file.read_bytes() == content
    version = files.save(photo, SIZE, [*loaded.entries, new], loaded.version)
    again = files.load(photo)
    assert (again.version, again.why) == (version, "")
    assert objects_of(again.entries[:-1]) == objects_of(loaded.entries)
    assert objects_of(again.entries[-1:]) == objects_of((new,))
    files.save(photo, SIZE, loaded.entries, version)
    assert objects_of(files.load(photo).entries) == objects_of(loaded.entries)
