"""The one exception that bad input raises: a line that names the thing, what was found, what was wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar, overload
from unicodedata import category

_LONGEST = 300


class InputError(ValueError):
    """Input that masu cannot use.

    The message is one line naming the thing (file, argument), what was found, what was wanted and the
    fix. The command line prints it to stderr and exits with code 2; no traceback is shown. Programs read the
    same in the attributes; :func:`bad_input` fills them.

    Attributes:
        thing: the file or argument; empty where the message names none.
        found: what was found of it.
        wanted: what was wanted instead.
        fix: what to do; empty where that follows from what was wanted.
        code: a short word for the kind of error that stays the same when the wording changes:
            ``"bad-input"``, ``"missing-file"``, ``"unreadable-image"``, ``"missing-package"``,
            ``"out-of-range"``, ``"unknown-name"``, ``"no-images"``, ``"no-objects"``, ``"not-written"``,
            ``"no-network"``, ``"not-finite"``, ``"other-settings"``, ``"other-version"``, ``"store"``,
            ``"finished"`` or ``"lost-process"``.
    """

    default_code: ClassVar[str] = "bad-input"

    def __init__(
        self,
        message: str,
        *,
        thing: str = "",
        found: str = "",
        wanted: str = "",
        fix: str = "",
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.thing, self.found, self.wanted, self.fix = thing, found, wanted, fix
        self.code = code or self.default_code

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)

    def because(self, more: str) -> InputError:
        """The same error, of its own kind and fields, whose line goes on after a semicolon."""
        error = _restored(type(self), (f"{self}; {more}",), self.__dict__)
        error.fix = "; ".join(part for part in (self.fix, more) if part)
        return error


Error = TypeVar("Error", bound=InputError)


def _restored(kind: type[Error], args: tuple[Any, ...], fields: dict[str, Any]) -> Error:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


@overload
def bad_input(thing: object, found: str, wanted: str, fix: str = "", *, code: str = "") -> InputError: ...


@overload
def bad_input(
    thing: object, found: str, wanted: str, fix: str = "", *, code: str = "", kind: type[Error]
) -> Error: ...


def bad_input(
    thing: object,
    found: str,
    wanted: str,
    fix: str = "",
    *,
    code: str = "",
    kind: type[InputError] = InputError,
) -> InputError:
    """An error of one line, ``thing: found …, wanted …; fix``, that also holds these as fields.

    Args:
        thing: the file or argument; empty: none is named.
        found: what was found; at most 300 characters of it are shown.
        wanted: what was wanted.
        fix: what to do; empty where that follows.
        code: a short stable word; default: that of the ``kind``.
        kind: class of the error.
    """
    found = " ".join(found.split())
    shown = found if len(found) <= _LONGEST else f"{found[:_LONGEST]}…"
    line = f"{f'{thing}: ' if str(thing) else ''}found {shown}, wanted {wanted}{f'; {fix}' if fix else ''}"
    return kind(" ".join(line.split()), thing=str(thing), found=shown, wanted=wanted, fix=fix, code=code)


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
