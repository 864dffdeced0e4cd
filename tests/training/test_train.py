import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

import masu
from masu.data.kinds import Fault
from masu.data.loading.transforms import Augmentation
from masu.detectors.build import build
from masu.detectors.faster_rcnn import FasterRCNN
from masu.detectors.zoo import ARCHITECTURES
from masu.errors import InputError
from masu.training import recipe
from masu.training.recipe import TrainSettings
from masu.training.start import starting_detector
from masu.training.train import train
from masu.verbs.detect import detect

SMALL = TrainSettings(
    backbone="timm/test_efficientnet",
    weights="none",
    epochs=2,
    image_size=64,
    batch_size=2,
    learning_rate=0.005,
)


@pytest.fixture
def data(coins):
    return masu.read_dataset(coins, "train")


@pytest.fixture
def val(coins):
    return masu.read_dataset(coins, "val")


def assert_equal(one, other):
    """Two model files hold the same weights."""
    a, b = (masu.load(path).state_dict() for path in (one, other))
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def test_a_run_leaves_models_figures_settings_and_pictures(data, val, tmp_path):
    out = tmp_path / "run"
    events = []
    result = train(data, val, SMALL, out, report=events.append)
    written = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert written == {
        "best.safetensors",
        "last.safetensors",
        "resume.safetensors",
        "resume-before.safetensors",
        "metrics.jsonl",
        "settings.json",
        "report.html",
        *(f"samples/epoch_001/{i}.jpg" for i in range(1, 1 + min(4, len(val)))),
        *(f"samples/epoch_002/{i}.jpg" for i in range(1, 1 + min(4, len(val)))),
    }
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows == result.history
    assert [row["epoch"] for row in rows] == [1, 2]
    assert {"loss", "objectness", "proposal_boxes", "classes", "boxes", "ap", "ap50"} <= rows[0].keys()
    assert rows[0]["loss"] == pytest.approx(
        sum(rows[0][k] for k in ("objectness", "proposal_boxes", "classes", "boxes"))
    )
    assert [e["step"] for e in events if e["event"] == "step"] == [1, 2, 1, 2]
    assert masu.load(result.best).names == ("coin",)
    assert json.loads((out / "settings.json").read_text())["image_size"] == 64


def test_the_same_seed_gives_the_same_weights(data, tmp_path):
    a = masu.load(train(data, None, SMALL, tmp_path / "a").last)
    b = masu.load(train(data, None, SMALL, tmp_path / "b").last)
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


@pytest.mark.parametrize(("stop_at", "optimizer"), [(1, "adamw"), (2, "adamw"), (3, "adamw"), (2, "sgd")])
def test_an_interrupted_run_goes_on_to_the_same_weights(data, tmp_path, stop_at, optimizer):
    settings = replace(SMALL, optimizer=optimizer, learning_rate=1e-3)
    whole = train(data, None, settings, tmp_path / "whole")
    seen = 0

    def interrupt(event):
        nonlocal seen
        seen += event["event"] == "step"
        if seen == stop_at and event["event"] == "step":
            raise KeyboardInterrupt

    stopped = train(data, None, settings, tmp_path / "parts", report=interrupt)
    assert stopped.interrupted
    assert stopped.last.exists()
    resumed = train(data, None, settings, tmp_path / "parts", resume=True)
    assert not resumed.interrupted
    figures = [{k: row[k] for k in ("epoch", "loss")} for row in whole.history]
    assert [{k: row[k] for k in ("epoch", "loss")} for row in resumed.history] == figures
    a, b = masu.load(whole.last).state_dict(), masu.load(resumed.last).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_model(data, val, tmp_path, monkeypatch):
    out = tmp_path / "run"
    honest = FasterRCNN.loss_terms
    calls = 0

    def poisoned(self, *args):
        nonlocal calls
        calls += 1
        losses = honest(self, *args)
        return losses | {"boxes": losses["boxes"] * math.nan} if calls == 3 else losses

    monkeypatch.setattr(FasterRCNN, "loss_terms", poisoned)
    with pytest.raises(InputError) as error:
        train(data, val, SMALL, out)
    message = str(error.value)
    assert message.startswith("loss term 'boxes': found nan in epoch 2 on ")
    assert message.count(".png") == 2
    assert message.endswith(
        "wanted a finite number; lower --lr, look at these images or go on without such steps (--resume "
        f"--on-nonfinite skip); the last good model is {out / 'last.safetensors'}"
    )
    assert masu.load(out / "last.safetensors").names == ("coin",)


