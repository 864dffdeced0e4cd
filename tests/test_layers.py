"""The house: which room may import which, and what the front door offers."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import masu

SOURCE = Path(masu.__file__).parent
SMALL = {
    "errors",
    "ranges",
    "words",
    "misspelt",
    "json_text",
    "atomic",
    "thresholds",
    "settings",
    "tensor_file",
    "tiles",
    "views",
    "fusion",
    "way",
}
MODEL = {*SMALL, "model_path", "records", "ops", "data", "nets", "detectors"}
ROOMS = {
    "errors": set(),
    "ranges": {"errors"},
    "words": set(),
    "misspelt": {"words"},
    "schemas": set(),
    "streams": set(),
    "atomic": {"errors"},
    "thresholds": {"errors"},
    "regular": set(),
    "model_path": {"errors"},
    "seal": set(),
    "external_data": set(),
    "forked": set(),
    "threads": set(),
    "cores": set(),
    "devices": {"errors"},
    "precision": {"errors", "words"},
    "json_text": {"errors"},
    "settings": {"errors"},
    "tensor_file": set(),
    "records": {"errors", "thresholds"},
    "tiles": {"settings"},
    "merging": set(),
    "way": {"errors", "settings"},
    "views": {"tiles", "merging", "data"},
    "fusion": {"merging", "views"},
    "ops": {"errors", "settings", "records", "tiles"},
    "data": {
        "errors",
        "ranges",
        "misspelt",
        "regular",
        "json_text",
        "atomic",
        "threads",
        "cores",
        "records",
        "tiles",
        "ops",
    },
    "nets": {"errors", "records", "ops"},
    "detectors": {*SMALL, "model_path", "forked", "devices", "precision", "records", "ops", "data", "nets"},
    "partition": set(),
    "litert": {"errors", "partition"},
    "ncnn_part": {"errors", "partition"},
    "runtime": {
        "errors",
        "cores",
        "ranges",
        "streams",
        "json_text",
        "thresholds",
        "settings",
        "seal",
        "external_data",
        "tiles",
        "views",
        "fusion",
        "way",
        "partition",
        "litert",
        "ncnn_part",
        "data",
    },
    "exports": {
        "errors",
        "devices",
        "atomic",
        "ranges",
        "words",
        "thresholds",
        "seal",
        "records",
        "ops",
        "data",
        "nets",
        "detectors",
        "partition",
        "litert",
        "ncnn_part",
        "runtime",
        "tiles",
        "views",
        "model_path",
    },
    "drawing": {"errors", "records", "ops", "data"},
    "geojson": {"errors", "data", "results"},
    "results": {"errors", "atomic", "json_text", "records", "data", "drawing"},
    "processes": {"errors", "ranges"},
    "pages": {"errors", "json_text", "atomic"},
    "drafts": {"errors", "words", "regular", "seal", "json_text", "atomic", "records", "data"},
    "service": {*MODEL, "regular", "drafts", "evaluation"},
    "evaluation": {*MODEL, "exports", "drawing", "processes", "pages"},
    "training": {*MODEL, "devices", "precision", "drawing", "processes", "pages", "evaluation"},
    "explanation": {*MODEL, "devices", "drawing", "pages", "evaluation"},
    "serving": {
        "errors",
        "ranges",
        "model_path",
        "thresholds",
        "way",
        "data",
        "runtime",
        "detectors",
        "exports",
        "drawing",
        "pages",
        "drafts",
        "service",
    },
    "films": {*MODEL, "regular", "threads", "evaluation", "drawing", "results"},
    "labelling": {*MODEL, "regular", "drafts", "service", "evaluation", "training"},
    "cvat": {*MODEL, "drafts", "exports", "evaluation"},
    "verbs": {
        *MODEL,
        "regular",
        "threads",
        "seal",
        "bulk",
        "exports",
        "drawing",
        "results",
        "geojson",
        "processes",
        "pages",
        "drafts",
        "service",
        "devices",
        "precision",
        "evaluation",
        "training",
        "explanation",
        "films",
        "labelling",
        "serving",
    },
    "bulk": {
        "errors",
        "ranges",
        "words",
        "regular",
        "atomic",
        "threads",
        "seal",
        "records",
        "data",
        "detectors",
        "exports",
    },
    "terminal": {"errors", "streams", "evaluation", "explanation", "verbs"},
    "cli": {
        *MODEL,
        "schemas",
        "regular",
        "threads",
        "cores",
        "pages",
        "streams",
        "exports",
        "devices",
        "processes",
        "drafts",
        "service",
        "serving",
        "evaluation",
        "training",
        "explanation",
        "films",
        "verbs",
        "bulk",
        "terminal",
    },
    "__main__": {"cli"},
}
"""Each room and the rooms above it; within a room files may import each other."""

LAZY = {"records": {"results"}}
"""What a room's functions may import when they are called, but no file of it when it is loaded:
``Detections.plot`` and its like are one line each, for users' hands, and their work is done below."""

