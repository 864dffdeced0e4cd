"""masu.to_torchvision: torchvision's contract, held by torchvision's own models as the oracle."""

import copy
import pickle
from collections import OrderedDict

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.transform import GeneralizedRCNNTransform

import masu
from masu.detectors.build import build
from masu.detectors.zoo import make
from masu.errors import InputError
from masu.exports.agreement import agreement_of
from masu.records import Detections
from tests.detectors.test_detectors import SMALL_FCOS, SMALL_RETINANET
from tests.networks import spread_points

NAMES = ("disc", "ring", "square")
LOSSES = {
    "faster_rcnn_lite0_fpn": {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"},
    "retinanet_lite0_fpn": {"classification", "bbox_regression"},
    "fcos_lite0_fpn": {"classification", "bbox_regression", "bbox_ctrness"},
}
CLASSES = {
    "faster_rcnn_lite0_fpn": torchvision.models.detection.FasterRCNN,
    "retinanet_lite0_fpn": torchvision.models.detection.RetinaNet,
    "fcos_lite0_fpn": torchvision.models.detection.FCOS,
}
IMAGES = [
    torch.nn.functional.interpolate(
        torch.rand((1, 3, 7, 9), generator=torch.Generator().manual_seed(i)), size=size, mode="bicubic"
    )[0].clamp(0, 1)
    for i, size in enumerate([(100, 140), (150, 120), (96, 96)])
]
TARGETS = [
    {
        "boxes": torch.tensor([[10.0, 20.0, 70.0, 90.0], [60.0, 5.0, 130.0, 60.0]]),
        "labels": torch.tensor([1, 3]),
        "image_id": 7,
    },
    {"boxes": torch.zeros((0, 4)), "labels": torch.zeros(0, dtype=torch.int64)},
    {"boxes": torch.tensor([[8.0, 8.0, 60.0, 80.0]]), "labels": torch.tensor([2])},
]


@pytest.fixture(scope="module", params=LOSSES)
def detector(request):
    torch.manual_seed(0)
    made = build(request.param, NAMES, image_size=128).eval()
    if request.param == "fcos_lite0_fpn":  # else its boxes are narrower than a pixel
        spread_points(made, 0.05)
    return made


@pytest.fixture
def model(detector):
    return masu.to_torchvision(detector)


@pytest.fixture(scope="module")
def two_stages():
    torch.manual_seed(0)
    return build("faster_rcnn_lite0_fpn", NAMES, image_size=128).eval()


def of_kind(detector):
    return {
        "FasterRCNN": "faster_rcnn_lite0_fpn",
        "RetinaNet": "retinanet_lite0_fpn",
        "FCOS": "fcos_lite0_fpn",
    }[type(detector).__name__]


def as_masu(found, names=NAMES):
    labels = found["labels"] - 1
    return Detections(found["boxes"], found["scores"], labels, tuple(names[i] for i in labels.tolist()))


def test_it_finds_what_predict_finds(detector, model):
    found = 0
    for image in IMAGES:
        with torch.no_grad():
            theirs = model([image])
        ours = detector.predict([image])
        agreed = agreement_of(detector, ours, [as_masu(theirs[0])])
        assert agreed.equal, agreed
        found += agreed.detections
        assert theirs[0]["labels"].dtype == torch.int64
        assert set(theirs[0]) == {"boxes", "labels", "scores"}
        assert (theirs[0]["scores"].diff() <= 0).all()
    assert found


def test_it_is_an_instance_of_torchvisions_class(detector, model):
    assert isinstance(model, CLASSES[of_kind(detector)])
    assert not model.training
    assert masu.to_torchvision(copy.deepcopy(detector).train()).training


def test_training_gives_torchvisions_terms(detector, model):
    model.train()
    losses = model(IMAGES, TARGETS)
    assert set(losses) == LOSSES[of_kind(detector)]
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_images_without_objects_alone(model):
    model.train()
    losses = model(IMAGES[1:2], TARGETS[1:2])
    assert all(torch.isfinite(loss) for loss in losses.values())


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (None, "targets should not be none"),
        ([{"boxes": torch.zeros(4), "labels": torch.tensor([1])}], r"shape \[N, 4\]"),
        ([{"boxes": [[0, 0, 9, 9]], "labels": torch.tensor([1])}], "of type Tensor"),
        ([{"boxes": torch.tensor([[9.0, 9.0, 9.0, 20.0]]), "labels": torch.tensor([1])}], "positive height"),
    ],
)
def test_wrong_targets_are_torchvisions_assertions(model, targets, words):
    model.train()
    with pytest.raises(AssertionError, match=words):
        model(IMAGES[:1], targets)


