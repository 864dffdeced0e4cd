from dataclasses import replace

import pytest
import safetensors.torch
import torch

from masu.data.formats import read_dataset
from masu.detectors.build import build, make
from masu.detectors.pretrained import file_of, fill_pretrained, shipped
from masu.detectors.zoo import ARCHITECTURES, SMALL
from masu.ops.geometry import iou
from masu.verbs.demo_scenes import make_scenes

NAMES = ["a", "b", "c"]


def tensors_at_start(architecture, weights):
    torch.manual_seed(0)
    return build(architecture, NAMES, weights).state_dict()


@pytest.mark.parametrize("architecture", SMALL)
def test_auto_brings_pyramid_and_heads_along(architecture):
    bare, full = tensors_at_start(architecture, "imagenet"), tensors_at_start(architecture, "auto")
    changed = {name for name in bare if not torch.equal(bare[name], full[name])}
    parts = ("rpn.fpn.", "rpn.head.", "fpn.", "head.", "box_head.", "predictor.deltas.")
    of_points = ("head.boxes.output.", "head.centreness.")  # FCOS shares the tower of boxes
    own = ("head.classes.", *(of_points if architecture.startswith("fcos") else ()))
    assert changed == {name for name in bare if name.startswith(parts) and not name.startswith(own)}


def test_half_of_the_box_head_answers_as_it_was_pretrained_and_sees_nothing_of_the_other_half():
    given = safetensors.torch.load_file(file_of(ARCHITECTURES["faster_rcnn_lite0_fpn"]()))
    detector = build("faster_rcnn_lite0_fpn", NAMES, "auto")
    pooled = torch.rand((5, 96, 7, 7), generator=torch.Generator().manual_seed(0))
    units = pooled.permute(0, 2, 3, 1).flatten(1)
    for layer in ("linears.0", "linears.1"):
        weight, bias = (given[f"box_head.{layer}.{leaf}"].float() for leaf in ("weight", "bias"))
        units = (units @ weight.T + bias).relu()
    deltas = units @ given["predictor.deltas.weight"].float().T + given["predictor.deltas.bias"].float()
    with torch.no_grad():
        found = detector.box_head(pooled)
        _, moved = detector.predictor(found)
    assert found.shape == (5, 512)
    torch.testing.assert_close(found[:, :256], units)
    assert (found[:, 256:] > 0).any()  # the other half is alive
    for k in range(len(NAMES)):
        torch.testing.assert_close(moved[:, k], deltas)


@pytest.mark.parametrize("hidden", [(128, 128), (512, 128), (512,), (512, 512, 512)])
def test_another_box_head_starts_anew_as_a_whole(hidden):
    config = ARCHITECTURES["faster_rcnn_lite0_fpn"]()
    torch.manual_seed(0)
    narrow = make(replace(config, rois=replace(config.rois, hidden=hidden)), NAMES)
    before = {name: t.clone() for name, t in narrow.state_dict().items()}
    assert fill_pretrained(narrow) > 0
    for name, tensor in narrow.state_dict().items():
        if name.startswith(("box_head.", "predictor.")):
            assert torch.equal(tensor, before[name]), name


def test_only_the_small_ones_have_such_weights():
    assert {name for name, config in ARCHITECTURES.items() if file_of(config()).exists()} == set(SMALL)


@pytest.mark.parametrize("architecture", SMALL)
def test_what_is_written_is_what_is_filled_in(architecture, tmp_path, monkeypatch):
    monkeypatch.setattr("masu.detectors.pretrained.FOLDER", tmp_path)
    config = ARCHITECTURES[architecture]()
    assert fill_pretrained(make(config, ["thing"])) == 0
    torch.manual_seed(1)
    source = make(config, ["thing"])
    shipped(source, file_of(config))
    torch.manual_seed(2)
    other = make(config, ["thing"])
    filled = fill_pretrained(other)
    same = [
        name
        for name, t in other.state_dict().items()
        if "backbone." not in name and torch.equal(t, source.state_dict()[name].half().float())
    ]
    assert filled > 0
    assert filled <= len(same)


def test_handwritten_digits_are_proposed_without_any_training(tmp_path):
    """Most digits on photographs are among the 20 best proposals, and none with ImageNet weights alone."""
    make_scenes(tmp_path / "scenes", 1, 1, 12)
    data = read_dataset(tmp_path / "scenes", "test")
    recall = {}
    for weights in ("auto", "imagenet"):
        torch.manual_seed(0)
        proposer = build("faster_rcnn_lite0_fpn", NAMES, weights, image_size=240).rpn.eval()
        found = [
            iou(sample.target.boxes, proposer.predict([sample.image])[0].boxes[:20]).amax(1) > 0.5
            for sample in data
            if len(sample.target)
        ]
        recall[weights] = torch.cat(found).float().mean().item()
    assert recall["auto"] > 0.7
    assert recall["imagenet"] < 0.1
