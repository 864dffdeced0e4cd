import math
from dataclasses import asdict

import pytest

from masu.data.loading.transforms import Augmentation
from masu.errors import InputError
from masu.ops.images import InputPolicy
from masu.training.recipe import TrainSettings, evaluates, learning_rate, progress, read_at, step_policy

PLAIN = TrainSettings(learning_rate=1.0, warmup_steps=4, grow_from=1.0)


def test_learning_rate_rises_then_falls_along_a_cosine():
    rates = [learning_rate(PLAIN, step, step / 104) for step in (0, 1, 3, 4, 52, 103)]
    rise = [0.25, 0.5, 1.0, 1.0, 1.0, 1.0]
    cosine = [0.5 * (1 + math.cos(math.pi * step / 104)) for step in (0, 1, 3, 4, 52, 103)]
    assert rates == pytest.approx([a * b for a, b in zip(rise, cosine, strict=True)])
    assert rates[4] == pytest.approx(0.5)


def test_warm_up_takes_a_tenth_of_a_short_training():
    short = TrainSettings(learning_rate=1.0, warmup_steps=100, schedule="constant")
    assert [learning_rate(short, step, step / 20) for step in (0, 1, 2, 19)] == [0.01, 0.5, 1.0, 1.0]


def test_one_cycle_goes_up_for_a_quarter():
    settings = TrainSettings(learning_rate=1.0, warmup_steps=0, schedule="one-cycle")
    rates = [learning_rate(settings, 5, done) for done in (0.0, 0.125, 0.25, 0.625, 1.0)]
    assert rates == pytest.approx([0.04 * 1.0, 0.52, 1.0, 0.5, 0.0])


def test_progress_is_by_steps_or_by_the_clock():
    assert progress(TrainSettings(epochs=4), 30, 10, 1e9) == 0.75
    assert progress(TrainSettings(time_budget=200.0), 10**6, 10, 50.0) == 0.25
    both = TrainSettings(epochs=4, time_budget=200.0)
    assert (progress(both, 30, 10, 50.0), progress(both, 10, 10, 100.0)) == (0.75, 0.5)


def test_images_grow_until_seven_tenths():
    settings, policy = TrainSettings(grow_from=0.5), InputPolicy(320, 640)
    sizes = [step_policy(settings, policy, done, 0.0) for done in (0.0, 0.35, 0.7, 1.0)]
    assert [(p.min_size, p.max_size) for p in sizes] == [(160, 320), (256, 512), (320, 640), (320, 640)]
    assert sizes[-1] == policy


def test_sizes_are_drawn_from_their_range():
    settings, policy = TrainSettings(grow_from=1.0, size_range=(0.5, 1.5)), InputPolicy(320, 640)
    assert [step_policy(settings, policy, 0.9, draw).min_size for draw in (0.0, 0.25, 0.999)] == [
        160,
        256,
        480,
    ]
    assert step_policy(settings, InputPolicy(16, 32), 0.0, 0.0).min_size == 32


@pytest.mark.parametrize(("epochs", "evaluated"), [(3, 3), (20, 20), (21, 20), (40, 20), (333, 20)])
def test_a_run_is_evaluated_at_most_twenty_times_and_at_its_end(epochs, evaluated):
    at = [e for e in range(epochs) if evaluates(TrainSettings(), e, e / epochs, (e + 1) / epochs)]
    assert len(at) == evaluated
    assert at[-1] == epochs - 1


def test_an_evaluation_every_so_many_epochs():
    settings = TrainSettings(evaluate_every=3)
    assert [e for e in range(8) if evaluates(settings, e, e / 8, (e + 1) / 8)] == [2, 5, 7]
    assert evaluates(TrainSettings(), 0, 0.0, 1.0)  # the only epoch, ended by the clock


def test_photographs_are_read_with_pixels_to_spare_for_the_zoom():
    policy = InputPolicy(320, 640)
    assert read_at(TrainSettings(augmentation=Augmentation(scale=(0.5, 2.0))), policy) == 960
    assert read_at(TrainSettings(augmentation=None), policy) == 480
    assert read_at(TrainSettings(augmentation=None, size_range=(0.5, 1.5)), policy) == 720
    assert read_at(TrainSettings(augmentation=lambda image, target: (image, target)), policy) is None