def test_a_batch_as_one_tensor(model):
    batch = torch.stack([IMAGES[0], IMAGES[0].flip(2)])
    with torch.no_grad():
        as_list, as_tensor = model(list(batch)), model(batch)
    for a, b in zip(as_list, as_tensor, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_gradients_reach_the_image_from_scores_and_from_losses(two_stages):
    model = masu.to_torchvision(two_stages)
    image = IMAGES[0].clone().requires_grad_()
    model([image])[0]["scores"][:5].sum().backward()
    assert image.grad.abs().sum() > 0
    image = IMAGES[0].clone().requires_grad_()
    losses = model.train()([image], TARGETS[:1])
    sum(losses.values()).backward()
    assert image.grad.abs().sum() > 0


def test_losses_and_detections_from_one_pass(detector, model):
    with torch.no_grad():
        losses, found = model.losses_and_detections(IMAGES, TARGETS)
        alone = model(IMAGES)
    assert set(losses) == LOSSES[of_kind(detector)]
    assert all(torch.isfinite(loss) for loss in losses.values())
    for a, b in zip(found, alone, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
    with pytest.raises(ValueError, match=r"in train\(\)"):
        model.train().losses_and_detections(IMAGES, TARGETS)


def test_state_dict_copy_and_pickle(model):
    with torch.no_grad():
        wanted = model(IMAGES)
        for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
            for a, b in zip(same(IMAGES), wanted, strict=True):
                assert all(torch.equal(a[name], b[name]) for name in a)
    model.load_state_dict(model.state_dict())


def test_what_was_trained_there_is_a_detector_again(detector, model):
    again = model.to_masu()
    own = detector.state_dict()
    assert again.config == detector.config
    assert again.names == NAMES
    assert own.keys() == again.state_dict().keys()
    assert all(torch.equal(own[name], x) for name, x in again.state_dict().items())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1e-3)
    model.train()
    sum(model(IMAGES, TARGETS).values()).backward()
    optimizer.step()
    model.eval()
    learnt = model.to_masu(("a", "b", "c"))
    assert learnt.names == ("a", "b", "c")
    with torch.no_grad():
        agreed = agreement_of(
            learnt, learnt.predict(IMAGES[:1]), [as_masu(model(IMAGES[:1])[0], learnt.names)]
        )
    assert agreed.equal, agreed
    with pytest.raises(InputError, match="found 2 names, wanted 3"):
        model.to_masu(("a", "b"))


def test_a_swapped_predictor_sets_the_classes(two_stages):
    model = masu.to_torchvision(two_stages)
    features = model.roi_heads.box_predictor.cls_score.in_features
    model.roi_heads.box_predictor = FastRCNNPredictor(features, 8)
    model.train()
    losses = model(IMAGES[:1], [{"boxes": TARGETS[0]["boxes"], "labels": torch.tensor([7, 4])}])
    assert torch.isfinite(sum(losses.values()))
    model.eval()
    assert len(model.to_masu([f"class {i}" for i in range(7)]).names) == 7
    with pytest.raises(InputError, match="found 3 names, wanted 7"):
        model.to_masu()


def test_settings_are_live(two_stages):
    model = masu.to_torchvision(two_stages)
    with torch.no_grad():
        scores = model(IMAGES[:1])[0]["scores"]
        middle = float(scores[len(scores) // 2])
        model.roi_heads.score_thresh = middle
        assert model(IMAGES[:1])[0]["scores"].tolist() == scores[scores > middle].tolist()
        model.roi_heads.detections_per_img = 2
        assert len(model(IMAGES[:1])[0]["scores"]) == 2
        model.rpn._post_nms_top_n["testing"] = 1
        assert len(model(IMAGES[:1])[0]["boxes"]) <= 3
    assert model.to_masu().config.rois.vote_sigma == two_stages.config.rois.vote_sigma == 0.025
    model.roi_heads.vote_sigma = 0.0
    changed = model.to_masu().config.rois
    assert (changed.score_thresh, changed.detections_per_img, changed.vote_sigma) == (middle, 2, 0)


def test_the_transform_can_be_changed_and_replaced(two_stages):
    model = masu.to_torchvision(two_stages)
    sizes = []
    model.backbone.register_forward_hook(lambda module, given, made: sizes.append(given[0].shape[2:]))
    with torch.no_grad():
        model(IMAGES[2:])
        model.transform.min_size, model.transform.max_size = (64,), 64
        model(IMAGES[2:])
        assert model.to_masu().input.min_size == 64
        model.transform = GeneralizedRCNNTransform(96, 96, [0.5] * 3, [0.5] * 3, fixed_size=(96, 96))
        model(IMAGES[2:])
    assert [tuple(size) for size in sizes] == [(128, 128), (64, 64), (96, 96)]


def test_the_backbone_is_one_of_torchvisions(two_stages, detector):
    model = masu.to_torchvision(two_stages)
    maps = model.backbone(torch.rand(1, 3, 128, 128))
    assert isinstance(maps, OrderedDict)
    assert list(maps) == ["0", "1", "2", "pool"]
    assert {x.shape[1] for x in maps.values()} == {model.backbone.out_channels}
    kept = model.backbone
    model.backbone = nn.Sequential()
    model.backbone.forward = kept.forward
    with torch.no_grad():
        assert len(model(IMAGES[:1])[0]["boxes"])


def test_nothing_is_kept_from_one_image_to_the_next(two_stages):
    fresh, used = masu.to_torchvision(two_stages), masu.to_torchvision(two_stages)
    with torch.no_grad():
        used([torch.rand(3, 40, 333)])
        for a, b in zip(used(IMAGES), fresh(IMAGES), strict=True):
            assert all(torch.equal(a[name], b[name]) for name in a)


def theirs(name, **options):
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=4, **options)
    for module in model.modules():  # untrained, a hundred equal scores would be in any order
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.05)
    return model


def test_the_same_losses_as_torchvisions_own_model():
    model = theirs("fasterrcnn_mobilenet_v3_large_320_fpn", min_size=128, max_size=128).eval()
    mine = masu.to_torchvision(masu.from_torchvision(model))
    for one in (model, mine):
        one.train()
        for module in one.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    losses = []
    for one in (model, mine):
        torch.manual_seed(3)
        losses.append({name: loss.item() for name, loss in one(IMAGES, TARGETS).items()})
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize(
    "name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn"]
)
def test_weights_go_to_torchvision_and_back(name):
    model = theirs(name).eval()
    first = 0 if name.startswith("fasterrcnn") else 1
    detector = masu.from_torchvision(model, NAMES)
    state = masu.to_torchvision_state_dict(detector)
    wanted = model.state_dict()
    assert state.keys() == wanted.keys()
    for key, x in wanted.items():
        if first and "cls_logits" in key:  # the column of id 0 is no class of ours
            classes = 4
            rows, own = (y.reshape(-1, classes, *y.shape[1:])[:, 1:] for y in (x, state[key]))
            assert torch.equal(rows, own), key
        elif "bbox_pred" in key:  # background has no box
            assert torch.equal(x[4:], state[key][4:]), key
        else:
            assert torch.equal(x, state[key]), key
    fresh = theirs(name)
    fresh.load_state_dict(state)
    again = masu.from_torchvision(fresh.eval(), NAMES)
    assert all(
        torch.equal(a, b)
        for a, b in zip(detector.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_weights_of_another_architecture_are_refused(two_stages):
    with pytest.raises(InputError, match="efficientnet_lite0"):
        masu.to_torchvision_state_dict(two_stages)


@pytest.mark.parametrize("kind", ["cascade_rcnn_lite0_fpn", "rpn_resnet50_fpn"])
def test_what_torchvision_does_not_have_is_refused(kind):
    with torch.device("meta"):
        detector = build(kind, NAMES, weights="none")
    with pytest.raises(InputError, match="wanted a FasterRCNN, RetinaNet or FCOS"):
        masu.to_torchvision(detector)


@pytest.mark.parametrize("config", [SMALL_RETINANET, SMALL_FCOS])
def test_other_depths_and_norms(config):
    torch.manual_seed(0)
    detector = make(config, NAMES).eval()
    again = masu.to_torchvision(detector).to_masu()
    assert all(
        torch.equal(a, b)
        for a, b in zip(detector.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_a_call_in_torchvisions_way_names_the_function(two_stages):
    with pytest.raises(TypeError, match=r"masu\.to_torchvision"):
        two_stages(IMAGES, TARGETS)


def test_a_box_loss_that_torchvision_lacks_is_refused():
    with pytest.raises(InputError, match="found box_loss 'l2'"):
        masu.to_torchvision(make(SMALL_RETINANET.with_box_loss("l2"), NAMES))


def test_two_stages_keep_boxes_and_scores_whole_under_autocast(two_stages):
    model = masu.to_torchvision(two_stages)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model(IMAGES[:1])[0]
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    assert torch.isfinite(found["boxes"]).all()
