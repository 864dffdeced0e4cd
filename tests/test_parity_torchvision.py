"""masu's Faster R-CNN equals the installed torchvision's: proposals, detections, losses, gradients.

In double precision, where the order of a sum does not decide which of two near-equal scores comes first, so
that rows can be compared one by one. ``docs/parity.md`` also has single precision at full size.
"""

import pytest
import torch
import torchvision
from torch.testing import assert_close

from benchmarks.torchvision_oracle import (
    compare,
    compare_answers,
    compare_detections,
    compare_training,
    fast_paths,
    freeze_norms,
    photographs,
    reference,
    targets,
    twin,
)
from masu import InputError, build, from_torchvision, ops
from masu.ops import conv3x3, matching
from masu.records import Target

FEW = {"rpn_post_nms_top_n_test": 150, "box_batch_size_per_image": 64}
"""Of the box head, whose first layer alone would take seconds in double precision."""

SIZES = {
    "fasterrcnn_resnet50_fpn": {"min_size": 96, "max_size": 200, **FEW},
    "fasterrcnn_resnet50_fpn_v2": {"min_size": 96, "max_size": 200, **FEW, "rpn_post_nms_top_n_test": 100},
    "fasterrcnn_mobilenet_v3_large_fpn": {"min_size": 192, "max_size": 320, **FEW},
    "fasterrcnn_mobilenet_v3_large_320_fpn": {"min_size": 192, "max_size": 320, **FEW},
}
"""Sizes at which double precision takes seconds; ``make parity`` runs the full ones."""


ONE_STAGE = {
    "retinanet_resnet50_fpn": {"min_size": 96, "max_size": 200},
    "retinanet_resnet50_fpn_v2": {"min_size": 96, "max_size": 200},
    "fcos_resnet50_fpn": {"min_size": 96, "max_size": 200},
}


@pytest.fixture(scope="module", params=ONE_STAGE)
def one_stage(request):
    name = request.param
    model = reference(name, frozen="v2" not in name, **ONE_STAGE[name]).double()
    return model, from_torchvision(model).double()


@pytest.mark.parametrize("chosen", [[3], [0, 2]])
def test_one_stage_detections(one_stage, chosen):
    found = compare_detections(*one_stage, [photographs()[i].double() for i in chosen])
    assert found.rows >= 50 * len(chosen)
    assert found.same_labels
    assert found.pixels < 1e-3
    assert found.score < 1e-4


@pytest.mark.parametrize("empty", [(), (1,), (0, 1)])
def test_one_stage_losses_and_gradients(one_stage, empty):
    images = [image.double() for image in photographs()[:2]]
    labelled = targets(images)
    for i in empty:
        labelled[i] = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    for net in one_stage:
        net.zero_grad()
    losses, gradients = compare_training(*one_stage, images, labelled)
    for net in one_stage:
        net.eval()
    assert max(losses.values()) < 1e-5
    assert gradients < 1e-4


def test_a_one_stage_state_dict_gives_the_same_detector(one_stage):
    model, detector = one_stage
    from_dict = from_torchvision(model.float().state_dict())
    assert from_dict.names == detector.names == tuple(f"class {i}" for i in range(7))
    for (name, a), b in zip(from_dict.state_dict().items(), detector.state_dict().values(), strict=True):
        assert torch.equal(a, b.float()), name
    model.double()


@pytest.fixture(scope="module", params=SIZES)
def pair(request):
    name = request.param
    model = reference(name, frozen="v2" not in name, **SIZES[name]).double()
    return model, from_torchvision(model).double()


@pytest.mark.parametrize("chosen", [[3], [0, 2]])
def test_proposals_and_detections(pair, chosen):
    images = [photographs()[i].double() for i in chosen]
    proposals, detections = compare_answers(*pair, images)
    assert proposals.rows >= 100 * len(images)
    assert proposals.pixels < 1e-3
    assert detections.rows >= 50 * len(images)
    assert detections.same_labels
    assert detections.pixels < 1e-3
    assert detections.score < 1e-4


def test_the_small_default_is_torchvisions_around_the_same_pyramid():
    torch.manual_seed(0)
    detector = build("faster_rcnn_lite0_fpn", [f"thing {i}" for i in range(4)], "imagenet")
    with torch.no_grad():  # spread, as after training
        detector.rpn.head.objectness.weight.mul_(20)
        detector.rpn.head.deltas.weight.mul_(5)
        detector.predictor.scores.weight.mul_(5)
        detector.predictor.deltas.weight.mul_(5)
    detector = detector.double().eval()
    detector.config = detector.config.with_setting(
        "detections", "vote_sigma", 0.0
    )  # torchvision's do not vote
    images = [image.double() for image in photographs()[1:3]]
    with torch.no_grad():
        theirs = twin(detector)(images)
        found = detector.detections(detector(images))  # padded to the larger image, as torchvision's
    for ours, wanted in zip(found, theirs, strict=True):
        assert len(ours) >= 50
        assert torch.equal(ours.labels, wanted["labels"] - 1)
        assert_close(ours.boxes, wanted["boxes"].float(), rtol=0, atol=1e-3)
        assert_close(ours.scores, wanted["scores"].float(), rtol=0, atol=1e-5)


def test_losses_and_gradients(pair):
    images = [image.double() for image in photographs()[:2]]
    losses, gradients = compare_training(*pair, images, targets(images))
    pair[0].eval()
    pair[1].eval()
    assert max(losses.values()) < 1e-5
    assert gradients < 1e-4


