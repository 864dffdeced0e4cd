"""``masu train --tiles``: what the options do, and what is refused."""

import json

import numpy as np
from PIL import Image


def test_an_overlap_without_tiles_is_refused(run):
    code, _, error = run("train", "d", "--overlap", 0.2)
    assert code == 2
    assert error == (
        "masu: error: --overlap: found without --tiles, which it is about, wanted both; leave --overlap out\n"
    )


def test_a_run_knows_its_tiles(run, tmp_path):
    rows = ["file,x1,y1,x2,y2,class"]
    for k in range(5):
        pixels = np.random.default_rng(k).integers(0, 255, (50, 100, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
        rows.append(f"{k}.png,10,10,30,30,square")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    out = tmp_path / "run"
    options = ("--tiles", 64, "--overlap", 0.3, "--epochs", 1, "--weights", "none", "--out", out)
    code, _, error = run("train", tmp_path / "boxes.csv", *options)
    assert code == 0, error
    settings = json.loads((out / "settings.json").read_text())
    assert (settings["tiles"], settings["overlap"]) == (64, 0.3)
    config = (out / "config.toml").read_text()
    assert "\ntiles = 64\n" in config
    assert "\noverlap = 0.3\n" in config
