"""The packages that write and run a format, which not everybody installs."""

from __future__ import annotations

from importlib.util import find_spec

from masu.errors import bad_input
from masu.words import ExportTarget

_PACKAGES: dict[ExportTarget, tuple[str, tuple[str, ...]]] = {
    "onnx": ("export", ("onnx", "onnxscript", "onnxruntime")),
    "openvino": ("export,openvino", ("onnx", "onnxscript", "openvino")),
    "torch": ("", ()),
    "tflite": ("litert", ("litert_torch", "ai_edge_litert")),
    "ncnn": ("ncnn", ("pnnx", "ncnn")),
}


def require_packages(to: ExportTarget) -> None:
    """Refuse to begin without them: tracing a network takes a while.

    Args:
        to: the format.

    Raises:
        InputError: naming all that are missing.
    """
    extras, packages = _PACKAGES[to]
    missing = [name.replace("_", "-") for name in packages if find_spec(name) is None]
    if missing:
        found = " and ".join(f"no package {name}" for name in missing)
        wanted = "them" if len(missing) > 1 else "it"
        raise bad_input(f"--to {to}", found, wanted, f'pip install "masu[{extras}]"', code="missing-package")
