"""Every option of every verb: strange numbers, options that would do nothing, refusals before the work."""

import re

import click
import pytest

import masu
from masu import ranges, runtime
from masu.cli import cli
from masu.cli.values import Number
from masu.training.recipe import TrainSettings
from masu.training.train import train

STRANGE = [
    *(
        "0",
        "-1",
        "1e309",
        "-1e309",
        "nan",
        "inf",
        "",
        " ",
        "٣",
        str(10**30),
        str(2**31),
        str(2**63),
        "9" * 5000,
    ),
    *(
        "1_000",
        " 5 ",
        "5.0",
        "0x10",
        "%",
        "5%%",
        "h",
        "--json",
        "\x00",
        "😀",
        "1/1",
        "nan/1",
        "1e309/1",
        "٣/1",
    ),
]
NUMBERS = [
    (verb, option)
    for verb, command in cli.commands.items()
    for option in command.params
    if isinstance(option.type, Number) or "--split-by" in option.opts
]
IDS = [f"{verb} {option.opts[0]}" for verb, option in NUMBERS]


def test_every_number_has_a_range():
    """A bare type of click takes infinities, NaN, Unicode digits and numbers that PyTorch cannot hold."""
    bare = click.types.IntParamType | click.types.FloatParamType
    options = [(verb, one) for verb, command in cli.commands.items() for one in command.params]
    assert [f"{verb} {one.opts[0]}" for verb, one in options if isinstance(one.type, bare)] == []
    assert {option.opts[0] for _, option in NUMBERS} == {
        *(
            "--accumulate",
            "--batch-size",
            "--channels",
            "--epochs",
            "--eval-every",
            "--every",
            "--frozen-stride",
        ),
        *("--iou", "--max-detections", "--average", "--clip-norm", "--grow-from", "--warmup-steps"),
        *("--horizontal-flip", "--photometric", "--vertical-flip", "--weight-decay"),
        *(
            "--image-size",
            "--overlap",
            "--tiles",
            "--worst",
            "--lr",
            "--max-ap-loss",
            "--max-bad",
            "--patience",
            "--precision",
            "--recall",
            "--seed",
            "--store-margins",
        ),
        *("--port", "--split-by", "--threshold", "--time-budget", "--workers"),
        *("--at-once", "--lull", "--max-waiting", "--request-time"),
        *("--overlap", "--tiles"),
    }


@pytest.mark.parametrize("text", STRANGE, ids=lambda text: repr(text[:9]))
def test_a_strange_number_is_taken_or_refused_in_one_line(run, tmp_path, text, monkeypatch):
    """For every option of every verb; what is taken meets data or a model that is not there."""
    monkeypatch.chdir(tmp_path)
    arguments = {
        "detect": ["m", "a.jpg"],
        "draft": ["m", "a.jpg", "--to", "labelme"],
        "backend": ["m"],
        "serve": ["m"],
        "evaluate": ["m", "d"],
        "compare": ["m", "m", "d"],
        "tune": ["m", "d"],
        "explain": ["m", "d"],
        "export": ["m"],
    }
    arguments |= {"convert": ["d", "out", "--to", "coco"]}
    for verb, option in NUMBERS:
        beside = {"--max-ap-loss": ["--data", "d"], "--seed": ["--split-by", "1/1"] * (verb == "convert")}
        name = option.opts[0]
        code, out, error = run(verb, *arguments.get(verb, ["d"]), *beside.get(name, []), f"{name}={text}")
        assert (code, out, error.count("\n")) == (2, "", 1), (verb, name)
        assert len(error) < 500, (verb, name)
        if name not in error:
            assert re.match(r"masu: error: (m|d): found no such file", error), error
            good = text.strip().isascii() and not set(text) & set("_x%h😀\x00") and "nan" not in text
            assert good, f"{verb} {name} takes {text!r}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("verb", "option"), NUMBERS, ids=IDS)
def test_help_shows_the_range(verb, option):
    context = click.Context(cli.commands[verb], info_name=verb)
    shown = option.get_help_record(context)[0]
    if isinstance(option.type, Number):
        assert re.search(r" (>?-?\d+\.\.\d+(\.\d+|\|none|\|auto|\|MIN\.\.MAX)?|0%\.\.100%|TIME)$", shown)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("2M", 120), ("0.5", 0.5)]
)
def test_times(text, seconds):
    (option,) = (one for one in cli.commands["train"].params if one.name == "time_budget")
    assert option.type.convert(text, option, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "10 minutes", "1d", "ten", "9000h", "0s", "-1h", "nanh", "1e309s"])
def test_what_is_no_time(text):
    (option,) = (one for one in cli.commands["train"].params if one.name == "time_budget")
    with pytest.raises(
        masu.InputError, match=r"--time-budget: found .*, wanted a time such as 90s, 10m or 1h"
    ):
        option.type.convert(text, option, None)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1), ("0", 0), ("0%", 0)])
