"""The image is not built here; what it installs is what a server without PyTorch needs."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()


def test_its_packages_are_those_of_masu_in_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    known = {*project["dependencies"], *optional["serve"], *optional["export"]}
    installed = re.findall(r'"([\w-]+>=[\d.]+)"', TEXT)
    names = {one.partition(">=")[0] for one in installed}
    assert names == {"numpy", "pillow", "click", "rich", "onnxruntime", "starlette", "uvicorn"}
    assert set(installed) <= known


def test_what_it_copies_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().split()
    (line,) = re.findall(r"^COPY (.+) \./$", TEXT, re.MULTILINE)
    for name in [*line.split(), "src"]:
        assert f"!{name}" in ignored
        assert (ROOT / name).exists()
