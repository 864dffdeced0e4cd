"""The one exception that bad input raises: a line that names the thing, what was found, what was wanted."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import category


class InputError(ValueError):
    """Input that masu cannot use.

    The message is one line naming the thing (file, argument), what was found, what was wanted and the
    fix. The command line prints it to stderr and exits with code 2; no traceback is shown.
    """


def bad_input(thing: object, found: str, wanted: str, fix: str) -> InputError:
    """An error of one line: ``thing: found …, wanted …; fix``."""
    found = " ".join(found.split())
    shown = found if len(found) <= 300 else f"{found[:300]}…"
    return InputError(" ".join(f"{thing}: found {shown}, wanted {wanted}; {fix}".split()))


def counted(number: int, one: str, many: str = "") -> str:
    """``1 image``, ``2 images``; ``many`` where an s is not enough."""
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"


def listed(words: Iterable[str], most: int = 20) -> str:
    """The words separated by commas, at most ``most`` of them; ``none`` when there are none."""
    all_words = list(words)
    more = [f"… ({len(all_words)} in all)"] if len(all_words) > most else []
    return ", ".join(all_words[:most] + more) or "none"


def visible(text: str) -> str:
    """The text with control characters written out, ``\\x1b`` for ESC; line breaks and tabs stay.

    Names of files and classes are of strangers: raw, they could move the cursor or recolour the terminal.
    """
    return "".join(f"\\x{ord(c):02x}" if category(c) == "Cc" and c not in "\n\t" else c for c in text)