def test_shares(text, share):
    (option,) = (one for one in cli.commands["train"].params if one.name == "max_bad")
    assert option.type.convert(text, option, None) == share


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["convert", "d", "o", "--to", "coco", "--seed", 0], "--seed: found without --split-by, to which it"),
        (["train", "d", "--strict", "--max-bad", "5%"], "--max-bad: found together with --strict, which"),
        (
            ["train", "d", "--accumulate", 3],
            "--accumulate: found 3 parts of a batch of 2 images, wanted at most 2",
        ),
        (
            ["train", "d", "--log-to", "paper"],
            "--log-to: found 'paper', wanted one of tensorboard, wandb, mlflow",
        ),
        (["train", "d", "--weights", "w.safetensors"], "--weights: found no file w.safetensors, wanted a"),
        (
            ["train", "d", "--architecture", "fcos_lite0_fpn", "--anchors", "auto"],
            "fcos_lite0_fpn: found points,",
        ),
        (
            ["train", "d", "--architecture", "fcos_lite0_fpn", "--box-loss", "l2"],
            "box_loss: found 'l2', wanted",
        ),
        (["train", "d", "--resume", "--out", "new"], "new: found no training to resume, wanted the --out"),
        (["train", "d", "--out", "run"], "run: found a training that is already there, wanted an empty"),
        (
            ["export", "m", "--split", "val"],
            "--split: found without --data, to which it belongs, wanted both or",
        ),
        (
            ["export", "m", "--format", "voc"],
            "--format: found without --data, to which it belongs, wanted both",
        ),
        (["export", "m", "--max-ap-loss", 0.01], "--max-ap-loss: found without --data, to which it belongs"),
        (["export", "m", "--int8"], "--int8: found no --data, wanted --to onnx and --data to measure"),
        (
            ["export", "m", "--int8", "--data", "d", "--to", "torch"],
            "--int8: found --to torch, wanted --to onnx",
        ),
        (
            ["export", "m", "--to", "coreml"],
            "--to: found 'coreml', wanted one of onnx, openvino, torch, tflite, ncnn",
        ),
        (
            ["evaluate", "m", "d", "--funnel", "--batch-size", 1],
            "--batch-size: found with --funnel, which looks",
        ),
        (
            ["evaluate", "m", "d", "--report", "."],
            "--report: found the folder ., wanted a file; write report.html",
        ),
        (
            ["explain", "m", "a.jpg", "--split", "val"],
            "--split: found with a single image, wanted labelled data",
        ),
        (
            ["explain", "m", "a.jpg", "--worst", 4],
            "--worst: found with a single image, wanted labelled data",
        ),
        (
            ["explain", "m", "a.jpg", "--format", "voc"],
            "--format: found with a single image, wanted labelled",
        ),
        (
            ["detect", "m", "a.jpg", "--to", "xml"],
            "--to: found 'xml', wanted one of json, csv, coco, geojson, parquet, jsonl, mot; see",
        ),
        (
            ["detect", "m", "a.jpg", "--workers", 2],
            "--workers: found with --engine local, wanted --engine ray",
        ),
        (["draft", "m", "a.jpg", "--to", "coco"], "--out: found none with --to coco, wanted a new folder"),
        (
            ["draft", "m", "a.jpg", "--to", "labelme", "--link"],
            "--link: found without --out, wanted a folder",
        ),
        (["draft", "m", "a.jpg", "--to", "cvat", "--out", "full"], "full: found something that is already"),
        (["convert", "d", "o", "--to", "xml"], "--to: found 'xml', wanted one of voc, yolo"),
        (
            ["convert", "d", "full", "--to", "coco"],
            "full: found something that is already there, wanted a new or",
        ),
        (
            ["check", "d", "--fix", "full"],
            "full: found something that is already there, wanted a new or empty",
        ),
        (
            ["check", "d", "--model", "fcos_lite0_fpn", "--suggestions", "full"],
            "full: found something that is already there, wanted a new or empty",
        ),
        (["check", "d", "--suggestions", "new"], "--suggestions: found without --model, wanted something"),
        (["check", "d", "--to", "cvat"], "--to: found without --suggestions, wanted a folder to write"),
        (
            ["check", "d", "--report", "full"],
            "--report: found the folder full, wanted a file; write full/report.html",
        ),
        (
            ["anchors", "d", "--architecture", "yolo"],
            "--architecture: found 'yolo', wanted one of faster_rcnn_lite0_fpn, ",
        ),
        (
            ["anchors", "d", "--architecture", "fcos_lite0_fpn"],
            "fcos_lite0_fpn: found points, wanted anchors",
        ),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_options_are_looked_at_before_data_and_models(run, tmp_path, monkeypatch, arguments, said):
    """Neither m nor d is there: whoever looks at them first says so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "resume.safetensors").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").touch()
    code, out, error = run(*arguments)
    assert (code, out) == (2, "")
    assert error.startswith(f"masu: error: {said}")
    assert error.count("\n") == 1


def test_the_largest_seed_trains(coins, tmp_path):
    """A step's seed had been a product that PyTorch cannot hold, from 14 digits on: dates with seconds."""
    settings = TrainSettings(epochs=1, image_size=32, seed=2**63 - 1, weights="none")
    assert train(masu.read_dataset(coins, "train"), None, settings, tmp_path / "run").last.exists()


