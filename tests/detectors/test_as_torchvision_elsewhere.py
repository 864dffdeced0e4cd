"""Detectors, masu's and in torchvision's place, in what PyTorch wraps around a module."""

import copy
import json
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

import masu
from masu.detectors.build import build

KINDS = ["faster_rcnn_lite0_fpn", "retinanet_lite0_fpn", "fcos_lite0_fpn"]
IMAGES = [torch.rand((3, 96, 128), generator=torch.Generator().manual_seed(i)) for i in range(2)]
TARGETS = [
    {
        "boxes": torch.tensor([[10.0, 20.0, 70.0, 90.0]]),
        "labels": torch.tensor([2]),
        "image_id": "a",
        "more": None,
    },
    {"boxes": torch.zeros((0, 4)), "labels": torch.zeros(0, dtype=torch.int64)},
]


@pytest.fixture(scope="module", params=KINDS)
def detector(request):
    torch.manual_seed(0)
    return build(request.param, ("disc", "ring"), image_size=96).eval()


@pytest.fixture
def model(detector):
    return masu.to_torchvision(detector)


@pytest.fixture(scope="module")
def two_stages():
    torch.manual_seed(0)
    return build(KINDS[0], ("disc", "ring"), image_size=96).eval()


def losses_and_gradients(module, model=None):
    torch.manual_seed(1)
    losses = module(IMAGES, TARGETS)
    trained = [p for p in (model or module).parameters() if p.requires_grad]
    return losses, torch.autograd.grad(sum(losses.values()), trained)


def assert_same(found, wanted, tolerance=0.0):
    for a, b in zip(found, wanted, strict=True):
        assert set(a) == set(b)
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=tolerance, atol=tolerance)


def test_a_step_in_two_processes_is_the_mean_of_the_steps_of_each(tmp_path):
    """masu's detector, and in torchvision's place."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.detectors.two_processes",
            str(tmp_path / "meet"),
            KINDS[0],
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == 2
    for report in reports:
        assert report["off"] < 1e-6, report
        assert report["own"] > 1e-2, report  # alone each process would have learnt something else
        assert report["apart"] == 0, report


def test_data_parallel_without_a_gpu_is_the_module_itself(model):
    with torch.no_grad():
        assert_same(nn.DataParallel(model)(IMAGES), model(IMAGES))


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])  # noqa: S301
def test_a_copy_learns_what_the_model_learns(model, how):
    again = how(model.train())
    (wanted, first), (found, second) = losses_and_gradients(model), losses_and_gradients(again)
    assert_same([found], [wanted])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert again.to_masu().names == ("disc", "ring")


def test_training_under_autocast(model):
    model.train()
    wanted, _ = losses_and_gradients(model)
    with torch.autocast("cpu", torch.bfloat16):
        found, gradients = losses_and_gradients(model)
    assert_same([{k: v.float() for k, v in found.items()}], [wanted], 0.1)
    assert all(torch.isfinite(x).all() for x in gradients)


def test_the_backbone_compiles_as_one_graph(two_stages):
    model = masu.to_torchvision(two_stages).train()
    wanted = losses_and_gradients(model)
    model.backbone.compile(backend="eager", fullgraph=True)
    found = losses_and_gradients(model)
    assert_same([found[0]], [wanted[0]], 1e-4)
    for a, b in zip(found[1], wanted[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert model.to_masu().names == ("disc", "ring")
    torch._dynamo.reset()


def test_the_whole_model_compiles_in_parts(two_stages):
    """What follows from values, such as suppression, runs as it is; the networks are compiled."""
    model = masu.to_torchvision(two_stages)
    graphs = []

    def backend(graph, inputs):
        graphs.append(sum(node.op == "call_function" for node in graph.graph.nodes))
        return graph.forward

    compiled = torch.compile(model, backend=backend)
    with torch.no_grad():
        assert_same(compiled(IMAGES[:1]), model(IMAGES[:1]), 1e-4)
    assert max(graphs) > 50  # the backbone in one
    torch._dynamo.reset()


def test_masus_own_backbone_compiles_as_one_graph(two_stages):
    detector = copy.deepcopy(two_stages).train()
    targets = [masu.Target(target["boxes"], target["labels"] - 1) for target in TARGETS]

    def losses():
        torch.manual_seed(1)
        return detector.losses(detector(IMAGES), targets)

    wanted = losses()
    detector.pyramid.backbone.compile(backend="eager", fullgraph=True)
    assert_same([losses()], [wanted], 1e-4)
    assert len(detector.predict(IMAGES[:1])) == 1
    torch._dynamo.reset()


def test_gradients_reach_every_image(model):
    images = [image.clone().requires_grad_() for image in IMAGES]
    sum(model.train()(images, TARGETS).values()).backward()
    assert all(image.grad.abs().sum() > 0 for image in images)
    batch = torch.stack(IMAGES).requires_grad_()
    model.eval()
    model.score_thresh = 0.0
    found = model(batch)
    sum(own["scores"].sum() for own in found).backward()
    assert all(batch.grad.abs().sum(dim=(1, 2, 3)) > 0)


@pytest.mark.parametrize("detector", KINDS[1:], indirect=True)
def test_the_settings_of_one_stage_are_live(model):
    with torch.no_grad():
        model.score_thresh, model.detections_per_img = 0.0, 7
        few = model(IMAGES[:1])[0]
        assert len(few["scores"]) == 7
        model.score_thresh = least = float(few["scores"][3])
        assert model(IMAGES[:1])[0]["scores"].tolist() == few["scores"][few["scores"] > least].tolist()
        model.score_thresh, model.detections_per_img, model.nms_thresh = 0.0, 5000, 0.05
        one_by_one = len(model(IMAGES[:1])[0]["scores"])
        model.nms_thresh = 1.0
        assert len(model(IMAGES[:1])[0]["scores"]) > one_by_one
    assert (model.to_masu().config.nms_thresh, model.to_masu().config.detections_per_img) == (1.0, 5000)


def test_the_suppression_of_two_stages_is_live(two_stages):
    model = masu.to_torchvision(two_stages)
    model.roi_heads.score_thresh, model.roi_heads.detections_per_img = 0.0, 5000
    counts = []
    with torch.no_grad():
        for model.roi_heads.nms_thresh in (0.05, 1.0):
            counts.append(len(model(IMAGES[:1])[0]["scores"]))
    assert counts[0] < counts[1]
    assert model.to_masu().config.rois.nms_thresh == 1.0
