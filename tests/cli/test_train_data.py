"""``masu train --balance`` and ``--image-size auto``: what a run's files say, and what is refused."""

import json

import numpy as np
from PIL import Image


def test_a_run_keeps_both(run, tmp_path):
    rows = ["file,x1,y1,x2,y2,class"]
    for k in range(5):
        pixels = np.random.default_rng(k).integers(0, 255, (40, 80, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
        rows.append(f"{k}.png,10,10,30,30,square")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    out = tmp_path / "run"
    options = ("--balance", "--image-size", "auto", "--epochs", 1, "--weights", "none", "--out", out)
    code, _, error = run("train", tmp_path / "boxes.csv", *options)
    assert code == 0, error
    assert "image size auto: 320 px, as the model has it" in error
    assert "balance: no class is rarer than the others" in error
    settings = json.loads((out / "settings.json").read_text())
    assert (settings["balance"], settings["image_size"]) == (True, 320)
    config = (out / "config.toml").read_text()
    assert "\nbalance = true\n" in config
    assert '\nimage-size = "auto"\n' in config


def test_another_word_for_a_size_is_refused(run):
    code, _, error = run("train", "d", "--image-size", "large")
    assert code == 2
    assert error == (
        "masu: error: --image-size: found 'large', wanted pixels, from 32 to 16384, or auto; "
        "see 'masu train --help'\n"
    )
