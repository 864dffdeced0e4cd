"""A file and the one before it: what is altered is recognised, and one of the two is always whole."""

import json
import os
import random
from contextlib import contextmanager

import pytest
import safetensors.torch
import torch

from masu.atomic import WriteError
from masu.errors import InputError
from masu.training import checkpoint as checkpoint_module
from masu.training.checkpoint import Checkpoint, Content, damage, metadata_of


def content(value):
    tensors = {
        "weight": torch.full((3, 2, 5), float(value)).to(memory_format=torch.contiguous_format),
        "half": torch.arange(3, dtype=torch.bfloat16) + value,
        "count": torch.tensor(value),
        "flags": torch.tensor([True, False, True]),
        "none": torch.zeros(0, 4),
    }
    return Content(tensors, {"state": json.dumps({"step": value, "name": "Zürich"})})


def same(a, b):
    return a.tensors.keys() == b.tensors.keys() and all(
        x.dtype == b.tensors[name].dtype and torch.equal(x, b.tensors[name]) for name, x in a.tensors.items()
    )


@pytest.fixture
def file(tmp_path):
    return Checkpoint(tmp_path / "resume.safetensors", every=30.0)


def read(file):
    said = []
    return file.read(said.append), said


def test_what_is_read_is_what_was_written(file):
    file.write(content(1))
    found, said = read(file)
    assert said == []
    assert same(found, content(1))
    assert json.loads(found.metadata["state"]) == {"step": 1, "name": "Zürich"}
    assert metadata_of(file.path)["state"] == found.metadata["state"]


def test_the_file_is_a_plain_safetensors_file(file):
    file.write(content(1))
    assert same(Content(safetensors.torch.load_file(file.path), {}), content(1))


def test_two_generations_and_nothing_else(file, tmp_path):
    for value in (1, 2, 3):
        file.write(content(value))
    assert sorted(os.listdir(tmp_path)) == ["resume-before.safetensors", "resume.safetensors"]
    assert same(read(file)[0], content(3))
    file.path.unlink()
    assert same(read(file)[0], content(2))


@pytest.mark.parametrize("seed", range(4))
def test_any_change_is_recognised(file, seed):
    file.write(content(1))
    whole = file.path.read_bytes()
    draw = random.Random(seed)
    places = range(len(whole)) if seed == 0 else draw.sample(range(len(whole)), 100)
    for place in places:
        bit = 1 << (place % 8)
        file.path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        assert damage(file.path) is not None, place
        file.path.write_bytes(whole[:place])
        assert damage(file.path) is not None, place
    file.path.write_bytes(whole + b"\0")
    assert damage(file.path) == "a damaged file (its checksum differs)"
    file.path.write_bytes(whole)
    assert damage(file.path) is None


def test_a_damaged_file_is_said_and_the_one_before_is_used(file):
    file.write(content(1))
    file.write(content(2))
    file.path.write_bytes(file.path.read_bytes()[:-1])
    found, said = read(file)
    assert same(found, content(1))
    assert said == [
        f"{file.path}: found a damaged file (its checksum differs); going on from {file.before}, the "
        "checkpoint before it"
    ]


def test_a_damaged_file_never_takes_the_place_of_the_whole_one_before(file, monkeypatch):
    file.write(content(1))
    file.write(content(2))
    file.path.write_bytes(b"")
    read(file)
    file.write(content(3))
    assert same(read(file)[0], content(3))
    file.path.unlink()
    assert same(read(file)[0], content(1))


def test_both_damaged(file):
    file.write(content(1))
    file.write(content(2))
    file.path.write_bytes(file.path.read_bytes()[:4])
    file.before.unlink()
    with pytest.raises(InputError) as caught:
        read(file)
    assert str(caught.value) == (
        f"{file.path}: found a damaged file (truncated); {file.before}: found no such file; wanted the state of "
        "a training in one of them; start anew in another folder (--out)"
    )


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failed_write_leaves_both_as_they_were(file, tmp_path, monkeypatch, broken):
    file.write(content(1))
    file.write(content(2))

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        with pytest.raises(WriteError) as caught:
            file.write(content(3))
    assert str(caught.value).startswith(
        f"{file.path if broken == 'fsync' else file.before}: found no space left"
    )
    assert same(read(file)[0], content(2))
    file.path.unlink()
    assert same(read(file)[0], content(1))


def test_what_reads_otherwise_than_it_was_written_is_not_taken(file, monkeypatch):
    """A disk that returns something else than it was given."""
    file.write(content(1))
    honest = checkpoint_module.beside

    @contextmanager
    def altered(path, chunks):
        with honest(path, chunks) as part:
            data = bytearray(part.read_bytes())
            data[-1] ^= 1
            part.write_bytes(data)
            yield part

    monkeypatch.setattr(checkpoint_module, "beside", altered)
    with pytest.raises(WriteError, match=r"its checksum differs\) on reading back, wanted what was written"):
        file.write(content(2))
    assert same(read(file)[0], content(1))
    assert not file.before.exists()


def test_checkpoints_cost_two_percent_of_the_time(file, monkeypatch):
    now = took = 100.0
    monkeypatch.setattr(checkpoint_module.time, "monotonic", lambda: now)
    honest = checkpoint_module.beside

    def slow(*arguments):
        nonlocal now
        now += took
        return honest(*arguments)

    monkeypatch.setattr(checkpoint_module, "beside", slow)
    for seconds, pause in ((0.1, 30.0), (3.0, 150.0)):
        took = seconds
        file.write(content(1))
        now += pause - 1
        assert not file.due()
        now += 1
        assert file.due()
    file.every = 0
    file.write(content(1))
    assert file.due()
