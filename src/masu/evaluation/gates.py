"""Conditions on the difference of two models that decide an exit code, such as ``ap>=-0.005``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import ge, gt, le, lt

from masu.errors import bad_input, listed
from masu.evaluation.comparison import OF_CLASSES, SHOWN, Comparison

_GATE = re.compile(
    r"(?P<name>\w+)(\[(?P<of>.+)\])?(\.(?P<end>low|high))?\s*(?P<sign>>=|>|<=|<)\s*(?P<value>[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)"
)
_SIGNS = {">=": ge, ">": gt, "<=": le, "<": lt}


@dataclass(frozen=True)
class Gate:
    """A condition on a difference, such as ``ap>=-0.005`` or ``ap50[cat].low>-0.02``.

    Attributes:
        text: as it was written.
        name: of the figure.
        of: a class; None: the mean over classes.
        end: ``"low"`` or ``"high"``: an end of the interval; None: the difference itself.
        sign: how it is compared.
        value: with what.
    """

    text: str
    name: str
    of: str | None
    end: str | None
    sign: str
    value: float

    @classmethod
    def read(cls, text: str) -> Gate:
        """A condition from its text.

        Raises:
            InputError: where it is none, or of a figure that is not compared.
        """
        found = _GATE.fullmatch(text.strip())
        if found is None:
            wanted = "a condition such as 'ap>=-0.005', 'ap50[cat]>=0' or 'ap.low>-0.01'"
            raise bad_input("--gate", repr(text), wanted)
        known = SHOWN if found["of"] is None else OF_CLASSES
        if found["name"] not in known:
            raise bad_input("--gate", repr(found["name"]), f"one of {listed(known)}", code="unknown-name")
        return cls(text, found["name"], found["of"], found["end"], found["sign"], float(found["value"]))

    def check_names(self, names: Sequence[str]) -> None:
        """Refuse a class that the data do not have.

        Raises:
            InputError: naming it.
        """
        if self.of is not None and self.of not in names:
            raise bad_input(
                f"--gate {self.text}", f"no class {self.of!r}", f"one of {listed(names)}", code="unknown-name"
            )

    def of_comparison(self, comparison: Comparison) -> float:
        """The value that is compared.

        Raises:
            InputError: for a class or size without objects.
        """
        figures = comparison.figures if self.of is None else comparison.per_class.get(self.of, {})
        if self.name not in figures:
            there = listed(comparison.figures if self.of is None else comparison.per_class)
            raise bad_input(f"--gate {self.text}", "no objects for it in the data", f"one of {there}")
        one = figures[self.name]
        return {None: one.difference, "low": one.low, "high": one.high}[self.end]

    def holds(self, comparison: Comparison) -> bool:
        """Whether it is fulfilled; as :meth:`of_comparison`."""
        holds: bool = _SIGNS[self.sign](self.of_comparison(comparison), self.value)
        return holds