def test_an_image_without_objects_trains_alike():
    # Frozen, since before trained normalisation some shifts have a gradient of 0, of which rounding is all.
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    model = reference(name, frozen=True, **SIZES[name]).double()
    images = [image.double() for image in photographs()[:2]]
    labelled = [targets(images)[0], Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))]
    losses, gradients = compare_training(model, from_torchvision(model).double(), images, labelled)
    assert max(losses.values()) < 1e-5
    assert gradients < 1e-4


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("part", "what"), [(0, "boxes"), (1, "scores")])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_answers_that_are_no_numbers_are_not_equal(side, part, what, value):
    images = [[(torch.ones(3, 4), torch.ones(3), torch.ones(3)) for _ in range(2)] for _ in range(2)]
    assert compare(images).pixels == 0
    images[1][side][part][1] = value
    with pytest.raises(FloatingPointError, match=f"^{what}: found [14] values of (3|12) that are no finite"):
        compare(images)


@pytest.mark.parametrize(
    ("side", "said"),
    [(0, "^torchvision's gradient of rpn.head.bbox_pred"), (1, "^gradient of rpn.head.bbox_pred")],
)
def test_a_gradient_that_is_no_number_is_not_equal(side, said):
    sizes = {"min_size": 64, "max_size": 96}
    model = reference("fasterrcnn_mobilenet_v3_large_320_fpn", frozen=True, **sizes)
    detector = from_torchvision(model)
    weight = (model.rpn.head.bbox_pred.weight, detector.rpn.head.deltas.weight)[side]
    weight.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([0]), torch.nan))
    with pytest.raises(FloatingPointError, match=said):
        compare_training(model, detector, photographs()[:1], targets(photographs()[:1]))


@pytest.mark.parametrize(
    ("side", "said"),
    [(0, "^torchvision's loss loss_rpn_box_reg: found 1"), (1, "^loss proposal_boxes: found 1")],
)
def test_a_loss_that_is_no_number_is_not_equal(side, said):
    sizes = {"min_size": 64, "max_size": 96}
    model = reference("fasterrcnn_mobilenet_v3_large_320_fpn", frozen=True, **sizes)
    detector = from_torchvision(model)
    layer = (model.rpn.head.bbox_pred, detector.rpn.head.deltas)[side]
    torch.nn.init.constant_(layer.bias, torch.nan)
    with pytest.raises(FloatingPointError, match=said):
        compare_training(model, detector, photographs()[:1], targets(photographs()[:1]))


def test_fast_paths_are_counted_where_they_run():
    wide, weight = torch.rand(1, 128, 30, 30), torch.rand(128, 128, 3, 3)
    corners = torch.rand(40_000, 2) * 1e5
    boxes = torch.cat([corners, corners + 10], 1)
    with fast_paths() as ran:
        assert set(ran.values()) == {0}
        conv3x3.conv3x3(wide[..., :8, :8], weight)
        matching.match(boxes[:10], boxes[:3], 0.7, 0.3)
        ops.nms(boxes[:10], boxes[:10, 0], 0.5)
        assert set(ran.values()) == {0}
        conv3x3.conv3x3(wide, weight)
        matching.match(boxes, boxes[:30], 0.7, 0.3)
        ops.nms(boxes, boxes[:, 0], 0.5)
    conv3x3.conv3x3(wide, weight)
    assert ran == {"Winograd convolution": 1, "matching in blocks": 1, "compiled suppression": 1}


def test_single_precision_finds_the_same_objects():
    model = reference("fasterrcnn_mobilenet_v3_large_320_fpn")
    detector = from_torchvision(model)
    image = photographs()[3]
    with torch.inference_mode():
        theirs = model([image])[0]
    ours = detector.predict([image])[0]
    assert len(ours) == len(theirs["boxes"])
    distance = (ours.boxes[:, None] - theirs["boxes"]).abs().amax(dim=-1)
    distance[ours.labels[:, None] + 1 != theirs["labels"]] = torch.inf
    distance[(ours.scores[:, None] - theirs["scores"]).abs() > 1e-4] = torch.inf
    assert distance.amin(dim=0).max() < 1e-2
    assert distance.amin(dim=1).max() < 1e-2


def test_a_state_dict_gives_the_same_detector():
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=7
    )
    freeze_norms(model.backbone.body)
    from_dict = from_torchvision(model.state_dict(), names=[f"thing {i}" for i in range(6)])
    from_model = from_torchvision(model)
    for (name, a), b in zip(from_dict.state_dict().items(), from_model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert from_dict.names == tuple(f"thing {i}" for i in range(6))
    assert from_model.names == tuple(f"class {i}" for i in range(1, 7))


def test_a_mobilenet_state_dict_needs_its_architecture():
    state = reference("fasterrcnn_mobilenet_v3_large_320_fpn").state_dict()
    with pytest.raises(InputError, match="architecture: found a MobileNet state dict, wanted architecture="):
        from_torchvision(state)
    detector = from_torchvision(state, architecture="faster_rcnn_mobilenet_v3_large_320_fpn")
    assert detector.config.rpn.proposals.post_nms_top_n == 150


def test_wrong_number_of_names():
    model = reference("fasterrcnn_mobilenet_v3_large_320_fpn")
    with pytest.raises(InputError, match="names: found 2 names, wanted 6, one per class without background"):
        from_torchvision(model, names=["a", "b"])


def test_another_model_is_refused():
    with pytest.raises(
        InputError, match=r"model: found no detector of torchvision, wanted one of fasterrcnn_"
    ):
        from_torchvision({"conv.weight": torch.zeros(1)})