DATA = {
    "splits": set(),
    "kinds": set(),
    "pixels": set(),
    "grouped": set(),
    "class_lists": {"grouped"},
    "dataset": {"class_lists", "grouped", "kinds", "splits"},
    "fitting": {"dataset", "kinds", "pixels"},
    "formats": {"class_lists", "dataset", "fitting", "kinds", "pixels", "splits"},
    "splitting": {"dataset", "kinds", "splits"},
    "audit": {"dataset", "fitting", "formats", "kinds", "pixels", "splits", "splitting"},
    "loading": {"dataset", "fitting", "kinds", "pixels"},
}
"""The rooms and files of ``data`` and those of it that each may import."""

FILES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


def room_of(module):
    """``masu.ops.nms`` → ``ops``; ``masu`` → the empty string."""
    return [*module.split("."), ""][1]


def imports(tree, package):
    """Full names of what a syntax tree takes from masu, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name != "masu"]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"masu.{a.name}" for a in node.names] if module == "masu" else [module]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "masu":
            names = [f"masu.{node.attr}"]  # after a plain "import masu"
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "masu")


def violations(file, text):
    own = file.removesuffix(".py").split("/")[0]
    package = ".".join(["masu", *file.split("/")[:-1]])
    allowed = ROOMS[own] | {own, "__version__"}  # the version is the one name that all may take from the root
    tree = ast.parse(text)
    used = set(imports(tree, package))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = []
    late = used - set(imports(tree, package))
    used -= {name for name in late if room_of(name) in LAZY.get(own, ())}
    return sorted({f"{file} uses {name}" for name in used if room_of(name) not in allowed})


@pytest.mark.parametrize("file", [f for f in FILES if f != "__init__.py"])
def test_a_file_imports_only_rooms_above_it(file):
    assert file.removesuffix(".py").split("/")[0] in ROOMS, "a new room: say in ROOMS what it may import"
    assert violations(file, (SOURCE / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", [f for f in FILES if f.startswith("data/") and f != "data/__init__.py"])
def test_a_file_of_the_data_imports_only_what_comes_before_it(file):
    own = file.split("/")[1].removesuffix(".py")
    used = imports(ast.parse((SOURCE / file).read_text(encoding="utf-8")), "masu.data")
    inside = {name.split(".")[2] for name in used if name.startswith("masu.data.")}
    assert inside <= DATA[own] | {own}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("ops/nms.py", "from masu.nets.fpn import FPN"),
        ("ops/nms.py", "def f():\n    import masu.data.pixels.images"),
        ("ops/nms.py", "from masu import nets"),
        ("ops/nms.py", "from ..nets import fpn"),
        ("ops/nms.py", "from .. import nets"),
        ("ops/nms.py", "import masu\nmasu.build()"),
        ("records.py", "from masu.ops import nms"),
        ("records.py", "from masu.results import plot"),
        ("records.py", "def f():\n    from masu.drawing import draw"),
        ("nets/fpn.py", "from masu.detectors import zoo"),
        ("training/train.py", "from masu.cli import main"),
        ("training/train.py", "from masu import load"),
    ],
)
def test_the_parser_sees_a_wrong_import(file, text):
    assert len(violations(file, text)) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("ops/nms.py", "import torch\nfrom masu.records import IGNORE\nfrom .geometry import iou"),
        ("detectors/build.py", "import masu\nfrom masu.nets.fpn import FPN\nprint(masu.__version__)"),
        ("records.py", "def f():\n    from masu.results import plot"),
        ("cli/train.py", "from masu import __version__\nfrom masu.verbs.detect import detect"),
    ],
)
def test_the_parser_lets_right_imports_pass(file, text):
    assert violations(file, text) == []


WRITERS = {
    "atomic.py": "the one way in which masu writes",
    "seal.py": "the checksum of a file that is being made",
    "training/run_lock.py": "the lock of a run",
    "regular.py": "nothing: it opens files to read without waiting for who writes a pipe",
    "streams.py": "the streams that the process was given",
    "training/cross_fitting.py": "runs that nobody keeps, in the system's folder for such, until they have judged",
    "films/drawn.py": "nothing: FFmpeg writes into a file that atomic.py has opened",
    "exports/quiet.py": "nothing: the null device in the place of the process's own streams",
    "bulk/alone.py": "nothing: the pipe through which it answers",
    "bulk/sorting.py": "names, in the system's folder for such, until they are in order",
    "bulk/remote.py": "a download, in the system's folder for such, as long as it is decoded",
}
"""The files that open files to write, and what for; all others ask atomic.py."""

WRITING = {"write_text", "write_bytes", "symlink_to", "hardlink_to", "touch", "mkdtemp", "mkstemp"}
WRITING |= {"TemporaryDirectory", "NamedTemporaryFile", "TemporaryFile", "copy2", "copyfile", "copytree"}
OF_OS = {"replace", "rename", "renames", "open", "link", "symlink", "truncate", "fdopen"}


def writings(text):
    """Where a text opens, renames or copies files to write, by line."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = getattr(getattr(node.func, "value", None), "id", "")
        words = [
            a.value for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.Constant)
        ]
        mode = any(isinstance(w, str) and re.fullmatch(r"[rwxab+t]*[wxa+][b+t]*", w) for w in words)
        own = name in WRITING and owner != "atomic" and not (name == "write_text" and not owner)
        if (
            (name == "open" and mode and owner != "os")
            or own
            or (owner in ("os", "shutil") and name in OF_OS)
        ):
            yield f"line {node.lineno}: {name}"


