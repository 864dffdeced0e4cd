"""Checkpoints with one bit changed or cut off somewhere."""

import os
import random

import masu
from masu.training.checkpoint import damage
from masu.training.recipe import TrainSettings
from masu.training.train import train
from tests.runs import assert_alike

SETTINGS = TrainSettings(epochs=2, image_size=64, batch_size=1, learning_rate=1e-3)
PLACES = 200


def flip(path, place):
    """Change one bit; the same again undoes it."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << (place % 8))]))


def test_altered_and_truncated_checkpoints_are_recognised(coins, tmp_path, figures):
    parts = [masu.read_dataset(coins, split) for split in ("train", "val")]
    train(*parts, SETTINGS, tmp_path / "run")
    path = tmp_path / "run" / "resume.safetensors"
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    draw = random.Random()
    places = [draw.randrange(8 + header) for _ in range(PLACES // 2)]
    places += [draw.randrange(size) for _ in range(PLACES // 2)]
    flips = cuts = 0
    for place in places:
        flip(path, place)
        flips += damage(path) is not None
        flip(path, place)
    assert damage(path) is None
    for place in sorted(places, reverse=True):
        os.truncate(path, place)
        cuts += damage(path) is not None
    assert (flips, cuts) == (PLACES, PLACES)
    figures(altered_files_recognised=flips, truncated_files_recognised=cuts)


def test_a_run_goes_on_from_the_checkpoint_before(coins, tmp_path, figures):
    parts = [masu.read_dataset(coins, split) for split in ("train", "val")]
    whole, out = tmp_path / "whole", tmp_path / "run"
    train(*parts, SETTINGS, whole)
    draw = random.Random()
    train(*parts, SETTINGS, out)
    path = out / "resume.safetensors"
    for _ in range(10):
        flip(path, draw.randrange(path.stat().st_size))
        said = []
        train(
            *parts, SETTINGS, out, resume=True, report=lambda e, said=said: said.append(e.get("said") or "")
        )
        assert any("going on from" in line for line in said)
        assert_alike(whole, out)
    figures(damaged_checkpoints_survived=10, bits_that_differ=0)
