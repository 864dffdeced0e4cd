"""A model file that cannot be used is one line and exit code 2 from every verb, and nothing is written."""

import json

import pytest
import safetensors.torch
import torch


@pytest.fixture
def strange(model, fault):
    with safetensors.safe_open(model, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    config = json.loads(metadata["config"])
    if fault == "nan":
        tensors["predictor.scores.bias"][0] = torch.nan
    elif fault == "hub":
        config["rpn"]["backbone"] = "timm/hf-hub:timm/resnet18.a1_in1k"
    else:
        config["rpn"]["input"]["min_size"] = 0
    path = model.with_name("strange.safetensors")
    metadata["config"] = json.dumps(config)
    path.write_bytes(safetensors.torch.save(tensors, metadata))
    found = {
        "nan": "found 1 of 2 numbers of predictor.scores.bias that are not finite",
        "hub": "backbone: found 'timm/hf-hub:timm/resnet18.a1_in1k' (no plain name; hubs and folders",
        "size": "(rpn.input.min_size: found 0, wanted a whole number from 1 to 16384)",
    }
    return path, found[fault]


@pytest.mark.parametrize(
    ("verb", "fault"),
    [(verb, "nan") for verb in ("detect", "evaluate", "explain", "export", "train")]
    + [("detect", "hub"), ("evaluate", "size")],
)
def test_it_is_one_line(run, strange, odd_coins, tmp_path, monkeypatch, verb):
    file, found = strange
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    arguments = {
        "detect": [file, odd_coins / "images" / "val"],
        "evaluate": [file, odd_coins],
        "explain": [file, odd_coins / "images" / "val" / "0.png"],
        "export": [file],
        "train": [odd_coins, "--weights", file, "--epochs", 1],
    }
    code, out, error = run(verb, *arguments[verb])
    assert (code, out) == (2, "")
    assert found in error
    last = error.rstrip().splitlines()[-1]
    assert last.startswith("masu: error: ")
    assert found in last
    assert "Traceback" not in error
    assert list((tmp_path / "work").rglob("*.*")) == []
