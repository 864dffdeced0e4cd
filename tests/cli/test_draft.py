"""``masu draft`` and ``masu backend`` as they are used."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

import masu
from masu.cli.exit_codes import BAD_INPUT, DONE, LEFT_OUT
from masu.data.pixels.headers import read_header
from masu.drafts.model import version_of
from tests.cli.test_schema import valid


@pytest.fixture
def photos(coins):
    return coins / "images" / "val"


def test_drafts_of_a_run_are_read_again(run, model, photos, tmp_path):
    (tmp_path / "coin-run").mkdir()
    best = model.rename(tmp_path / "coin-run" / "best.safetensors")
    out = tmp_path / "out"
    arguments = ("draft", best.parent, photos, "--to", "coco", "--out", out, "--threshold", 0, "--json")
    code, printed, error = run(*arguments)
    assert code == BAD_INPUT
    assert "photographs: found labels or drafts for all 2, wanted at least one without labels" in error
    code, printed, error = run(*arguments, "--labelled-too", "--device", "cpu")
    assert code == DONE, error
    done = valid(run, "draft", printed)
    assert (done["tool"], done["out"], done["images"], done["labelled"]) == ("coco", str(out), 2, 0)
    assert done["version"] == version_of(best)
    assert done["version"].startswith("coin-run-")
    (list_of_drafts,) = (out / "annotations").glob("*.masu-drafts")
    list_of_drafts.unlink()
    data = masu.read_dataset(out)
    assert [image.name for image, _ in data] == ["0.png", "1.png"]
    assert len(data.boxes) == done["boxes"] > 0
    assert f"{done['boxes']} boxes in 2 photographs, {done['empty']} without any; drafts in {out}" in error


def test_drafts_beside_the_photographs(run, model, photos, tmp_path):
    (tmp_path / "new").mkdir()
    photo = (photos / "0.png").rename(tmp_path / "new" / "0.png")
    (tmp_path / "new" / "broken.png").write_bytes(b"no picture")
    code, printed, error = run("draft", model, tmp_path / "new", "--to", "xanylabeling", "--threshold", 0)
    assert (code, printed) == (LEFT_OUT, ""), error
    page = json.loads(photo.with_suffix(".json").read_text("utf-8"))
    height, width, _ = read_header(photo)
    assert (page["imageHeight"], page["imageWidth"]) == (height, width)
    assert not (tmp_path / "new" / "broken.json").exists()
    assert "drafts beside the photographs\nmasu: error: " in error
    assert "broken.png: found " in error


def test_the_backend_says_where_it_is_answers_and_ends(model):
    command = [sys.executable, "-m", "masu", "backend", str(model), "--port", "0", "--device", "cpu"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}/health", timeout=30) as answer:
            assert json.load(answer)["model_version"] == version_of(model)
        server.send_signal(signal.SIGTERM)
        out, error = server.communicate(timeout=30)
    finally:
        server.kill()
        server.wait()
    assert out == ""
    assert f"serving {version_of(model)}" in error
    assert "Traceback" not in error
    assert server.returncode in (DONE, 130, -signal.SIGTERM)


def test_a_port_that_is_taken_and_an_address_of_another_computer(run, model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, out, error = run("backend", model, "--port", taken.getsockname()[1])
    assert (code, out) == (BAD_INPUT, "")
    assert "which cannot be opened (address already in use), wanted a free port of this computer" in error
    code, out, error = run("backend", model, "--host", "192.0.2.1", "--port", 0)
    assert (code, out) == (BAD_INPUT, "")
    assert "--port: found 192.0.2.1:0, which cannot be opened" in error


def test_without_the_packages_the_error_says_which(run, model, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("starlette", "uvicorn")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("masu.service.") and "hosts" not in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    code, out, error = run("backend", model)
    assert (code, out) == (BAD_INPUT, "")
    assert (
        "starlette: found no such package, wanted the package starlette; pip install 'masu[label]'" in error
    )


def test_help_opens_without_pytorch_and_starlette():
    code = (
        "import sys\nfrom masu.cli import main\nsys.argv = ['masu', 'backend', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        "    print(end.code, {'torch', 'starlette', 'uvicorn'} & {*sys.modules})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert ran.stdout.splitlines()[-1] == "0 set()"
