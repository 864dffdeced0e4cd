"""Classes whose names are markup of the terminal's library are shown as they are, by every verb."""

import pytest

from tests.cli.conftest import NAMES


@pytest.mark.parametrize(
    "options", [[], ["--funnel"], ["--report", "errors.html"], ["--store-thresholds", "--split", "val"]]
)
def test_evaluate(run, model, odd_coins, options, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, error = run("evaluate", model, odd_coins, *options)
    assert code == 0, error
    assert all(name in out for name in NAMES)


def test_check(run, odd_coins):
    (odd_coins / "images" / "val" / "0.png").unlink()
    code, out, error = run("check", odd_coins)
    assert code == 1, error
    assert NAMES[1] in out


def test_train(run, odd_coins, tmp_path):
    code, out, error = run("train", odd_coins, "--epochs", 1, "--image-size", 64, "--out", tmp_path / "[red]")
    assert code == 0, error
    assert f"2 classes: {NAMES[0]}, {NAMES[1]}" in error
    assert f"{tmp_path}/[red]" in out + error


def test_anchors_and_explain(run, model, odd_coins, tmp_path):
    assert run("anchors", odd_coins)[0] == 0
    assert run("explain", model, odd_coins, "--worst", 1, "--out", tmp_path / "page.html")[0] == 0
