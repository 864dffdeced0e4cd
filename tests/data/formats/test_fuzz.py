"""Whatever stands in an annotation file, reading gives a data set or an ``InputError``; nothing else.

``FUZZ_EXAMPLES=10000 pytest tests/data/formats/test_fuzz.py`` looks longer.
"""

import json
import os
import re
import shutil
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masu.data.formats import read_dataset
from masu.errors import InputError
from tests.data.formats.minimal import MINIMAL

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))
VALUES = [
    *(
        None,
        True,
        False,
        "",
        "a",
        "é\ud800",
        "../a.png",
        "/etc/passwd",
        "a.png",
        "nan",
        "1e999",
        "0x1",
        "\0",
        "\u2028",
    ),
    *(0, -1, 1, 2, 10**9, 2**31, 2**63, -(2**63), 2**64, 10**40, 10**400, 0.5, -0.0, 1e308, 1e-320),
    *(
        float("nan"),
        float("inf"),
        -float("inf"),
        [],
        {},
        [[]],
        [{}],
        [None],
        {"a": 1},
        [1, 2, 3, 4],
        [[1, 2], [3, 4]],
    ),
    *(
        "7",
        "1" * 5000,
        "x" * 300,
        [0] * 50,
        {"size": [4, 4], "counts": [3, 2]},
        {"size": [4, 4], "counts": "0"},
    ),
]
TOKENS = [
    *(
        b"",
        b" ",
        b"\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"\\",
        b'"',
        b"'",
        b",",
        b";",
    ),
    *(
        b"nan",
        b"inf",
        b"-1",
        b"1e999",
        b"9" * 40,
        b"9" * 5000,
        b"0",
        b"1.5",
        b"1_0",
        b"0x1",
        b"true",
        b"null",
        b"../",
    ),
    *(
        b"/",
        b"C:\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[[",
        b"<",
        b">",
        b"&a;",
        b"<!DOCTYPE a>",
        b"<a/>",
        b"#",
        b": ",
        b"- ",
    ),
    *(
        b"\r",
        b"\xe2\x80\xa8",
        b"!!python/object:a",
        b"*a",
        b"&a",
        b"\xff\xfe",
        b"PAR1",
        b"\x00\x01",
        b"\x1a",
        b"a.png",
    ),
    *(
        b'!!int ""',
        b"!!timestamp x",
        b"? [a]\n: b\n",
        b"<<: *a",
        b"&a [*a]",
        b"1e400",
        b"9" * 400,
        b"x" * 300 + b".png",
        b"/x" * 3000,
        b"a\0.png",
    ),
]


def mutated(text: bytes, random: Random) -> bytes:
    """The text with one to three things changed."""
    for _ in range(random.choice((1, 1, 2, 3))):
        text = random.choice((changed_bytes, changed_token, changed_json, changed_json, changed_lines))(
            text, random
        )
    return text


def changed_bytes(text: bytes, random: Random) -> bytes:
    at, length = random.randint(0, len(text)), random.choice((0, 1, 2, 9, 100))
    kind = random.randint(0, 4)
    if kind == 0:
        return text[:at]
    if kind == 1:
        return text[at:]
    if kind == 2:
        return text[:at] + bytes(random.randint(0, 255) for _ in range(min(length, 9))) + text[at + length :]
    if kind == 3:
        return text[: at + length] + text[at:]
    return text[:at] + random.choice(TOKENS) + text[at + length :]


def changed_token(text: bytes, random: Random) -> bytes:
    words = list(re.finditer(rb"[\w.+-]+", text)) or list(re.finditer(b"", text))
    word = random.choice(words)
    return text[: word.start()] + random.choice(TOKENS) + text[word.end() :]


def changed_lines(text: bytes, random: Random) -> bytes:
    lines = text.split(b"\n")
    at = random.randrange(len(lines))
    if random.randint(0, 1):
        lines.insert(random.randrange(len(lines) + 1), lines[at])
    else:
        del lines[at]
    return b"\n".join(lines)


def changed_json(text: bytes, random: Random) -> bytes:
    lines = text.split(b"\n")
    at = random.randrange(len(lines))
    whole, parts = b"", [text, lines[at]]
    for part in parts:
        try:
            whole = part
            content = json.loads(part)
            break
        except (ValueError, RecursionError):
            continue
    else:
        return changed_bytes(text, random)
    made = json.dumps(with_change(content, random)).encode()
    if random.randint(0, 20) == 0:
        made = made.replace(b"1", b"[" * 1200 + b"]" * 1200, 1)
    return made if whole is text else b"\n".join([*lines[:at], made, *lines[at + 1 :]])


def with_change(content, random: Random):
    """The value with something inside of it replaced, deleted, doubled or put among others."""
    places = [()]
    found = [((), content)]
    while found:
        path, value = found.pop()
        inner = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, one in inner:
            places.append((*path, key))
            found.append(((*path, key), one))
    path = random.choice(places)
    if not path:
        return random.choice(VALUES)
    above = content
    for key in path[:-1]:
        above = above[key]
    kind = random.randint(0, 5)
    if kind == 0:
        del above[path[-1]]
    elif kind == 1 and isinstance(above, list):
        above.append(above[path[-1]])
    elif kind == 2:
        above[path[-1]] = [above[path[-1]]]
    elif kind == 3:
        above[path[-1]] = str(above[path[-1]])
    else:
        above[path[-1]] = random.choice(VALUES)
    return content


def coherent(data) -> None:
    """What every data set keeps to that was read."""
    count, objects = len(data), len(data.boxes)
    assert data.starts[0] == 0
    assert data.starts[-1] == objects == len(data.labels) == len(data.flags) == len(data.places)
    assert (np.diff(data.starts) >= 0).all()
    assert len(data.starts) == count + 1 == len(data.sizes) + 1
    assert data.members.shape == (len(data.splits), count)
    assert ((data.labels >= 0) & (data.labels < len(data.names))).all()
    assert len(set(data.names)) == len(data.names) == len(set(data.category_ids))
    assert np.isfinite(data.boxes).all()
    assert (data.boxes[:, 2:] > data.boxes[:, :2]).all()
    limits = data.sizes[data.image_of][:, [1, 0]]
    assert ((data.boxes[:, :2] >= 0) & (data.boxes[:, 2:] <= limits)).all()
    for name in data.names:
        name.encode()
    for fault in data.faults:
        assert "\n" not in str(fault)
    for row in range(objects):
        assert data.where(row)


@pytest.mark.parametrize("name", MINIMAL)
def test_reading_gives_a_data_set_or_an_input_error(tmp_path, name):
    MINIMAL[name](tmp_path)
    files = {
        file: file.read_bytes()
        for file in sorted(tmp_path.rglob("*"))
        if file.is_file() and file.suffix != ".png"
    }

    @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(files)), st.randoms(use_true_random=False), st.booleans())
    def looked(file, random, forced):
        file.write_bytes(mutated(files[file], random))
        try:
            coherent(read_dataset(tmp_path, form=name if forced else None))
        except InputError as error:
            said.add(str(error))
        finally:
            file.write_bytes(files[file])
            shutil.rmtree(file.parent / ".masu-images", ignore_errors=True)

    said: set[str] = set()
    looked()
    assert not [text for text in said if "\n" in text]