@pytest.mark.parametrize("file", [f for f in FILES if f not in WRITERS])
def test_nothing_but_the_one_room_opens_files_to_write(file):
    assert list(writings((SOURCE / file).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "open(file, 'w')",
        "path.open('r+b')",
        "open(file, mode='ab')",
        "path.write_text(page)",
        "path.write_bytes(b'')",
        "os.replace(a, b)",
        "os.open(path, os.O_RDWR)",
        "tempfile.mkdtemp()",
        "shutil.copy2(a, b)",
    ],
)
def test_the_parser_sees_a_writing(text):
    assert len(list(writings(text))) == 1


@pytest.mark.parametrize(
    "text", ["open(file)", "path.open('rb')", "write_text(path, page)", "text.replace('w', '+')"]
)
def test_the_parser_lets_a_reading_pass(text):
    assert list(writings(text)) == []


def test_the_public_names_are_sorted_and_each_has_a_home():
    assert list(masu.__all__) == sorted(masu.__all__)
    assert len(set(masu.__all__)) == len(masu.__all__)
    assert masu._HOME.keys() == set(masu.__all__)
    assert set(dir(masu)) == {*masu.__all__, "__version__"}


@pytest.mark.parametrize("name", masu.__all__)
def test_a_public_name_resolves(name):
    value = getattr(masu, name)
    assert value.__name__.removeprefix("masu.") == name
    assert value.__doc__


FUNCTIONS = [name for name in masu.__all__ if inspect.isfunction(getattr(masu, name))]


def test_there_are_public_functions():
    assert len(FUNCTIONS) > 20


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_says_what_goes_in_and_what_comes_out(name):
    function = getattr(masu, name)
    said, signature = inspect.getdoc(function), inspect.signature(function)
    told = re.findall(r"^    (?:\*\*)?(\w+): ", said.partition("Args:")[2].partition("\n\n")[0], re.MULTILINE)
    assert told == list(signature.parameters)
    assert ("\nReturns:" in said) == (signature.return_annotation not in (None, "None"))


def test_the_public_arithmetic_is_sorted_and_plain():
    assert list(masu.ops.__all__) == sorted(set(masu.ops.__all__))


@pytest.mark.parametrize("name", masu.ops.__all__)
def test_a_public_name_of_the_arithmetic_resolves(name):
    value = getattr(masu.ops, name)
    assert value.__name__ == name
    assert value.__module__.startswith("masu.ops.")
    assert value.__doc__
    assert callable(value)


@pytest.mark.parametrize(
    "before",
    [
        "import masu.ops",
        "import masu.ops.nms, masu.ops.roi_align",
        "from masu.ops.nms import suppressors",
        "import masu.ops.operators, masu.exports.graph",
        "from masu import ops; import importlib; importlib.import_module('masu.ops.nms')",
        "import masu; masu.ops.nms; import masu.ops.nms; import masu.ops.roi_align",
        "import masu.detectors.build",
    ],
)
def test_a_function_named_as_its_file_stays_the_function(before):
    code = (
        f"{before}\nimport masu, inspect\nfrom masu.ops import nms, roi_align\nimport masu.ops.nms as third\n"
    )
    code += (
        "print([inspect.isfunction(f) for f in (masu.ops.nms, masu.ops.roi_align, nms, roi_align, third)])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == str([True] * 5)


def test_no_public_function_is_named_as_a_room():
    """The import of a room would put the module in the function's place."""
    rooms = {file.split("/")[0].removesuffix(".py") for file in FILES}
    assert rooms & set(masu.__all__) == {"ops"}


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError) as caught:
        masu.laod  # noqa: B018
    assert str(caught.value) == f"module 'masu' has no attribute 'laod'; it has {', '.join(masu.__all__)}"


def test_importing_masu_loads_nothing_heavy():
    heavy = ("torch", "torchvision", "timm", "numpy", "PIL")
    code = f"import sys, masu; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_arithmetic_loads_little_beside_torch():
    heavy = ("torchvision", "numba", "onnxscript", "PIL")
    code = f"import sys, masu; masu.ops.iou; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
