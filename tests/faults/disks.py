"""What only root may do to disks."""

import subprocess

import pytest


def command(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        said = f"NOT TESTED, {arguments[0]} is impossible here (run as root): {done.stderr.strip()}"
        pytest.fail(said, pytrace=False)