def test_the_ends_of_ranges_are_taken(run, coins, model, tmp_path):
    image = coins / "images" / "val" / "0.png"
    for arguments in (
        ["check", coins, "--image-size", 32],
        ["check", coins, "--image-size", 16384],
        ["anchors", coins, "--image-size", 16384],
        [
            "convert",
            coins,
            tmp_path / "new",
            "--to",
            "csv",
            "--split-by",
            "1000000000/1",
            "--seed",
            2**63 - 1,
        ],
        ["detect", model, image, "--batch-size", 65536, "--threshold", 1],
    ):
        code, _, error = run(*arguments)
        assert code in (0, 1), error


@pytest.mark.parametrize("value", [2.5, True, float("nan"), "3", 2**63])
def test_settings_in_python_have_the_same_ranges(value):
    with pytest.raises(
        masu.InputError, match=r"^--batch-size: found .*, wanted a whole number from 1 to 65536"
    ):
        TrainSettings(batch_size=value)
    with pytest.raises(
        masu.InputError, match=r"^batch_size: found .*, wanted a whole number from 1 to 65536"
    ):
        ranges.BATCH_SIZE.check("batch_size", value)


@pytest.mark.parametrize("text", [*STRANGE, "1.5"], ids=lambda text: repr(text[:9]))
def test_the_runtimes_threshold(capsys, text):
    code = runtime._main(["nowhere.onnx", "a.jpg", f"--threshold={text}"])
    out, error = capsys.readouterr()
    first = "nowhere.onnx: found no such file" if text == "0" else "--threshold: found '"
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"masu: error: {first}")


@pytest.mark.parametrize("arguments", [[], ["m"], ["m", "a.jpg", "--engine", "tvm"], ["m", "a.jpg", "--zzz"]])
def test_the_runtimes_refusals_are_one_line(capsys, arguments):
    assert runtime._main(arguments) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert error.endswith("; see 'python -m masu.runtime --help'\n")


ABSURD = [
    "",
    " ",
    ".",
    "/",
    "/dev/null",
    "no/such/place",
    "9" * 5000,
    "😀",
    "a\nb",
    "\udcff",
    "--help",
    "%s{}",
    "-",
]
EVERY = [
    (verb, one) for verb, command in cli.commands.items() for one in command.params if one.name != "help"
]
PLACES = {
    "a": "m",
    "b": "m",
    "model": "m",
    "models": "m",
    "data": "d",
    "source": "d",
    "sources": "a.jpg",
    "photographs": "a.jpg",
    "out": "o",
    "shell": "bash",
    "name": "check",
}
NEEDS = {
    **{("export", name): ["--data", "d"] for name in ("split", "form", "images", "max_ap_loss")},
    ("convert", "seed"): ["--split-by", "1/1"],
}
ALWAYS = {"convert": ["--to", "coco"], "draft": ["--to", "labelme", "--out", "o"]}


def _no_demo(out, **_):
    """Any folder is a place for a demo."""
    raise masu.InputError(f"{out}: found a test, wanted none")


@pytest.mark.parametrize(("verb", "option"), EVERY, ids=[f"{verb} {one.opts[0]}" for verb, one in EVERY])
def test_an_absurd_value_is_one_line_and_no_work(run, tmp_path, monkeypatch, verb, option):
    """Of every option and argument; where the value itself may stand, data or a model that is not there ends it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("masu.verbs.demo.demo", _no_demo)
    flag = isinstance(option, click.Option) and option.is_flag
    for text in ["1"] if flag else ABSURD:
        places = [
            text if one is option else PLACES[one.name]
            for one in cli.commands[verb].params
            if isinstance(one, click.Argument)
        ]
        said = [f"{option.opts[0]}={text}"] if isinstance(option, click.Option) else []
        beside = [*NEEDS.get((verb, option.name), []), *ALWAYS.get(verb, [])]
        if option.name in ("target", "to"):
            beside = []
        code, out, error = run(verb, *beside, *said, "--", *places)
        if isinstance(option, click.Argument) and option.name == "model" and text == "--help":
            continue
        error = error.removeprefix(
            "masu: handwritten digits on photographs; a few minutes on two processors\n"
        )
        assert (code, out, error.count("\n")) == (2, "", 1), (text[:20], out[:300], error[:300])
        assert error.startswith("masu: error: ")
        assert len(error) < 800, text[:20]
        assert list(tmp_path.iterdir()) == [], text[:20]
