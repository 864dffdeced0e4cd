"""The folder of a labelling: which photographs it is about, and the token of its page."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from masu.atomic import write_text
from masu.errors import bad_input
from masu.json_text import to_json
from masu.regular import read_text

_FIRST_PORT, _PORTS = 20_000, 10_000


@dataclass(frozen=True)
class Home:
    """What stays the same from one start of a labelling to the next.

    Attributes:
        photographs: the folder of the photographs, resolved.
        key: tells this labelling from others, in a browser that knows several.
        token: that the page's address has; a page that was open when the server stopped goes on with it.
        flip: whether objects are the same in a mirror.
    """

    photographs: str
    key: str
    token: str
    flip: bool = True

    @property
    def port(self) -> int:
        """To serve on: a browser keeps what it could not send by address, so it stays the same, too."""
        return _FIRST_PORT + int(self.key, 16) % _PORTS


def home_of(out: Path, photographs: Path, flip: bool = True) -> Home:
    """What ``out`` says of itself; a new one is made, readable for its owner alone.

    Args:
        out: the folder; it exists.
        photographs: the folder that is to be labelled.
        flip: whether objects are the same in a mirror; what once was not stays so.

    Raises:
        InputError: where it is that of other photographs.
        WriteError: where it cannot be written.
    """
    file, meant = out / "home.json", str(photographs.resolve())
    home = None
    with suppress(OSError, ValueError, TypeError):
        home = Home(**json.loads(read_text(file)))
    if home is not None and home.photographs != meant:
        fix = f"name another folder with --out; if the photographs have moved, delete {file}"
        raise bad_input("--out", f"{out}, which is of {home.photographs}", f"one of {meant}", fix)
    if home is not None and (flip or not home.flip):
        return home
    home = home or Home(meant, secrets.token_hex(4), secrets.token_urlsafe(24))
    home = replace(home, flip=flip)
    write_text(file, to_json(asdict(home)), private=True)
    return home
