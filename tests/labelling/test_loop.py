"""The arithmetic of the study of whole sittings."""

import json

import numpy as np
import pytest

from studies.loop import difference, of_sitting, report, table, with_chance


def sitting(drawn, deleted, order="random", seed=0):
    edits = {"accepted": 10 - drawn, "moved": 0, "relabelled": 0, "deleted": deleted, "drawn": drawn}
    rounds = [{"edits": edits, "boxes": 10, "ap50_test": ap50} for ap50 in (0.1, 0.6, 0.7, 0.8)]
    return {"set": "cells", "seed": seed, "order": order, "steps": 400, "first": 20, "rounds": rounds}


def test_a_sitting_in_figures():
    said = of_sitting(sitting(drawn=2, deleted=1))
    assert (said["boxes"], said["drawn"], said["deleted"], said["accepted"]) == (60, 28, 4, 32)
    assert said["edits"] == 32
    assert said["fewer"] == pytest.approx(1 - 32 / 60)
    assert said["fewer_with_drafts"] == pytest.approx(1 - 12 / 40)
    assert said["minutes_by_hand"] == pytest.approx(60 * 7 / 60)
    assert said["minutes"] == pytest.approx((28 * 7 + 4 * 2.9 + 32 * 1.4) / 60)
    assert said["ap50"] == pytest.approx(0.7)  # the first model is the same in both orders


def test_a_difference_with_the_interval_of_student():
    apart = difference([0.0, 0.0, 0.0], [1.0, 2.0, 3.0])
    assert apart["mean"] == 2
    assert apart["high"] - 2 == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert apart["low"] - 2 == pytest.approx(-4.303 / 3**0.5, abs=1e-3)


def test_what_is_held_back_is_drawn_at_random_and_the_rest_keeps_its_order():
    order = list(range(100, 140))
    chosen = with_chance(order, range(20, 40), np.random.default_rng(1))
    assert len(chosen) == len(set(chosen)) == 20
    held = [chosen[place] for place in (0, 5, 10, 15)]
    others = [at for at in chosen if at not in held]
    assert others == [at for at in order if at not in held][:16]
    assert chosen != with_chance(order, range(20, 40), np.random.default_rng(2))


def test_sittings_of_both_orders_are_compared_by_seed(tmp_path):
    for seed in (0, 1):
        for order, drawn in (("random", 4), ("choice", 2)):
            said = sitting(drawn + seed, 0, order, seed)
            (tmp_path / f"cells-{seed}-{order}.json").write_text(json.dumps(said))
    (tmp_path / "first-cells-0.json").write_text("{}")
    said = report(tmp_path)
    apart = said["sets"]["cells"]["choice - random"]
    assert apart["seeds"] == 2
    assert apart["fewer"]["mean"] == pytest.approx(8 / 60)
    assert "| cells | 2 | +13.3 (+13.3 … +13.3) |" in table(said)


def test_sittings_of_different_trainings_have_no_mean(tmp_path):
    for seed, steps in enumerate((200, 400)):
        said = sitting(2, 1, "random", seed) | {"steps": steps}
        (tmp_path / f"cells-{seed}-random.json").write_text(json.dumps(said))
    with pytest.raises(SystemExit, match="sittings of 200 and 400 steps, wanted"):
        report(tmp_path)
    (tmp_path / "cells-0-random.json").unlink()
    assert report(tmp_path)["steps"] == 400


def test_sittings_of_one_order_alone_are_summed_up(tmp_path):
    for seed in (0, 1):
        (tmp_path / f"cells-{seed}-random.json").write_text(json.dumps(sitting(2, 1, "random", seed)))
    said = report(tmp_path)
    assert said["sets"]["cells"].keys() == {"random"}
    assert said["sets"]["cells"]["random"]["seeds"] == 2
    assert "| cells, random | 2 | 60 | 28 | 0 | 0 | 4 | 32 | 47% |" in table(said)