def test_a_folder_with_a_run_is_refused(data, tmp_path):
    train(data, None, SMALL, tmp_path / "run")
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    with pytest.raises(InputError, match="found a training that is already there, wanted an empty folder"):
        train(data, None, SMALL, tmp_path / "run")
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_nothing_to_resume(data, tmp_path):
    with pytest.raises(
        InputError, match="found no training to resume, wanted the --out folder of an earlier"
    ):
        train(data, None, SMALL, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_resume_with_other_settings_is_refused(data, tmp_path):
    train(data, None, SMALL, tmp_path / "run")
    other = replace(SMALL, epochs=3)
    with pytest.raises(InputError, match="found epochs 2 in the run and 3 now, wanted the same settings"):
        train(data, None, other, tmp_path / "run", resume=True)


def test_images_without_objects_are_training_data_but_not_alone(data, tmp_path):
    empty = masu.Target([], [])
    some = [sample._replace(target=empty) if i else sample for i, sample in enumerate(data)]
    mixed = data.of(some, data.names)
    assert math.isfinite(train(mixed, None, SMALL, tmp_path / "mixed").history[-1]["loss"])
    none = data.of([sample._replace(target=empty) for sample in some], data.names)
    with pytest.raises(InputError, match="found no labelled object in 4 images, wanted at least one"):
        train(none, None, SMALL, tmp_path / "none")


def test_an_unreadable_image_is_named_and_skipped(data, tmp_path):
    data[1].image.write_bytes(b"no image")
    events = []
    result = train(data, None, SMALL, tmp_path / "run", report=events.append, max_bad=0.25)
    faults = {event["fault"] for event in events if event["event"] == "fault"}
    assert len(faults) == 1
    assert str(data[1].image) in faults.pop()
    assert len(result.history) == 2


def test_too_many_unreadable_images_end_the_training(data, tmp_path):
    path = data[1].image
    path.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        train(data, None, SMALL, tmp_path / "run")
    assert str(caught.value) == (
        f"{data.root}: found 1 of 4 images unreadable, wanted at most 5% (--max-bad); the last: {path}: "
        "image: an empty file, skipped; replace them or leave them out"
    )


@pytest.mark.parametrize("part", [0, 1])
def test_faulty_data_is_refused_before_anything_is_made(data, tmp_path, part):
    fault = Fault("no-area", tmp_path / "a.xml", "object 2 (cat)", "box 1 2 1 2 has no area", "skipped")
    bad = replace(data, faults=(fault,))
    with pytest.raises(InputError) as caught:
        train(*[(bad, data), (data, bad)][part], SMALL, tmp_path / "run", max_bad=0.0)
    assert str(caught.value) == (
        f"{data.root}: found 1 of {1 + len(data.boxes)} objects faulty, wanted at most 0% (--max-bad); the "
        f"first: {fault}; see all with 'masu check {data.root}'"
    )
    assert not (tmp_path / "run").exists()


def test_workers_change_nothing(data, tmp_path):
    runs = [train(data, None, SMALL, tmp_path / str(n), workers=n) for n in (0, 2)]
    alone, *others = (masu.load(result.last).state_dict() for result in runs)
    for other in others:
        assert [name for name in alone if not torch.equal(alone[name], other[name])] == []


def test_augmentation_is_part_of_the_settings(data, tmp_path):
    plain = replace(SMALL, epochs=1, augmentation=Augmentation(0.0, 0.0, 0.0, (1.0, 1.0)))
    train(data, None, plain, tmp_path / "run")
    written = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert written["augmentation"]["horizontal_flip"] == 0.0


class Brighter:
    """A callable with settings of its own."""

    def __init__(self, by):
        self.by = by

    def __repr__(self):
        return f"Brighter({self.by})"

    def __call__(self, image, target):
        return (image.float() / 255 + self.by).clamp(0, 1), target


def test_a_callable_as_augmentation_is_described_and_part_of_a_run(data, tmp_path):
    settings = replace(SMALL, epochs=1, augmentation=Brighter(0.25))
    train(data, None, settings, tmp_path / "run")
    said = {"callable": f"{__name__}.Brighter", "repr": "Brighter(0.25)"}
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["augmentation"] == said
    assert "Brighter(0.25)" in (tmp_path / "run" / "report.html").read_text()
    train(data, None, replace(settings, augmentation=Brighter(0.25)), tmp_path / "run", resume=True)
    with pytest.raises(
        InputError, match=r"found augmentation .*Brighter\(0\.25\).* in the run and .*Brighter\(0\.5\)"
    ):
        train(data, None, replace(settings, augmentation=Brighter(0.5)), tmp_path / "run", resume=True)


def test_a_callable_that_returns_what_cannot_be_used_stops_a_run(data, tmp_path):
    settings = replace(SMALL, augmentation=lambda image, target: (image[:1], target))
    with pytest.raises(InputError) as caught:
        train(data, None, settings, tmp_path / "run", workers=1)
    file, found = str(caught.value).split(": augmentation ")
    assert file in map(str, data.paths)
    assert found.endswith(
        "<lambda>: found an image of shape (1, 128, 256), wanted (3, H, W); keep the channels first"
    )


def test_a_callable_that_workers_cannot_be_sent_is_refused_before_anything_is_done(
    data, tmp_path, monkeypatch
):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda: "spawn")
    settings = replace(SMALL, augmentation=lambda image, target: (image, target))
    with pytest.raises(
        InputError, match=r"<lambda>: found a callable that cannot be sent to worker processes"
    ):
        train(data, None, settings, tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()
    train(data, None, replace(settings, epochs=1), tmp_path / "run", workers=0)


def clocked(monkeypatch, seconds_per_look):
    """A clock that goes on by so much each time that it is looked at, while training looks."""
    now = 0.0

    def tick():
        nonlocal now
        now += seconds_per_look
        return now

    monkeypatch.setattr("masu.training.train.time.perf_counter", tick)


def test_a_time_budget_ends_training_within_an_epoch(data, val, tmp_path, monkeypatch):
    clocked(monkeypatch, 1.0)
    settings = TrainSettings(time_budget=5.0, image_size=64, batch_size=1, learning_rate=1e-3)
    result = train(data, None, settings, tmp_path / "run")
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert result.seconds == 5.0  # four images in the first epoch, one in the second
    resumed = train(data, None, settings, tmp_path / "run", resume=True)
    assert resumed.history == result.history


def test_epochs_and_a_time_budget_end_with_whichever_is_first(data, tmp_path, monkeypatch):
    clocked(monkeypatch, 1.0)
    settings = replace(SMALL, epochs=1, time_budget=100.0)
    assert train(data, None, settings, tmp_path / "run").seconds == 2.0


def test_training_stops_when_nothing_gets_better(data, val, tmp_path, monkeypatch):
    settings = TrainSettings(epochs=9, image_size=64, batch_size=4, learning_rate=1e-12, patience=2)
    result = train(data, val, settings, tmp_path / "run")
    assert len(result.history) == 3
    assert len(train(data, val, settings, tmp_path / "run", resume=True).history) == 3


def test_parts_of_a_batch_give_its_gradient(data, tmp_path):
    """SGD from the same weights: one step with four images at once, or one after the other."""
    plain = Augmentation(0.0, 0.0, 0.0, (1.0, 1.0))
    kept = []
    for parts in (1, 4):
        settings = TrainSettings(
            architecture="retinanet_lite0_fpn",  # its loss is a mean over images, without drawing samples
            epochs=1,
            image_size=64,
            batch_size=4,
            accumulate=parts,
            augmentation=plain,
            optimizer="sgd",
            learning_rate=0.1,
            average=0.0,
        )
        result = train(data, None, settings, tmp_path / str(parts))
        kept.append((masu.load(result.last).state_dict(), result.history[0]["loss"]))
    (a, loss), (b, loss_of_parts) = kept
    assert loss == pytest.approx(loss_of_parts, rel=1e-4)
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=1e-5)


