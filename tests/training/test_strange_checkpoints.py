"""Checkpoints with a right checksum that this masu did not write, and results that were deleted."""

import json
import math
import os
import shutil
from dataclasses import replace

import pytest
import torch

import masu
from masu.detectors import model_file
from masu.detectors.build import configuration
from masu.detectors.zoo import with_backbone
from masu.errors import InputError
from masu.precision import loss_scaler
from masu.training.average import Average
from masu.training.checkpoint import Checkpoint, Content, metadata_of, read_file
from masu.training.recipe import TrainSettings, make_optimizer
from masu.training.run_state import FORMAT, RunFile, RunState, begun_as, intact, state_of
from masu.training.train import train
from tests.runs import tensors_of

SETTINGS = TrainSettings(
    architecture="retinanet_lite0_fpn",
    backbone="timm/test_efficientnet",
    weights="none",
    epochs=2,
    image_size=64,
    batch_size=4,
    learning_rate=1e-3,
)


@pytest.fixture
def parts(coins):
    return [masu.read_dataset(coins, split) for split in ("train", "val")]


@pytest.fixture
def finished(parts, tmp_path_factory):
    """The folder of a finished run; made once."""
    if not FINISHED:
        FINISHED.append(tmp_path_factory.mktemp("finished"))
        train(*parts, SETTINGS, FINISHED[0])
    return FINISHED[0]


FINISHED = []


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run file and what it writes: a small detector after one step, with an average."""
    out = tmp_path_factory.mktemp("run")
    config = with_backbone(configuration("retinanet_lite0_fpn"), "timm/test_efficientnet")
    detector = masu.build(config, ["coin"], "none", image_size=64).train()
    settings = SETTINGS.resolved()
    optimizer = make_optimizer(detector, settings)
    for parameter in detector.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    judged = Average(detector, 0.9).detector
    scaler = loss_scaler("fp32", torch.device("cpu"))
    file = RunFile(out, 0.0, detector, judged, optimizer, scaler, {"seed": 0, "epochs": 2})
    row = {"epoch": 1, "loss": 1.0, "classes": 1.0, "skipped": 0, "seconds": 2.0}
    row |= {"images_per_second": 3.0, "learning_rate": 1e-3, "ap": None}
    file.write(RunState(epoch=1, step=1, seconds=3.0, images=4, epoch_seconds=1.0, history=[row]))
    return file


def altered(written, metadata=None, tensors=None):
    """The run's file with other entries and the right checksum; None removes one."""
    path = written.checkpoint.path
    keep = path.with_name("kept")
    if not keep.exists():
        shutil.copy(path, keep)
    content = read_file(keep)
    texts = {name: text for name, text in (content.metadata | (metadata or {})).items() if text is not None}
    kept = {name: t for name, t in (content.tensors | (tensors or {})).items() if t is not None}
    Checkpoint(path, 0.0).write(Content(kept, texts))
    return path


def state(written, **changes):
    kept = json.loads(read_file(written.checkpoint.path).metadata["state"])
    return {"state": json.dumps({k: v for k, v in (kept | changes).items() if v != "away"})}


def row(**changes):
    figures = {"epoch": 1, "loss": 1.0, "skipped": 0, "seconds": 2.0, "images_per_second": 3.0}
    figures |= {"learning_rate": 1e-3}
    return {name: value for name, value in (figures | changes).items() if value != "away"}


STATES = {
    "state.momentum": {"momentum": 1},
    "state.epoch": {"epoch": "away"},
    "state.gave_up": {"gave_up": "away"},
    "state.step": {"step": 4},
    "state.seconds": {"seconds": math.nan},
    "state.images": {"images": -1},
    "state.epoch_seconds": {"epoch_seconds": 0.0},
    "state.sums.loss": {"sums": {"loss": "much"}},
    "state.skipped": {"skipped": 1.5},
    "state.history": {"history": {"1": {}}},
    "state.history.0": {"history": [[1]]},
    "state.history.1.loss": {"history": [row(loss="away")]},
    "state.history.1.epoch": {"history": [row(epoch=2)]},
    "state.history.1.ap": {"history": [row(ap=math.inf)]},
    "state.best": {"best": None},
    "state.without_better": {"without_better": True},
}
"""What is not understood, and the counters that it is in."""


