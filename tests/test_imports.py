"""Programs beside the library: every name of masu that they import is there."""

import ast
import doctest
import importlib
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(
    f for folder in ("studies", "benchmarks", "examples") for f in (ROOT / folder).rglob("*.py")
)
PAGES = sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")])


def imported(code):
    """Each module, and each name of one or None, that a program takes from masu."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


def missing(code):
    """Those that do not exist, as they are written."""
    absent = []
    for module, name in imported(code):
        if module.split(".")[0] != "masu":
            continue
        try:
            found = importlib.import_module(module)
            if name is not None and not hasattr(found, name):
                importlib.import_module(f"{module}.{name}")
        except ModuleNotFoundError as error:
            if (
                error.name.split(".")[0] == "masu"
            ):  # else the module is there, and wants a package that is not
                absent.append(module if name is None else f"{module}.{name}")
    return absent


def programs_of(page):
    for block in re.findall(r"^ *```python\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE):
        code = textwrap.dedent(block)
        examples = doctest.DocTestParser().get_examples(code)
        yield "".join(example.source for example in examples) or code


def test_what_is_not_there_is_seen():
    code = "import masu, masu.ops.geometry\nfrom masu import load, nowhere\nimport masu.gone\nfrom masu.ops import geometry\n"
    assert missing(
        code + "def late():\n    from masu.gone import a\n    from masu.ops.geometry import iou, b\n"
    ) == [
        *("masu.nowhere", "masu.gone", "masu.gone.a", "masu.ops.geometry.b"),
    ]


def test_programs():
    assert len(PROGRAMS) > 20
    absent = {f.relative_to(ROOT).as_posix(): missing(f.read_text(encoding="utf-8")) for f in PROGRAMS}
    assert {file: names for file, names in absent.items() if names} == {}


def test_pages():
    found = {page.name: [*programs_of(page.read_text(encoding="utf-8"))] for page in PAGES}
    assert sum(map(len, found.values())) > 30
    absent = {name: [lost for code in codes for lost in missing(code)] for name, codes in found.items()}
    assert {name: lost for name, lost in absent.items() if lost} == {}
