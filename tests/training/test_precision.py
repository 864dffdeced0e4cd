"""Trainings in bf16, and in fp16 with its scaled losses: exact on resume, and never stopped by the scale."""

import json
from dataclasses import replace

import pytest
import torch

import masu
from masu import precision
from masu.detectors.retinanet import RetinaNet
from masu.errors import InputError
from masu.precision import check_precision, chosen_precision, loss_scaler, networks_in
from masu.training.checkpoint import metadata_of
from masu.training.recipe import TrainSettings
from masu.training.start import starting_detector
from masu.training.train import train
from tests.runs import assert_alike, same_bits, tensors_of
from tests.training.test_nonfinite import infinite_gradient, nan_loss, spoil, stop_after

BF16 = TrainSettings(
    architecture="retinanet_lite0_fpn",
    epochs=2,
    image_size=64,
    batch_size=2,
    accumulate=2,
    learning_rate=1e-3,
    precision="bf16",
)
FP16 = TrainSettings(
    epochs=1,
    image_size=64,
    batch_size=1,
    learning_rate=1e-3,
    weights="none",
    precision="fp16",
    on_nonfinite="skip",
)


@pytest.fixture
def parts(coins):
    return [masu.read_dataset(coins, split) for split in ("train", "val")]


@pytest.fixture
def on_cpu(monkeypatch):
    """Let a CPU train in fp16, with its scaler but for speed's sake with the numbers of bf16."""
    monkeypatch.setattr("masu.training.train.check_precision", lambda *_: None)
    monkeypatch.setitem(precision._TYPES, "fp16", torch.bfloat16)