@pytest.mark.parametrize("name", STATES)
def test_a_counter_that_is_not_understood_is_named(written, name):
    altered(written)
    path = altered(written, state(written, **STATES[name]))
    refused(written, path, name)


def test_epochs_without_their_history_are_named(written):
    altered(written)
    refused(written, altered(written, state(written, epoch=2)), "state.epoch")
    altered(written)
    refused(written, altered(written, state(written, best_epoch=2)), "state.epoch")


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("format", {"format": "masu-run-2"}),
        ("state", {"state": None}),
        ("state", {"state": "[]"}),
        ("state", {"state": "[" * 100_000}),
        ("settings", {"settings": None}),
        ("settings", {"settings": "3"}),
        ("settings.colour", {"settings": '{"seed": 0, "epochs": 2, "colour": 1}'}),
        ("scaler", {"scaler": '{"scale": 3}'}),
        ("scaler.scale", {"scaler": '{"scale": NaN}'}),
        ("scaler", {"scaler": None}),
        ("optimizer", {"optimizer": "3"}),
        ("optimizer.0", {"optimizer": "[1000]"}),
        ("optimizer.0", {"optimizer": '["a"]'}),
    ],
)
def test_an_entry_that_is_not_understood_is_named(written, name, metadata):
    refused(written, altered(written, metadata | {"version": "9.9"}), name, "9.9")


WEIGHT = "model.head.classes.output.weight"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (WEIGHT, None),
        (WEIGHT, lambda t: t[:1]),
        (WEIGHT, lambda t: t.double()),
        (WEIGHT, lambda t: t.to(torch.int32)),
        (WEIGHT, lambda t: t.fill_(math.nan)),
        ("model.made.up", lambda _: torch.zeros(3)),
        (WEIGHT.replace("model", "average"), None),
        ("optimizer.0.step", None),
        ("optimizer.0.exp_avg", lambda t: t[:1]),
        ("optimizer.0.exp_avg", lambda t: t.fill_(math.inf)),
        ("optimizer.0.made_up", lambda _: torch.zeros(3)),
        ("optimizer.x.step", lambda _: torch.zeros(())),
        ("optimizer", lambda _: torch.zeros(())),
        ("another", lambda _: torch.zeros(())),
    ],
)
def test_a_tensor_that_is_not_understood_is_named(written, name, change):
    altered(written)
    given = read_file(written.checkpoint.path).tensors
    other = None if change is None else change(given.get(name, torch.zeros(1)).clone())
    refused(written, altered(written, tensors={name: other}), name)
    if other is None or name != "optimizer.0.step":
        older = {"format": None, "version": None, "optimizer": None}  # as files were before
        refused(written, altered(written, older, {name: other}), name, "of an unknown version")


def refused(written, path, name, version=masu.__version__):
    """It is refused in one line that names it, and nothing has changed."""
    before = [t.clone() for t in written.detector.state_dict().values()]
    kept = json.dumps(written.optimizer.state_dict()["param_groups"])
    with pytest.raises(InputError) as caught:
        written.read([].append, steps=3)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: found a state that masu {masu.__version__} does not understand (")
    assert f"({name}: found " in message or f"of {name} that are not finite" in message
    assert message.endswith(
        f"), written by masu {version}; wanted one of this version; go on with the masu that wrote it, or start "
        "anew in another folder (--out)"
    )
    now = written.detector.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, now, strict=True))
    assert json.dumps(written.optimizer.state_dict()["param_groups"]) == kept


def test_what_it_wrote_is_read_and_says_its_layout(written):
    path = altered(written)
    assert metadata_of(path)["format"] == FORMAT == "masu-run-1"
    assert metadata_of(path)["version"] == masu.__version__
    found = written.read([].append, steps=3)
    assert (found.epoch, found.step, found.history[0]["ap"]) == (1, 1, None)
    older = {"format": None, "version": None, "optimizer": None}
    assert written.read([].append, steps=3) == found == state_of(metadata_of(altered(written, older)), path)


