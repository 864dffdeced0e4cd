"""The packages of a server, which not everybody installs."""

from __future__ import annotations

from importlib.util import find_spec

from masu.errors import bad_input

_PACKAGES = ("starlette", "uvicorn", "anyio")


def require_packages(extra: str = "label") -> None:
    """Refuse to go on without them.

    Args:
        extra: of masu, that brings them.

    Raises:
        InputError: naming the first that is missing.
    """
    for name in _PACKAGES:
        if find_spec(name) is None:
            fix = f"pip install 'masu[{extra}]'"
            raise bad_input(name, "no such package", f"the package {name}", fix, code="missing-package")
