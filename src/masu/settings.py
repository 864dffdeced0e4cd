"""What the fields of a settings class may hold: said with their types, checked whoever builds one.

``size: Annotated[int, Within(1, 4096)] = 800`` is refused for 0, ``True``, ``"800"`` and infinity alike, from
Python (:func:`check_fields` in ``__post_init__``) and from a file (:func:`read`). So there is one schema.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from masu.errors import InputError, bad_input, counted, listed


@dataclass(frozen=True)
class Within:
    """A number from ``least`` to ``most``, both allowed."""

    least: float
    most: float


@dataclass(frozen=True)
class Length:
    """From ``least`` to ``most`` entries, or characters."""

    least: int
    most: int


Share = Annotated[float, Within(0.0, 1.0)]
Positive = Annotated[float, Within(1e-6, 1e6)]
Count = Annotated[int, Within(1, 1_000_000)]
Pixels = Annotated[int, Within(1, 65_536)]
SmallestSide = Annotated[float, Within(0.0, 65_536.0)]


def check_fields(settings: Any) -> None:
    """Bring the fields of a frozen dataclass to their types: lists to tuples, whole numbers to floats.

    Raises:
        InputError: for a value of another type or out of its range, by the field's name.
    """
    for name, hint in _hints(cast(Any, type(settings))).items():
        object.__setattr__(settings, name, read(hint, getattr(settings, name), name))


def read(kind: Any, value: Any, thing: str) -> Any:
    """A value as its type wants it; a mapping becomes the dataclass that is wanted.

    Args:
        kind: the type: a dataclass, ``int``, ``float``, ``bool``, ``str``, ``Literal``, ``tuple``, ``list``,
            ``dict[str, …]``, ``Any``, one of these or None (``int | None``), or ``Annotated`` with its range.
        value: as Python or JSON has it.
        thing: what an error calls it.

    Raises:
        InputError: for another type or a value out of its range; it is told by its dotted name.
    """
    kind, origin, kinds, rules = _taken_apart(kind)
    if origin is None:
        if kind in _READERS:
            return _READERS[kind](value, thing, rules)
        return value if kind is Any or isinstance(value, kind) else _built(kind, value, thing)
    if origin in (tuple, list):
        return _sequence(origin, kinds, value, thing, rules)
    if origin in (Union, types.UnionType):
        return None if value is None else read(kinds[0], value, thing)
    if origin is Literal:
        if not isinstance(value, str) or value not in kinds:
            raise _unfit(thing, value, f"one of {listed(kinds)}")
        return value
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _unfit(thing, value, "names with values")
    return {key: read(kinds[1], item, f"{thing}.{key[:40]}") for key, item in value.items()}


def unknown(kind: Any, value: Any, thing: str = "") -> Iterator[str]:
    """The dotted names in a value from a file that its dataclass has no field for."""
    kind, origin, kinds, _ = _taken_apart(kind)
    if is_dataclass(kind) and isinstance(value, Mapping):
        hints = _hints(cast(Any, kind))
        for key, item in value.items():
            name = f"{thing}.{key}" if thing else str(key)
            if key in hints:
                yield from unknown(hints[key], item, name)
            else:
                yield name
    elif origin is tuple and isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from unknown(kinds[0], item, f"{thing}.{i}")


def shown(value: Any) -> str:
    """A value of a stranger as an error names it, cut short."""
    if isinstance(value, list | tuple | Mapping) and value:
        kind = "names" if isinstance(value, Mapping) else "a list"
        return f"{kind} of {counted(len(value), 'entry', 'entries')}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**20:
        return "a whole number of more than 20 digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {one.name: hints[one.name] for one in fields(kind)}


@cache
def _taken_apart(kind: Any) -> tuple[Any, Any, tuple[Any, ...], tuple[Any, ...]]:
    """A type without its rules, its origin, its arguments and its rules."""
    rules: tuple[Any, ...] = ()
    if get_origin(kind) is Annotated:
        kind, *found = get_args(kind)
        rules = tuple(found)
    return kind, get_origin(kind), get_args(kind), rules


def _built(kind: Any, value: Any, thing: str) -> Any:
    if not isinstance(value, Mapping):
        raise _unfit(thing, value, "settings by their names")
    hints = _hints(kind)
    inner = f"{thing}." if thing else ""
    for key in value:
        if key not in hints:
            name, odd = f"{inner}{str(key)[:60]}", "an unknown setting"
            raise InputError(f"{name}: found {odd}", thing=name, found=odd)
    for one in fields(kind):
        if one.name not in value and one.default is MISSING and one.default_factory is MISSING:
            raise bad_input(f"{inner}{one.name}", "none", "this setting")
    return kind(**{key: read(hints[key], item, f"{inner}{key}") for key, item in value.items()})


def _sequence(origin: Any, kinds: Any, value: Any, thing: str, rules: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        raise _unfit(thing, value, "a list")
    fixed = origin is tuple and kinds[-1] is not Ellipsis
    for rule in (Length(len(kinds), len(kinds)),) if fixed else rules:
        if not rule.least <= len(value) <= rule.most:
            span = str(rule.least) if rule.least == rule.most else f"{rule.least} to {rule.most}"
            raise _unfit(thing, value, f"a list of {span}")
    item_kinds = kinds if fixed else [kinds[0]] * len(value)
    items = (
        read(one, item, f"{thing}.{i}") for i, (one, item) in enumerate(zip(item_kinds, value, strict=True))
    )
    return tuple(items) if origin is tuple else list(items)


def _whole(value: Any, thing: str, rules: tuple[Any, ...]) -> int:
    span = _span(rules)
    if isinstance(value, bool) or not isinstance(value, Integral) or not _fits(value, rules):
        raise _unfit(thing, value, f"a whole number{span}")
    return int(value)


def _number(value: Any, thing: str, rules: tuple[Any, ...]) -> float:
    span = _span(rules)
    if isinstance(value, bool) or not isinstance(value, Real) or not _fits(value, rules):
        raise _unfit(thing, value, f"a number{span}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _unfit(thing, value, f"a number{span}")
    return number


def _text(value: Any, thing: str, rules: tuple[Any, ...]) -> str:
    if not isinstance(value, str):
        raise _unfit(thing, value, "a text")
    for rule in rules:
        if not rule.least <= len(value) <= rule.most:
            raise _unfit(thing, value, f"a text of {rule.least} to {rule.most} characters")
    return value


def _truth(value: Any, thing: str, rules: tuple[Any, ...]) -> bool:
    if not isinstance(value, bool):
        raise _unfit(thing, value, "true or false")
    return value


_READERS: dict[Any, Callable[[Any, str, tuple[Any, ...]], Any]] = {
    int: _whole,
    float: _number,
    str: _text,
    bool: _truth,
}


def _fits(value: Any, rules: tuple[Any, ...]) -> bool:
    return all(rule.least <= value <= rule.most for rule in rules)


def _span(rules: tuple[Any, ...]) -> str:
    return "".join(f" from {rule.least:,g} to {rule.most:,g}".replace(",", "") for rule in rules)


def _unfit(thing: str, value: Any, wanted: str) -> InputError:
    return bad_input(thing, shown(value), wanted)
