"""torchvision's own tests of its detectors and operators, run on masu: ``make test-torchvision``.

``python -m tests.torchvision_own [--texts FOLDER] [--theirs] [options of pytest]``

Args:
    --texts: folder with the texts of torchvision's tests; what it lacks is fetched from GitHub into it.
    --theirs: run the same tests on torchvision itself.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest

from tests.torchvision_own.plugin import Plugin
from tests.torchvision_own.texts import TAG, TESTS, bring


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.torchvision_own", description=__doc__)
    parser.add_argument("--texts", type=Path, default=Path("build") / f"torchvision-{TAG}")
    parser.add_argument("--theirs", action="store_true")
    options, more = parser.parse_known_args()
    folder = options.texts.resolve()
    bring(folder)
    sys.path.insert(0, str(folder))  # they import one another by bare names
    given = [
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        "-p",
        "no:cacheprovider",
        "-q",
        "-Wdefault",
        "--tb=short",
    ]
    tests = [str(folder / name) for name in TESTS]
    return pytest.main([*given, *more, *tests], plugins=[Plugin(options.theirs)])


if __name__ == "__main__":
    raise SystemExit(main())
