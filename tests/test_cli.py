"""The command line as its user meets it: exit codes, one-line errors, results on stdout."""

import json
import subprocess
import sys

import pytest

from masu.cli import cli
from tests.cli.test_schema import valid


def test_the_whole_job(run, coins, tmp_path):
    out = tmp_path / "run"
    options = ["--epochs", 1, "--image-size", 64, "--out", out]
    code, text, error = run("train", coins, *options, "--json")
    assert code == 0, error
    assert {"best", "seconds", "ap", "ap50", "epoch"} <= json.loads(text).keys()
    assert "4 training and 2 validation images, 1 class: coin" in error

    best = out / "best.safetensors"
    code, text, error = run("evaluate", best, coins, "--split", "val", "--json")
    assert code == 0, error
    figures = json.loads(text)
    assert {"ap", "ap50", "ap75", "ap_small", "ar100", "per_class"} <= figures.keys()
    assert (figures["images"], figures["objects"]) == (2, 8)
    assert run("evaluate", best, coins)[0] == 0

    found = tmp_path / "found"
    code, text, error = run("detect", best, coins / "images" / "val", "--threshold", 0, "--out", found)
    assert code == 0, error
    assert len(json.loads((found / "detections.json").read_text())) == 2
    assert len(list((found / "pictures").iterdir())) == 2

    code, text, error = run("train", coins, *options)
    assert code == 2
    assert error.splitlines()[-1].startswith(f"masu: error: {out}: found a training that is already there")
    code, text, error = run("train", coins, *options, "--resume")
    assert (code, f"{out}: this training is finished; learn on" in error) == (0, True)
    assert not list(out.glob("resume*"))
    code, text, error = run("train", coins, *options, "--resume", "--seed", 7)
    assert (code, "found a training that is finished, with seed 0 and not 7" in error) == (2, True)


def test_results_go_to_stdout_and_a_bad_image_to_stderr(run, coins, tmp_path):
    import masu

    model = tmp_path / "model.safetensors"
    masu.save(masu.build("faster_rcnn_lite0_fpn", ["coin"], image_size=64), model)
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    code, text, error = run("detect", model, coins / "images" / "val" / "0.png", bad, "--to", "csv")
    assert code == 3
    assert text.splitlines()[0] == "file,x1,y1,x2,y2,score,label,name"
    assert error == (
        f"masu: error: {bad}: found a file that is no image or of an unknown kind, wanted an image Pillow "
        "can read; convert it to PNG or JPEG\n"
    )

    shots = tmp_path / "shots"
    shots.mkdir()
    (shots / "a.png").write_bytes((coins / "images" / "val" / "0.png").read_bytes())
    (shots / "b.MOV").touch()
    (shots / "c.cr2").touch()
    code, text, error = run("detect", model, shots)
    told = (
        f"masu: 1 film not read (b.MOV): masu detect MODEL {shots}/b.MOV\n"
        "masu: 1 file not read (c.cr2): convert to JPEG or PNG\n"
    )
    assert (code, error) == (0, told)


def test_without_a_validation_split_a_fifth_is_held_back(run, coins, tmp_path):
    alone = coins / "annotations" / "instances_train.json"
    code, _, error = run("train", alone, "--epochs", 1, "--image-size", 64, "--out", tmp_path / "run")
    assert code == 0, error
    assert "no validation split, 1 of 4 images are held back for it" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'. See 'masu --help'."),
        (["schema"], "Missing argument 'VERB'. See 'masu schema --help'."),
        (["train", "x", "--zzz"], "No such option '--zzz'. See 'masu train --help'."),
        (
            ["train", "x", "--epochs", "many"],
            "--epochs: found 'many', wanted a whole number from 1 to 1000000; see 'masu train --help'",
        ),
        (
            ["train", "x", "--no-flip", "--flip-vertical"],
            "--flip-vertical: found together with --no-flip, wanted one of them",
        ),
        (
            ["train", "x", "--architecture", "rpn_resnet50_fpn"],
            "--weights: found no installed weights for resnet50, wanted a choice: --weights imagenet "
            "downloads them, --weights none starts from random ones, --weights FILE from a model",
        ),
        (
            ["train", "x", "--precision", "half"],
            "--precision: found 'half', wanted one of auto, fp32, bf16, fp16; see 'masu train --help'",
        ),
        (["train", "x", "--resume"], "--resume: found no --out, wanted the folder of the run to go on with"),
        (
            ["detect", "m", "a.jpg", "--threshold", "2"],
            "--threshold: found '2', wanted a number from 0 to 1; see 'masu detect --help'",
        ),
        (
            ["evaluate", "m", "d"],
            "m: found no such file, wanted a model file that masu wrote (RUN/best.safetensors)",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, text, error = run(*arguments)
    assert (code, text, error) == (2, "", f"masu: error: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_models_lists_every_architecture(run, monkeypatch):
    from masu.detectors.zoo import ARCHITECTURES

    code, text, _ = run("models", "--json")
    listed = valid(run, "models", text)["models"]
    rows = {row["name"]: row for row in listed}
    assert code == 0
    assert list(rows) == list(ARCHITECTURES)
    # torchvision: 41,755,286 for 91 outputs; here 10 classes fewer, and no box deltas for background
    assert rows["faster_rcnn_resnet50_fpn"]["parameters"] == 41_755_286 - 10 * 1025 * 5 - 4 * 1025
    monkeypatch.setattr("masu.verbs.models.models", lambda: listed)  # seconds of arithmetic, done above
    code, text, _ = run("models")
    assert code == 0
    assert all(name in text for name in ARCHITECTURES)


def test_help_opens_at_once():
    """Of itself and of every verb, in one process: nothing heavy is imported, which is what takes seconds."""
    code = (
        "import sys, time\nfrom masu.cli import cli\n"
        "for verb in ['', *cli.commands]:\n"
        "    cli.main([verb, '--help'] if verb else ['--help'], standalone_mode=False)\n"
        "heavy = ('torch', 'torchvision', 'numpy', 'PIL', 'rich', 'jinja2', 'masu.data', 'masu.terminal')\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
        "assert time.process_time() < 2, time.process_time()"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.count("Usage:") == 1 + len(cli.commands)