def test_the_average_is_what_is_kept(data, tmp_path):
    settings = TrainSettings(epochs=2, image_size=64, batch_size=2, average=0.0, learning_rate=1e-3)
    bare = train(data, None, settings, tmp_path / "bare")
    averaged = train(data, None, replace(settings, average=0.9), tmp_path / "averaged")
    a, b = masu.load(bare.last).state_dict(), masu.load(averaged.last).state_dict()
    assert bare.history[0]["loss"] == averaged.history[0]["loss"]
    moved = [name for name in a if not torch.equal(a[name], b[name])]
    assert "predictor.scores.weight" in moved
    assert not any("conv_stem" in name for name in moved)


def test_images_of_four_channels_from_training_to_detection(tmp_path):
    """Squares that only the fourth channel shows."""
    draw = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 7):
        pixels = draw.normal(1000, 50, (64, 96, 4)).astype(np.float32)
        x, y = (int(v) for v in draw.integers(0, 32, 2))
        pixels[y : y + 24, x : x + 24, 3] += 2000
        np.save(tmp_path / f"{number}.npy", pixels)
        images.append({"id": number, "file_name": f"{number}.npy", "width": 96, "height": 64})
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": [x, y, 24, 24]})
    categories = [{"id": 1, "name": "square"}]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "squares.json").write_text(json.dumps(coco))
    data = masu.read_dataset(tmp_path / "squares.json")
    settings = TrainSettings(
        epochs=15,
        image_size=64,
        channels=4,
        evaluate_every=15,
        augmentation=Augmentation(photometric=1.0),
    )
    said = []
    result = train(data, data, settings, tmp_path / "run", report=lambda e: said.append(e.get("said")))
    assert any(line and line.startswith("mean 1e+03, 1e+03, ") for line in said)
    assert result.history[-1]["ap50"] > 0.5
    detector = masu.load(result.best)
    assert detector.input.channels == 4
    found = detector.predict([tmp_path / "1.npy"], threshold=0.3)[0]
    assert found.names[0] == "square"
    with pytest.raises(InputError, match=r"found shape \(64, 96, 3\), wanted an image of 4 channels"):
        detector.predict([np.zeros((64, 96, 3), np.uint8)])
    report = detect(detector, [tmp_path / "1.npy"], out=tmp_path / "found")
    assert (report.images, report.faults) == (1, ())


