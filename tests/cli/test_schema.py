"""What the verbs print as JSON is what their schemas say, and nothing else."""

import json
from pathlib import Path

import jsonschema
import pytest
import torch

import masu
from masu.cli import cli
from masu.cli.schema import SCHEMAS
from masu.verbs.demo import DemoResult
from tests.cli.conftest import NAMES
from tests.networks import tiny


def schema_of(run, name):
    code, out, error = run("schema", name)
    assert (code, error) == (0, "")
    return json.loads(out)


def strict(schema):
    """The same with no other names than those it has: programs may meet a later masu that says more."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    return inner | (
        {"additionalProperties": False}
        if "properties" in schema and "additionalProperties" not in schema
        else {}
    )


def valid(run, name, out):
    schema = strict(schema_of(run, name))
    answer = json.loads(out)
    jsonschema.validate(answer, schema, cls=jsonschema.Draft202012Validator)
    if isinstance(answer, dict) and name != "detect-coco":
        assert (answer["masu"], answer["schema"]) == (masu.__version__, f"masu.{name}/1")
        assert next(iter(answer)) == "masu"
    return answer


@pytest.fixture
def proposals(tmp_path):
    torch.manual_seed(0)
    masu.save(
        masu.build("rpn_resnet50_fpn", [NAMES[0]], image_size=64, weights="none"),
        tmp_path / "rpn.safetensors",
    )
    return tmp_path / "rpn.safetensors"


def test_every_verb_that_has_json_has_a_schema():
    with_json = {
        v for v, command in cli.commands.items() if any("--json" in one.opts for one in command.params)
    }
    assert {*SCHEMAS} == with_json | {"detect", "detect-coco", "detect-film", "evaluate-tracks"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_refuses_what_it_does_not_mean(run, name):
    schema = schema_of(run, name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"masu.{name}/{SCHEMAS[name]}"
    for wrong in ({"zzz": 1}, 3, [{"zzz": 1}]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_data(run, odd_coins, tmp_path):
    (odd_coins / "images" / "val" / "0.png").unlink()
    assert valid(run, "check", run("check", odd_coins, "--json")[1])["findings"]
    assert valid(run, "anchors", run("anchors", odd_coins, "--json")[1])
    done = valid(run, "convert", run("convert", odd_coins, tmp_path / "voc", "--to", "voc", "--json")[1])
    assert done["faults"]


def test_training(run, odd_coins, tmp_path):
    options = ["--epochs", 1, "--image-size", 64, "--out", tmp_path / "run", "--json"]
    assert valid(run, "train", run("train", odd_coins, *options)[1])["val_split"] == "val"


def test_evaluation(run, model, proposals, odd_coins, tmp_path):
    page = tmp_path / "page.html"
    for options in ([], ["--funnel"], ["--report", page]):
        assert valid(run, "evaluate", run("evaluate", model, odd_coins, "--json", *options)[1])["faults"]
    assert "ar1000" in valid(run, "evaluate", run("evaluate", proposals, odd_coins, "--json")[1])
    figures = valid(run, "evaluate", run("evaluate", proposals, odd_coins, "--json", "--funnel")[1])
    assert figures["funnel"]["objects"] == 8


def test_explanation(run, model, odd_coins, tmp_path):
    page, image = tmp_path / "page.html", odd_coins / "images" / "val" / "0.png"
    for options in ([odd_coins, "--worst", 1], [image]):
        code, out, error = run("explain", model, *options, "--out", page, "--json")
        assert code == 0, error
        assert valid(run, "explain", out)["page"] == str(page)


def test_detections(run, model, odd_coins):
    image = odd_coins / "images" / "val" / "0.png"
    assert valid(run, "detect", run("detect", model, image, "--threshold", 0)[1])[0]["detections"]
    found = valid(run, "detect-coco", run("detect", model, image, "--threshold", 0, "--to", "coco")[1])
    assert found["info"]["masu"] == masu.__version__


def test_export(run, odd_coins, tmp_path):
    torch.manual_seed(0)
    model = tmp_path / "tiny.safetensors"
    masu.save(masu.build(tiny("faster_rcnn_lite0_fpn"), [NAMES[0]], "none", image_size=64), model)
    done = run(
        "export",
        model,
        "--to",
        "torch",
        "--out",
        tmp_path / "m.pt2",
        "--data",
        odd_coins,
        "--max-ap-loss",
        1,
        "--json",
    )
    assert valid(run, "export", done[1])["bytes"] > 0, done


def test_demo(run, monkeypatch):
    result = DemoResult(0.5, 0.25, 1.0, Path("demo/index.html"), Path("demo"))
    monkeypatch.setattr("masu.verbs.demo.demo", lambda *_, **__: result)
    assert valid(run, "demo", run("demo", "--json")[1])["ap"] == 0.25
