"""kill -9 at ten random moments: in a step, while writing, while evaluating, while starting."""

import random
import signal
import time

import pytest

from masu.training.recipe import TrainSettings
from tests.runs import Run, assert_alike, assert_consistent

KILLS = 10


@pytest.mark.parametrize(
    ("optimizer", "average", "workers"), [("adamw", None, 0), ("sgd", 0.0, 2)], ids=["adamw", "sgd-workers"]
)
def test_ten_kills_change_no_bit(coins, tmp_path, figures, optimizer, average, workers):
    settings = TrainSettings(
        epochs=20, image_size=64, batch_size=1, learning_rate=1e-3, optimizer=optimizer, average=average
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run = Run(coins, whole, settings, checkpoint_seconds=1000)
    assert run.end()[0] == 0

    draw = random.Random()
    places = []
    for number in range(KILLS):
        run = Run(coins, killed, settings, resume=number > 0, workers=workers)
        run.until_written()
        if draw.random() < 0.8:  # else: while it starts
            run.until("step")
        time.sleep(draw.uniform(0, 1.5))
        assert run.kill() == -signal.SIGKILL, "the run ended before its kill"
        state = assert_consistent(killed)
        places.append((state.epoch, state.step))
    assert places == sorted(places), "a kill threw the run back"
    run = Run(coins, killed, settings, resume=True, checkpoint_seconds=1000)
    assert run.end()[0] == 0
    assert_alike(whole, killed)
    figures(
        kills_survived=KILLS,
        different_places=len(set(places)),
        bits_that_differ=0,
    )


def test_sigterm_ten_times(coins, tmp_path, figures):
    settings = TrainSettings(epochs=10, image_size=64, batch_size=1, learning_rate=1e-3)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert Run(coins, whole, settings, checkpoint_seconds=1000).end()[0] == 0
    for number in range(10):
        run = Run(coins, stopped, settings, resume=number > 0, checkpoint_seconds=1000)
        run.until("step", random.randint(1, 3))
        assert run.kill(signal.SIGTERM) == 130
        assert_consistent(stopped)
    assert Run(coins, stopped, settings, resume=True, checkpoint_seconds=1000).end()[0] == 0
    assert_alike(whole, stopped)
    figures(stops_survived=10, bits_that_differ=0)


def test_a_second_run_is_refused_while_the_first_lives(coins, tmp_path, figures):
    settings = TrainSettings(epochs=50, image_size=64, batch_size=1, learning_rate=1e-3)
    first = Run(coins, tmp_path / "run", settings)
    first.until("step")
    code, said = Run(coins, tmp_path / "run", settings, resume=True).end()
    assert (code, said) == (
        1,
        f"error: {tmp_path}/run: found a training that is running there (process {first.process.pid}), wanted a "
        "folder of its own; wait for its end, stop it or choose another folder (--out)\n",
    )
    assert first.process.poll() is None
    first.kill()
    second = Run(coins, tmp_path / "run", settings, resume=True)
    second.until("step")
    second.kill()
    assert_consistent(tmp_path / "run")
    figures(second_runs_refused=1)