class Narrow(torch.autograd.Function):
    """0, with a gradient of 0 that is infinite where the incoming one is larger than ``LARGEST``."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.new_zeros(())

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        return torch.full_like(x, torch.inf if upstream > LARGEST else 0.0)


LARGEST = 20_000.0


def narrow(value, detector):
    return value + Narrow.apply(detector.predictor.scores.weight)


def scaler_of(out):
    return json.loads(metadata_of(out / "resume.safetensors")["scaler"])


def faults_of(events):
    return [event["fault"] for event in events if event["event"] == "fault"]


def test_bf16_resumes_to_the_same_bits_and_not_in_another_precision(parts, tmp_path):
    """With parts of a batch and the average of weights; all that is kept is float32."""
    data, out = parts[0], tmp_path / "stopped"
    train(data, None, BF16, tmp_path / "whole")
    assert train(data, None, BF16, out, report=stop_after(1)).interrupted
    with pytest.raises(InputError, match="found precision 'bf16' in the run and 'fp32' now, wanted the same"):
        train(data, None, replace(BF16, precision="fp32"), out, resume=True)
    train(data, None, BF16, out, resume=True)
    assert_alike(tmp_path / "whole", out)
    kept = tensors_of(out / "resume.safetensors")
    assert {name.split(".")[0] for name in kept} == {"model", "average", "optimizer"}
    assert {t.dtype for t in kept.values() if t.is_floating_point()} == {torch.float32}
    assert json.loads((out / "settings.json").read_text())["precision"] == "bf16"
    assert "<dt>precision</dt><dd>bf16</dd>" in (out / "report.html").read_text()


def test_only_the_forward_pass_of_training_is_in_bf16(parts, tmp_path, monkeypatch):
    seen = {}
    for name in ("loss_terms", "detections"):
        honest = getattr(RetinaNet, name)

        def watched(self, raw, *arguments, name=name, honest=honest):
            found = {f.dtype for f in raw.features}, torch.is_autocast_enabled("cpu")
            assert seen.setdefault(name, found) == found
            return honest(self, raw, *arguments)

        monkeypatch.setattr(RetinaNet, name, watched)
    train(*parts, replace(BF16, epochs=1), tmp_path / "run")
    assert seen == {"loss_terms": ({torch.bfloat16}, True), "detections": ({torch.float32}, False)}


def test_a_training_in_bf16_learns(parts, tmp_path):
    settings = replace(BF16, epochs=3, accumulate=1, learning_rate=2e-3, warmup_steps=1, grow_from=1.0)
    often = parts[0].of([parts[0][i % 4] for i in range(8)], parts[0].names)
    losses = [row["loss"] for row in train(often, None, settings, tmp_path / "run").history]
    assert losses[-1] < 0.5 * losses[0], losses


def test_fp16_on_a_cpu_is_refused_before_anything_is_made(parts, tmp_path):
    with pytest.raises(InputError) as caught:
        train(*parts, FP16, tmp_path / "run")
    assert str(caught.value) == (
        "--precision: found fp16 on cpu, wanted fp32 or bf16 there; choose bf16, or use a CUDA GPU"
    )
    assert not (tmp_path / "run").exists()


def test_bf16_on_a_gpu_without_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    with pytest.raises(InputError) as caught:
        check_precision("bf16", torch.device("cuda"))
    assert str(caught.value) == (
        "--precision: found bf16 on Old GPU, wanted a GPU that computes in it; choose fp16"
    )
    for chosen, device in (("fp32", "cuda"), ("fp16", "cuda"), ("fp32", "cpu"), ("bf16", "cpu")):
        check_precision(chosen, torch.device(device))


def test_what_each_precision_means():
    cpu, x = torch.device("cpu"), torch.ones(2, 2)
    for name, wanted in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        with torch.autocast("cpu", torch.bfloat16), networks_in(name, cpu):
            assert (x @ x).dtype == wanted
        assert loss_scaler(name, cpu).is_enabled() == (name == "fp16")


def test_an_overflow_halves_the_scale_and_stops_nothing(parts, tmp_path, monkeypatch, on_cpu):
    """Scales 65536 and 32768 are too large here, 16384 is not. Losses count, weights and statistics stay."""
    spoil(monkeypatch, range(100), narrow)
    settings = replace(FP16, on_nonfinite="stop")
    train(parts[0], None, settings, tmp_path / "two", report=stop_after(2))
    kept = tensors_of(tmp_path / "two" / "resume.safetensors")
    assert {name.split(".")[0] for name in kept} == {"model", "average"}  # the optimizer made no step
    untouched = starting_detector(settings.resolved(), parts[0], lambda _: None).state_dict()
    assert [name for name, t in untouched.items() if not same_bits(t, kept[f"model.{name}"])] == []

    events = []
    train(parts[0], None, settings, tmp_path / "whole", report=events.append)
    first, second = faults_of(events)
    assert first.startswith("gradient: found inf in epoch 1 on ")
    assert first.endswith(".png at scale 65536 of fp16; step skipped")
    assert second.endswith(".png at scale 32768 of fp16; step skipped")
    (row,) = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert row["skipped"] == 2
    scaler = scaler_of(tmp_path / "whole")
    assert (scaler["scale"], scaler["_growth_tracker"]) == (16384.0, 2)

    train(parts[0], None, settings, tmp_path / "two", resume=True)
    assert_alike(tmp_path / "whole", tmp_path / "two")
    assert scaler_of(tmp_path / "two") == scaler


def test_an_epoch_of_overflows_is_an_epoch(parts, tmp_path, monkeypatch, on_cpu):
    """Of a small data set the first epoch may be nothing else."""
    monkeypatch.setattr("tests.training.test_precision.LARGEST", 2048.0)
    spoil(monkeypatch, range(100), narrow)
    rows = train(parts[0], None, replace(FP16, epochs=2), tmp_path / "run").history
    assert [row["skipped"] for row in rows] == [4, 1]
    assert rows[0]["loss"] > 0


def test_what_is_not_the_scales_fault_goes_by_the_setting(parts, tmp_path, monkeypatch, on_cpu):
    """A loss of NaN leaves the scale as it is; so does a bad gradient, once there is nothing left to halve."""
    events = []
    with monkeypatch.context() as patch:
        spoil(patch, {2, 3}, nan_loss)
        train(parts[0], None, FP16, tmp_path / "skip", report=events.append)
    assert [fault.split(" in ")[0] for fault in faults_of(events)] == ["loss term 'boxes': found nan"] * 2
    scaler = scaler_of(tmp_path / "skip")
    assert (scaler["scale"], scaler["_growth_tracker"]) == (65536.0, 2)

    with monkeypatch.context() as patch:
        spoil(patch, {2}, nan_loss)
        with pytest.raises(InputError, match="loss term 'boxes': found nan in epoch 1"):
            train(parts[0], None, replace(FP16, on_nonfinite="stop"), tmp_path / "stop")

    monkeypatch.setattr("masu.training.step.loss_scaler", lambda *_: torch.amp.GradScaler("cpu", 4.0))
    spoil(monkeypatch, range(100), infinite_gradient)
    events = []
    with pytest.raises(InputError, match=r"found nan in epoch 1 on .*wanted a finite number"):
        train(parts[0], None, replace(FP16, on_nonfinite="stop"), tmp_path / "gradient", report=events.append)
    assert [fault.split(" at scale ")[1] for fault in faults_of(events)] == [
        "4 of fp16; step skipped",
        "2 of fp16; step skipped",
    ]


def test_gradients_are_those_without_a_scale(parts, tmp_path, on_cpu):
    """Powers of two round nothing away, so that fp16's scaler over bf16's numbers is bf16 to the bit."""
    for name in ("fp16", "bf16"):
        train(parts[0].take([0]), None, replace(FP16, precision=name), tmp_path / name)
    a, b = (tensors_of(tmp_path / name / "last.safetensors") for name in ("fp16", "bf16"))
    assert [name for name in a if not same_bits(a[name], b[name])] == []


def test_fp16_itself(parts, tmp_path, monkeypatch):
    """A few steps as a GPU computes them, on a CPU; the first ones overflow."""
    monkeypatch.setattr("masu.training.train.check_precision", lambda *_: None)
    often = parts[0].of([parts[0][0]] * 16, parts[0].names)
    settings = replace(BF16, epochs=1, batch_size=1, accumulate=1, grow_from=0.5)
    first = []
    for name in ("fp32", "fp16"):
        events = []
        stop = stop_after(1) if name == "fp32" else lambda _: None

        def told(event, events=events, stop=stop):
            events.append(event)
            stop(event)

        train(often, None, replace(settings, precision=name), tmp_path / name, report=told)
        first.append(next(event["loss"] for event in events if event["event"] == "step"))
    assert first[1] == pytest.approx(first[0], rel=1e-2)
    assert first[1] != first[0]
    (row,) = [json.loads(line) for line in (tmp_path / "fp16" / "metrics.jsonl").read_text().splitlines()]
    scaler = scaler_of(tmp_path / "fp16")
    assert scaler["scale"] == 65536.0 / 2 ** row["skipped"]
    assert scaler["_growth_tracker"] > 0


@pytest.mark.parametrize(
    ("device", "native", "chosen"),
    [
        ("cpu", True, "bf16"),
        ("cpu", False, "fp32"),
        ("cuda", True, "bf16"),
        ("cuda", False, "fp32"),
        ("mps", True, "fp32"),
    ],
)
def test_auto_is_bf16_where_the_device_has_instructions_for_it(monkeypatch, device, native, chosen):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert chosen_precision("auto", torch.device(device)) == chosen
    assert chosen_precision("auto", torch.device(device), before="fp16") == "fp16"
    assert chosen_precision("fp32", torch.device(device), before="bf16") == "fp32"


def test_a_run_that_goes_on_keeps_its_precision_on_another_processor(parts, tmp_path, monkeypatch):
    auto = replace(BF16, precision="auto")
    out = tmp_path / "run"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    train(*parts, auto, out, report=stop_after(1))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    said = []
    train(*parts, auto, out, resume=True, report=lambda event: said.append(event.get("said")))
    assert "precision auto: bf16" in said
    assert json.loads((out / "settings.json").read_text())["precision"] == "bf16"