def test_what_the_architecture_decides():
    small, other = TrainSettings().resolved(), TrainSettings("faster_rcnn_resnet50_fpn").resolved()
    assert (small.optimizer, small.learning_rate, small.weight_decay) == ("adamw", 5e-4, 0.05)
    assert (other.optimizer, other.learning_rate, other.weight_decay) == ("sgd", 0.0025, 1e-4)
    assert (other.average, other.grow_from, other.epochs) == (0.0, 1.0, 20)
    assert TrainSettings(time_budget=60.0).resolved().epochs is None
    chosen = TrainSettings(optimizer="sgd", average=0.5, learning_rate=0.1, epochs=3, grow_from=0.7)
    assert chosen.resolved().resolved() == chosen.resolved()
    assert (chosen.resolved().average, chosen.resolved().learning_rate) == (0.5, 0.1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"architecture": "yolo"}, "--architecture: found 'yolo', wanted one of "),
        ({"epochs": 0}, "--epochs: found 0, wanted a whole number from 1 to 1000000; choose one of these"),
        ({"batch_size": -1}, "--batch-size: found -1, wanted a whole number from 1 to 65536"),
        ({"accumulate": 0}, "--accumulate: found 0, wanted a whole number from 1 to 65536"),
        ({"accumulate": 3}, "--accumulate: found 3 parts of a batch of 2 images, wanted at most 2; lower it"),
        ({"seed": -1}, "--seed: found -1, wanted a whole number from 0 to 9223372036854775807"),
        ({"patience": 0}, "--patience: found 0, wanted a whole number from 1 to 1000000"),
        ({"channels": 0}, "--channels: found 0, wanted a whole number from 1 to 1024"),
        ({"image_size": 8}, "--image-size: found 8, wanted a whole number from 32 to 16384"),
        ({"image_size": 3_000_000_000}, "--image-size: found 3000000000, wanted a whole number from 32 to"),
        ({"frozen_stride": -1}, "--frozen-stride: found -1, wanted a whole number from 0 to 1024"),
        ({"learning_rate": 0.0}, "--lr: found 0.0, wanted a number above 0"),
        ({"time_budget": math.inf}, "--time-budget: found inf, wanted a number above 0"),
        ({"weight_decay": math.nan}, "--weight-decay: found nan, wanted a number from 0 to 1000"),
        ({"clip_norm": 0}, "--clip-norm: found 0, wanted a number above 0"),
        ({"optimizer": "lion"}, "--optimizer: found 'lion', wanted sgd or adamw"),
        ({"schedule": "step"}, "--schedule: found 'step', wanted cosine or one-cycle or constant"),
        ({"precision": "tf32"}, "--precision: found 'tf32', wanted auto or fp32 or bf16 or fp16"),
        ({"anchors": "all"}, "--anchors: found 'all', wanted model or auto"),
        ({"box_loss": "iou"}, "--box-loss: found 'iou', wanted one of smooth_l1, l1, l2, giou"),
        (
            {"weights": "none", "frozen_stride": 4},
            "--frozen-stride: found with --weights none, wanted trained weights to keep; leave it out",
        ),
        ({"weights": "none", "frozen_norms": True}, "--frozen-norms: found with --weights none, wanted"),
        ({"average": 1.0}, "--average: found 1.0, wanted a number from 0 and below 1"),
        ({"grow_from": 0.0}, "--grow-from: found 0.0, wanted a number above 0 and at most 1"),
        ({"size_range": (2, 1)}, "--size-range: found (2, 1), wanted two rising numbers above 0"),
    ],
)
def test_settings_that_cannot_be(setting, message):
    with pytest.raises(InputError) as error:
        TrainSettings(**setting)
    assert str(error.value).startswith(message)


def test_settings_as_json_are_their_fields():
    settings = TrainSettings(seed=3)
    assert settings.described() == asdict(settings)
    assert settings.described()["augmentation"]["horizontal_flip"] == 0.5
    assert TrainSettings(augmentation=None).described()["augmentation"] is None


def test_an_augmentation_that_cannot_be_called_is_refused():
    with pytest.raises(
        InputError, match=r"^augmentation: found a value of type float, wanted masu\.Augmentation or a"
    ):
        TrainSettings(augmentation=0.5)