def test_from_a_model_with_other_classes(data, val, tmp_path):
    first = train(data, None, SMALL, tmp_path / "first").last
    renamed = type(data)(**{**vars(data), "names": ("penny",)})
    said = []
    settings = replace(SMALL, weights=str(first), epochs=1)
    train(renamed, None, settings, tmp_path / "second", report=lambda e: said.append(e.get("said")))
    assert [line for line in said if line] == [
        f"{first}: 102 tensors kept; new classes: penny; started anew: predictor.scores.weight, "
        "predictor.scores.bias, predictor.deltas.weight, predictor.deltas.bias",
        f"open {tmp_path / 'second' / 'report.html'} to watch it",
    ]


def test_a_run_goes_on_without_the_weights_it_started_from(data, tmp_path):
    first = train(data, None, replace(SMALL, weights="none", image_size=96), tmp_path / "first").last
    from_file = replace(SMALL, weights=str(first), frozen_stride=16)
    whole = train(data, None, from_file, tmp_path / "whole").last

    def stop(event):
        if event["event"] == "epoch":
            raise KeyboardInterrupt

    assert train(data, None, from_file, tmp_path / "cut", report=stop).interrupted
    first.unlink()
    last = train(data, None, from_file, tmp_path / "cut", resume=True).last
    assert_equal(last, whole)


def test_validation_images_of_other_classes_are_refused_before_the_first_step(data, coins, tmp_path):
    val = replace(masu.read_dataset(coins, "val"), names=("button",))
    with pytest.raises(InputError) as error:
        train(data, val, SMALL, tmp_path / "run")
    assert (error.value.found, error.value.wanted) == (
        "the classes button to validate on and coin to learn",
        "the same classes in the same order",
    )
    assert not (tmp_path / "run").exists()


def test_few_images_are_not_evaluated_and_written_more_often_than_trained_on(
    data, val, tmp_path, monkeypatch
):
    assert recipe.EVALUATIONS == 20
    monkeypatch.setattr(recipe, "EVALUATIONS", 4)
    settings = replace(SMALL, epochs=12)
    events = []
    few = train(data.take([0]), val.take([0]), settings, tmp_path / "run", report=events.append)
    assert [row["epoch"] for row in few.history] == list(range(1, 13))
    assert [row["epoch"] for row in few.history if "ap" in row] == [3, 6, 9, 12]
    assert few.best.is_file()
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 4
    assert (tmp_path / "run" / "metrics.jsonl").read_text().count("\n") == 12


def test_stopped_between_two_evaluations_a_run_goes_on_to_the_same_weights(data, val, tmp_path, monkeypatch):
    monkeypatch.setattr("masu.training.recipe.EVALUATIONS", 2)
    settings = replace(SMALL, epochs=8)
    whole = train(data.take([0]), val.take([0]), settings, tmp_path / "whole")

    def stop(event):
        if event["event"] == "epoch" and event["epoch"] == 3:
            raise KeyboardInterrupt

    part = data.take([0]), val.take([0])
    assert train(*part, settings, tmp_path / "cut", report=stop).interrupted
    found = train(*part, settings, tmp_path / "cut", resume=True)
    assert [row["epoch"] for row in found.history if "ap" in row] == [4, 8]
    assert_equal(found.best, whole.best)
    assert_equal(found.last, whole.last)


