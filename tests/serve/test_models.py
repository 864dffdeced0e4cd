"""What is served: names, versions, files that are none."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import masu
from masu.detectors.build import store_margins
from masu.errors import InputError
from masu.runtime import Model, _main
from masu.serving.models import opened
from tests.serve import graphs
from tests.serve.conftest import Finder, encoded


@pytest.fixture
def run(tiny_onnx, tmp_path):
    """A run's folder, whose model is an exported file under the name of a model."""
    folder = tmp_path / "cells"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(tiny_onnx.read_bytes())
    return folder


def test_names_of_files_and_runs(run, tiny_onnx, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = opened([str(tiny_onnx), run / "model.onnx", f"a b={tiny_onnx}"])
    assert [one.name for one in named] == ["sky", "cells", "a b"]
    versions = [one.version.split("-") for one in named]
    assert [name for name, _ in versions] == ["sky", "cells", "sky"]
    assert len({digest for _, digest in versions}) == 1
    (run / "model.onnx").rename(tmp_path / "x=y.onnx")
    (one,) = opened("x=y.onnx")
    assert one.name == "x=y"
    assert [one.name for one in opened({"a": tiny_onnx, "b": Finder()})] == ["a", "b"]


def test_thresholds_of_an_exported_file(tiny_onnx):
    (own,), (one,) = opened(tiny_onnx), opened(tiny_onnx, threshold=0.4)
    assert own.thresholds == {"sun": 0.5, "moon": 0.2}
    assert one.thresholds == {"sun": 0.4, "moon": 0.4}
    assert own.has_margins


def refused(models, **options):
    with pytest.raises(InputError) as caught:
        opened(models, **options)
    return caught.value


def test_what_cannot_be_served(tmp_path, tiny_onnx):
    assert (refused([]).thing, refused([]).found) == ("models", "none")
    assert refused([tiny_onnx, tiny_onnx]).found == "sky twice"
    assert refused(tmp_path / "m").code == "missing-file"
    assert refused(f"a={tmp_path}/m.onnx").thing == f"{tmp_path}/m.onnx"
    assert refused(f"a/b={tiny_onnx}").thing == "name of a model"
    assert refused(Finder(), threshold=2).code == "out-of-range"
    assert refused(Finder(), threshold={"cow": 0.5}).code == "unknown-name"
    torch_file = tmp_path / "m.pt2"
    torch_file.write_bytes(b"x")
    assert "--trust-code" in refused(torch_file).fix


def test_margins_enlarge_boxes_where_a_model_has_them(served, tiny_onnx):
    _, ask = served(str(tiny_onnx))
    plain, wide = (
        ask(f"/predict?threshold=0&margins={margins}", encoded(), "image/png").json["images"][0]["detections"]
        for margins in ("false", "true")
    )
    assert plain[0]["box"] == [0.1, 0.2, 10.3, 8.7]
    grown = 0.25 * (10.2 * 8.5) ** 0.5
    assert wide[0]["box"] == pytest.approx([0, 0, 10.3 + grown, 8.7 + grown], abs=1e-4)
    assert wide[1]["box"] == plain[1]["box"]


def test_every_picture_is_looked_at_twice(served, tiny_onnx, small):
    picture = np.full((30, 40, 3), 90, np.uint8)
    _, ask = served({"sky": str(tiny_onnx), "cats": small}, tta=True)
    for name, network in (("sky", Model(tiny_onnx).with_tta()), ("cats", masu.with_tta(small))):
        answer = ask(f"/predict?threshold=0&model={name}", encoded(40, 30), "image/png").json
        found = answer["images"][0]["detections"]
        (wanted,) = network.predict([picture], 0)
        assert len(found) == len(wanted.names) > 0
        assert np.allclose([one["box"] for one in found], wanted.boxes, atol=1e-4)
        assert np.allclose([one["score"] for one in found], wanted.scores, atol=1e-6)
    found = ask("/predict?threshold=0&model=sky", encoded(40, 30), "image/png").json["images"][0]
    # one look has this box with 90/255, the other one has it mirrored at 29.7: neither has a partner
    assert {(*one["box"], round(one["score"], 6)) for one in found["detections"] if one["box"][3] == 8.7} == {
        (0.1, 0.2, 10.3, 8.7, 0.176471),
        (29.7, 0.2, 39.9, 8.7, 0.176471),
    }


def test_margins_of_one_look_are_refused_with_two(served, tiny_onnx, small):
    _, ask = served(str(tiny_onnx), tta=True)
    assert ask("/models").json["models"][0]["margins"] is False
    answer = ask("/predict?margins=true", encoded(), "image/png")
    assert answer.status == 400
    assert answer.message == (
        "margins: found margins that were measured without --tta, wanted a server that looks so; leave margins out"
    )
    _, ask = served(small, tta=True)
    assert ask("/predict?margins=true", encoded(), "image/png").message.startswith(
        "margins: found none in the model"
    )
    with pytest.raises(TypeError, match="with_tta: found a value of type Finder"):
        opened(Finder(), tta=True)


def test_thresholds_and_margins_of_two_looks_are_for_two_looks(tmp_path, capsys):
    """In the server and in the runtime's own command: used as they were measured, refused or told otherwise."""
    file = graphs.write(tmp_path / "sky.onnx", measured={"image_size": 32, "looks": 2})
    encoded_file = tmp_path / "a.png"
    encoded_file.write_bytes(encoded())
    (once,), (twice,) = opened(str(file)), opened(str(file), tta=True)
    assert (once.otherwise, once.has_margins) == ("with --tta", False)
    assert (twice.otherwise, twice.has_margins) == ("", True)
    picture = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(
        InputError, match="margins: found measured with --tta, wanted the same way of looking"
    ):
        Model(file).predict([picture], margins=True)
    words = [str(file), str(encoded_file), "--threshold", "0"]
    assert _main(words) == 0
    captured = capsys.readouterr()
    assert (len(json.loads(captured.out)["detections"]), captured.err) == (3, "")
    assert _main([*words[:2]]) == 0
    assert capsys.readouterr().err == "masu: the file's thresholds were measured with --tta\n"
    assert _main([*words, "--margins"]) == 2
    assert capsys.readouterr().err == (
        "masu: error: --margins: found margins that were measured with --tta, wanted a model that looks so; or "
        "leave --margins out\n"
    )
    assert _main([*words, "--margins", "--tta"]) == 0
    captured = capsys.readouterr()
    (wanted,) = Model(file).with_tta().predict([encoded_file], 0, margins=True)
    assert len(json.loads(captured.out)["detections"]) == len(wanted)
    assert captured.err == ""


def test_every_picture_is_seen_at_that_size(served, small):
    picture = np.full((30, 40, 3), 90, np.uint8)
    for tta, looking in ((False, lambda one: one), (True, masu.with_tta)):
        _, ask = served({"cats": small}, image_size=96, tta=tta)
        found = ask("/predict?threshold=0", encoded(40, 30), "image/png").json["images"][0]["detections"]
        (wanted,) = looking(masu.with_image_size(small, 96)).predict([picture], 0)
        assert len(found) == len(wanted) > 0
        assert np.allclose([one["box"] for one in found], wanted.boxes, atol=1e-4)
        assert np.allclose([one["score"] for one in found], wanted.scores, atol=1e-6)
    (own,) = small.predict([picture], 0)
    assert [one["score"] for one in found] != own.scores.tolist()


def test_a_size_is_refused_where_it_cannot_be(tiny_onnx, onnx_file, small):
    assert refused(tiny_onnx, image_size=31).code == "out-of-range"
    for file, own in ((tiny_onnx, 32), (onnx_file, small.input.min_size)):
        (one,) = opened(file, image_size=own)
        assert one.otherwise == ""
        error = refused({"a": small, "b": file}, image_size=96)
        assert (error.thing, error.found, error.wanted, error.fix) == (
            "--image-size",
            f"96 for an exported file, whose graph brings images to {own} pixels",
            f"{own}, or a model of masu (.safetensors)",
            "export the model at that size: masu export MODEL --image-size 96",
        )
    with pytest.raises(TypeError, match="with_image_size: found a value of type Finder"):
        opened(Finder(), image_size=96)


def test_thresholds_and_margins_of_another_size_are_told_or_refused(served, small, tmp_path):
    file = tmp_path / "cats.safetensors"
    masu.save(small, file)
    store_margins(file, {"cat": 0.25})
    own = small.input.min_size
    (same,), (one,) = opened(file), opened(file, image_size=96)
    assert (same.otherwise, same.has_margins) == ("", True)
    assert (one.otherwise, one.has_margins) == (f"with --image-size {own}", False)
    (both,) = opened(masu.with_tta(masu.load(file)), image_size=96)
    assert both.otherwise == f"with --image-size {own} and without --tta"
    _, ask = served(str(file), image_size=96)
    assert ask("/predict?margins=true", encoded(), "image/png").message.startswith(
        f"margins: found margins that were measured with --image-size {own}"
    )


def test_without_torch(tiny_onnx):
    """Exported files are served; a model of masu and drawn pictures are refused in one line."""
    code = f"""
import asyncio, io, json, sys
for name in ("torch", "torchvision", "timm", "safetensors", "scipy", "msgspec", "yaml", "jinja2", "hotcoco"):
    sys.modules[name] = None
import masu
from PIL import Image
app = masu.serve({str(tiny_onnx)!r}, hosts=None)
file = io.BytesIO()
Image.new("RGB", (30, 30), "white").save(file, "PNG")

def asked(query):
    sent = []
    async def receive():
        return {{"type": "http.request", "body": file.getvalue(), "more_body": False}}
    async def send(message):
        sent.append(message)
    scope = {{"type": "http", "method": "POST", "path": "/predict", "query_string": query, "http_version": "1.1",
        "headers": [(b"content-type", b"image/png")]}}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])

status, said = asked(b"")
print(status, [one["name"] for one in said["images"][0]["detections"]])
status, said = asked(b"drawn=true")
print(status, said["error"]["code"])
try:
    masu.serve("m.safetensors")
except masu.InputError as error:
    print(error.wanted)
"""
    source = str(Path(masu.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={"PYTHONPATH": source}
    )
    assert ran.stdout.splitlines() == [
        "200 ['sun', 'moon']",
        "501 NOT_HERE",
        "an exported file (.onnx, .xml)",
    ], ran.stderr