def test_a_header_that_is_no_safetensors_is_damage(written):
    path = altered(written)
    original = path.read_bytes()
    tensor = torch.zeros(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("masu.training.checkpoint._WORDS", {torch.float32: "F33"})
        chunks = Checkpoint(path, 0.0)
        with pytest.raises(InputError, match=r"found a file that is no safetensors \(a description of 'a'"):
            chunks.write(Content({"a": tensor}, {}))
    assert path.read_bytes() == original


def test_a_state_that_is_not_understood_is_no_place_to_go_on_from(written):
    path = altered(written, {"format": "masu-run-2"})
    shutil.copy(path, written.checkpoint.before)
    assert intact(written.out) == "nothing was learnt yet"


def test_a_resumed_training_refuses_in_one_line(parts, finished, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    path = out / "resume.safetensors"
    content = read_file(path)
    Checkpoint(path, 0.0).write(Content(content.tensors, content.metadata | {"format": "masu-run-9"}))
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match=r"\(format: found 'masu-run-9', wanted 'masu-run-1'\)"):
        train(*parts, SETTINGS, out, resume=True)
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("last_is_best", [True, False])
def test_a_best_model_that_was_deleted_is_written_again(parts, tmp_path, monkeypatch, last_is_best):
    """From the last checkpoint, or the one before, whichever is of that epoch."""
    out = tmp_path / "run"
    scores = iter([0.1, 0.2] if last_is_best else [0.2, 0.1])
    monkeypatch.setattr("masu.training.train._figures", lambda metrics: {"ap": next(scores), "ap50": 0.5})
    train(*parts, SETTINGS, out)
    best = tensors_of(out / "best.safetensors")
    assert same(best, tensors_of(out / "last.safetensors")) == last_is_best
    for name in ("best", "last"):
        (out / f"{name}.safetensors").unlink()
    faults = []
    result = train(*parts, SETTINGS, out, resume=True, report=faults.append)
    assert [event for event in faults if event["event"] == "fault"] == []
    assert same(tensors_of(result.best), best)
    assert result.last.is_file()


def test_a_best_model_that_cannot_be_written_again_is_told(parts, tmp_path, monkeypatch):
    out = tmp_path / "run"
    scores = iter([0.3, 0.2, 0.1, 0.05])
    monkeypatch.setattr("masu.training.train._figures", lambda metrics: {"ap": next(scores), "ap50": 0.5})
    settings = replace(SETTINGS, epochs=3)
    train(*parts, settings, out)
    (out / "best.safetensors").unlink()
    events = []
    with pytest.raises(InputError) as caught:
        train(*parts, settings, out, resume=True, report=events.append)
    assert str(caught.value) == (
        f"{out}/best.safetensors: found no such file, and no checkpoint of epoch 1 whose model it was, wanted "
        f"the best model of the run; take {out}/last.safetensors, of epoch 3, or train anew in another folder (--out)"
    )
    assert [e["fault"] for e in events if e["event"] == "fault"] == [str(caught.value)]
    assert (out / "last.safetensors").is_file()


def test_a_run_in_a_folder_whose_name_is_no_text_goes_on(parts, finished, tmp_path):
    out = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(finished, out)
    (out / "best.safetensors").unlink()
    result = train(*parts, SETTINGS, out, resume=True)
    assert masu.load(result.best).names == masu.load(finished / "best.safetensors").names


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config", lambda text: text.replace('"fpn_channels": 96', '"fpn_channels": 4096')),
        ("config", lambda text: text.replace('"fpn_channels"', '"channels"')),
        ("names", lambda _: json.dumps([f"class {i}" for i in range(900_000)])),
        ("type", lambda _: "YOLO"),
    ],
)
def test_a_description_that_is_not_that_of_the_tensors_is_refused_before_anything_is_made(
    written, monkeypatch, name, change
):
    altered(written)
    text = metadata_of(written.checkpoint.path)[name]
    assert change(text) != text
    path = altered(written, {name: change(text)})

    def make(config, names):
        assert torch.empty(0).is_meta, "a network that takes memory"
        return real(config, names)

    real = model_file.make
    monkeypatch.setattr(model_file, "make", make)
    with pytest.raises(InputError) as error:
        begun_as(path.parent)
    assert error.value.code == "other-version"
    altered(written)
    monkeypatch.undo()
    assert begun_as(path.parent).detector.names == ("coin",)


@pytest.mark.parametrize("settings", ["[]", "1", "null", '{"precision": []}', '{"precision": "auto"}', "{"])
def test_a_precision_that_is_none_is_not_taken_over(written, settings):
    path = altered(written, {"settings": settings})
    assert begun_as(path.parent).precision is None
    assert begun_as(altered(written, {"settings": '{"precision": "bf16"}'}).parent).precision == "bf16"