def test_a_stride_of_zero_trains_depthwise_filters_too(data):
    def trained(**changes):
        detector = starting_detector(TrainSettings(**changes).resolved(), data, lambda _: None)
        return {name for name, p in detector.named_parameters() if p.requires_grad}

    every = {
        n for n, _ in build(ARCHITECTURES["faster_rcnn_lite0_fpn"](), ["coin"], "none").named_parameters()
    }
    norms = {name for name in every if re.search(r"backbone\..*bn\d\.", name)}
    assert trained(frozen_stride=0) == every - norms
    assert any("conv_dw" in name for name in trained(frozen_stride=0))
    assert not any("conv_dw" in name for name in trained())


def test_the_seed_is_in_every_draw(data, tmp_path, monkeypatch):
    sizes = []

    def seen(settings, policy, done, draw):
        sizes.append(draw)
        return policy

    monkeypatch.setattr("masu.training.step.step_policy", seen)
    for seed in (0, 1):
        train(data, None, replace(SMALL, seed=seed, epochs=1), tmp_path / str(seed))
    half = len(sizes) // 2
    assert all(a != b for a, b in zip(sizes[:half], sizes[half:], strict=True))


def test_a_finished_run_keeps_no_checkpoint_unless_asked(data, tmp_path):
    train(data, None, SMALL, tmp_path / "run", keep_checkpoint=False)
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"best.safetensors", "last.safetensors"} <= left
    assert not any(name.startswith("resume") for name in left)
    with pytest.raises(InputError, match="already there"):
        train(data, None, SMALL, tmp_path / "run")


def test_a_finished_run_that_is_resumed_answers_and_changes_nothing(data, tmp_path):
    out = tmp_path / "run"
    ended = train(data, None, SMALL, out, keep_checkpoint=False)
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    said = []
    again = train(data, None, SMALL, out, resume=True, report=said.append)
    assert again == ended
    assert [event["said"] for event in said if "finished" in event["said"]]
    assert train(data, None, replace(SMALL, accumulate=2), out, resume=True) == ended  # what a run may change
    for changed, found in (
        ({"epochs": SMALL.epochs + 1}, f"epochs {SMALL.epochs} and not {SMALL.epochs + 1}"),
        ({"seed": 7}, "seed 0 and not 7"),
    ):
        with pytest.raises(InputError) as caught:
            train(data, None, replace(SMALL, **changed), out, resume=True)
        assert caught.value.code == "finished"
        assert caught.value.found == f"a training that is finished, with {found}"
        assert "--weights" in caught.value.fix
    with pytest.raises(InputError, match="finished, with trained_on") as caught:
        train(data, data, SMALL, out, resume=True)
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    for name, text in (("settings.json", "[]"), ("settings.json", "{"), ("metrics.jsonl", "")):
        (out / name).write_text(text)
        with pytest.raises(InputError) as caught:
            train(data, None, SMALL, out, resume=True)
        assert caught.value.code == "finished"
        assert name in caught.value.found
        (out / name).write_bytes(before[out / name])


def test_a_stopped_run_keeps_its_checkpoint(data, tmp_path):
    def stop(event):
        if event["event"] == "step":
            raise KeyboardInterrupt

    assert train(data, None, SMALL, tmp_path / "run", report=stop, keep_checkpoint=False).interrupted
    assert (tmp_path / "run" / "resume.safetensors").is_file()
    assert not train(data, None, SMALL, tmp_path / "run", resume=True, keep_checkpoint=False).interrupted
    assert not list((tmp_path / "run").glob("resume*"))


def test_the_page_is_there_before_the_first_step_and_moves_within_an_epoch(data, tmp_path, monkeypatch):
    monkeypatch.setattr("masu.training.train_page.EVERY", 0.0)
    monkeypatch.setattr("masu.training.train_page.MOST_TIME", 1e9)
    page, seen, said = tmp_path / "run" / "report.html", [], []

    def look(event):
        said.append(event.get("said"))
        if event["event"] == "step":
            seen.append(page.read_text())

    train(data, None, SMALL, tmp_path / "run", report=look)
    assert f"open {page} to watch it" in said
    assert "the first step is computed" in seen[0]
    assert "Under way: epoch 1 of" in seen[1]
    assert "step 1 of" in seen[1]
