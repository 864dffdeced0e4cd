import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from masu.detectors.build import build, make
from masu.detectors.fcos import FCOSConfig
from masu.detectors.prediction import PredictionNetwork
from masu.detectors.retinanet import RetinaNetConfig
from masu.detectors.rpn import RPN, ProposalSettings, RPNConfig, proposal_stage
from masu.detectors.stages import run
from masu.detectors.targets import assign_targets, targets_at_network_size
from masu.errors import InputError
from masu.nets.norm import FrozenNorm
from masu.ops.images import InputPolicy, batch_images
from masu.records import BACKGROUND, IGNORE, OBJECT, Detections, Target
from tests.networks import spread_points

NAMES = ("disc", "square")
TERMS = {
    "faster_rcnn": {"objectness", "proposal_boxes", "classes", "boxes"},
    "cascade_rcnn": {"objectness", "proposal_boxes"}
    | {f"{term}_{head}" for term in ("classes", "boxes") for head in (1, 2, 3)},
    "rpn": {"objectness", "proposal_boxes"},
    "retinanet": {"classes", "boxes"},
    "fcos": {"classes", "boxes", "centreness"},
}
SMALL_RPN = RPNConfig(
    "efficientnet_lite0",
    fpn_channels=16,
    frozen_norms=True,
    anchor_sizes=((16.0, 20.0), (32.0, 40.0), (64.0, 80.0), (128.0, 160.0)),
    input=InputPolicy(128, 256),
    proposals=ProposalSettings(
        pre_nms_top_n=50, post_nms_top_n=20, pre_nms_top_n_training=100, post_nms_top_n_training=60
    ),
)
SMALL_RETINANET = RetinaNetConfig(
    "efficientnet_lite0",
    fpn_channels=16,
    frozen_norms=True,
    extra="convolved",
    anchor_sizes=((16.0, 20.0), (32.0, 40.0), (64.0, 80.0), (128.0, 160.0), (200.0, 240.0)),
    input=InputPolicy(128, 256),
    head_depth=1,
    box_loss="giou",
)
SMALL_FCOS = FCOSConfig(
    "efficientnet_lite0",
    fpn_channels=64,
    frozen_norms=True,
    extra="convolved",
    anchor_sizes=((4.0,), (8.0,), (16.0,), (32.0,), (64.0,)),
    input=InputPolicy(128, 256),
    head_depth=1,
    score_thresh=0.1,
)
OBJECTS = Target([[10, 12, 50, 60], [80, 30, 150, 110]], [0, 1])
EMPTY = Target([], [])
IGNORED = Target([[10, 12, 50, 60]], [0], [True])


def photographs(count, height=128, width=160):
    g = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 10, generator=g)
    return list(torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear"))


@pytest.fixture(scope="module")
def detectors():
    torch.manual_seed(0)
    found = {"faster_rcnn": build("faster_rcnn_lite0_fpn", NAMES, image_size=128), "rpn": make(SMALL_RPN, ())}
    found["retinanet"] = make(SMALL_RETINANET, NAMES)
    torch.nn.init.normal_(found["retinanet"].head.classes.output.weight, std=0.1)
    found["cascade_rcnn"] = build("cascade_rcnn_lite0_fpn", NAMES, image_size=128)
    found["fcos"] = spread_points(make(SMALL_FCOS, NAMES))
    torch.nn.init.normal_(found["faster_rcnn"].predictor.scores.weight, std=0.5)  # scores that differ
    for head in found["cascade_rcnn"].heads:
        torch.nn.init.normal_(head.predictor.scores.weight, std=0.5)
    return {name: detector.eval() for name, detector in found.items()}


@pytest.fixture(params=["faster_rcnn", "cascade_rcnn", "rpn", "retinanet", "fcos"])
def named(request, detectors):
    yield request.param, detectors[request.param]
    detectors[request.param].zero_grad(set_to_none=True)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "targets",
    [[OBJECTS, OBJECTS], [OBJECTS, EMPTY], [EMPTY, EMPTY], [IGNORED, IGNORED]],
    ids=["objects", "one empty", "all empty", "ignored"],
)
def test_losses_are_finite_scalars_of_every_term(named, targets):
    name, detector = named
    detector.train()
    losses = detector.losses(detector(photographs(2)), targets, generator())
    detector.eval()
    assert losses.keys() == TERMS[name]
    for term, value in losses.items():
        assert value.shape == (), term
        assert torch.isfinite(value), term
    without_objects = not any((~t.ignored).any() for t in targets)
    for term in losses:
        if "boxes" in term or term == "centreness":
            assert (losses[term].item() == 0) == without_objects
    sum(losses.values()).backward()
    for parameter, value in detector.named_parameters():
        assert value.grad is None or torch.isfinite(value.grad).all(), parameter


def test_every_trained_parameter_has_a_gradient(named):
    _, detector = named
    losses = detector.losses(detector(photographs(2)), [OBJECTS, OBJECTS], generator())
    sum(losses.values()).backward()
    for name, parameter in detector.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
        else:
            assert parameter.grad is None, name


def test_equal_generators_give_equal_losses(named):
    _, detector = named
    with torch.no_grad():
        raw = detector(photographs(2))
        state = torch.get_rng_state()
        first, second = (detector.losses(raw, [OBJECTS, EMPTY], generator(3)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[term], second[term]) for term in first)


def test_targets_must_be_one_for_each_image(named):
    _, detector = named
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match=r"^targets: found 1, wanted 2, one for each image$"),
    ):
        detector.losses(detector(photographs(2)), [OBJECTS])


def test_the_class_of_an_ignored_object_does_not_matter(detectors):
    detector = detectors["faster_rcnn"]
    found = []
    with torch.no_grad():
        raw = detector(photographs(1))
        for number in (0, 1):
            target = Target([[10, 12, 50, 60], [80, 30, 150, 110]], [0, number], [False, True])
            found.append(detector.losses(raw, [target], generator()))
    assert all(torch.equal(found[0][term], found[1][term]) for term in found[0])


def test_no_gradient_flows_into_the_proposals(detectors):
    detector = detectors["faster_rcnn"]
    raw = detector(photographs(1))
    assert raw.logits.requires_grad
    assert raw.deltas.requires_grad
    losses = detector.losses(raw, [OBJECTS], generator())
    second_stage = losses["classes"] + losses["boxes"]
    grads = torch.autograd.grad(second_stage, [raw.logits, raw.deltas], allow_unused=True)
    assert grads == (None, None)


def test_proposals_are_sorted_inside_and_padded_with_zeros(detectors):
    detector = detectors["rpn"]
    settings = replace(SMALL_RPN.proposals, nms_thresh=0.05, post_nms_top_n=200)
    with torch.no_grad():
        raw = detector([*photographs(1), *photographs(1, 128, 250)])
        proposals = run([proposal_stage(settings)], raw)[-1].kept
    assert proposals.boxes.shape == (2, 200, 4)
    for i, count in enumerate(proposals.count.tolist()):
        boxes, scores = proposals.boxes[i], proposals.scores[i]
        assert 0 < count < 200
        assert (scores[: count - 1] >= scores[1:count]).all()
        assert not boxes[count:].any()
        assert not scores[count:].any()
        height, width = raw.images.sizes[i].tolist()
        assert (boxes >= 0).all()
        assert boxes[:, 2].max() <= width
        assert boxes[:, 3].max() <= height


def test_one_anchor_for_each_output(named):
    name, detector = named
    with torch.no_grad():
        raw = detector(photographs(2))
    assert sum(raw.counts) == len(raw.anchors) == raw.logits.shape[1] == raw.deltas.shape[1]
    assert raw.logits.shape[0] == raw.deltas.shape[0] == 2
    assert len(raw.levels) == len(raw.features) == (5 if name in ("retinanet", "fcos") else 4)


@pytest.mark.parametrize("training", [True, False])
def test_predict_leaves_the_mode_as_it_was(named, training):
    _, detector = named
    detector.train(training)
    detector.predict(photographs(1))
    mode = detector.training
    with pytest.raises(Exception, match=r"."):
        detector.predict([torch.zeros(3)])
    assert detector.training == mode == training
    assert all(m.training == training for m in detector.modules())
    detector.eval()


def test_predict_changes_no_tensor(named):
    _, detector = named
    before = {k: v.clone() for k, v in detector.state_dict().items()}
    detector.train()
    found = detector.predict(photographs(1))
    detector.eval()
    assert all(torch.equal(before[k], v) for k, v in detector.state_dict().items())
    assert torch.equal(found[0].boxes, detector.predict(photographs(1))[0].boxes)


def test_predict_is_the_network_itself_but_for_rounding(named):
    _, detector = named
    detector = copy.deepcopy(detector).double()
    images = [image.double() for image in photographs(2)]
    with torch.no_grad():
        wanted = detector.detections(detector(images))
    found = detector.predict(images, batch_size=2)
    for a, b in zip(found, wanted, strict=True):
        assert len(a) > 0
        assert_same(a, b, 1e-5)


def test_predict_follows_its_weights(named):
    _, detector = named
    detector = copy.deepcopy(detector)
    first = detector.predict(photographs(1))[0]
    state = {k: v.clone() for k, v in detector.state_dict().items()}
    rpn = getattr(detector, "rpn", detector)
    with torch.no_grad():
        rpn.backbone.conv_stem.weight.mul_(0.5)  # in place, as optimizers do
    second = detector.predict(photographs(1))[0]
    assert not torch.equal(first.boxes[:5], second.boxes[:5])
    with torch.no_grad():
        next(m for m in rpn.backbone.modules() if isinstance(m, FrozenNorm)).running_mean.add_(1)
    assert not torch.equal(second.boxes[:5], detector.predict(photographs(1))[0].boxes[:5])
    detector.load_state_dict(state)
    assert_same(detector.predict(photographs(1))[0], first)
    assert detector.prediction_network() is detector.prediction_network()


def test_a_detector_made_in_inference_mode_predicts(named):
    _, detector = named
    wanted = detector.predict(photographs(1))[0]
    with torch.inference_mode():
        own = make_like(detector)
        assert_same(own.predict(photographs(1))[0], wanted)
    assert_same(own.predict(photographs(1))[0], wanted)


def test_anchors_follow_the_size_of_the_batch(named):
    _, detector = named
    images = [photographs(1)[0], photographs(1, 128, 224)[0]]
    alone = [make_like(detector).predict([image])[0] for image in images]
    in_turn = [detector.predict([image])[0] for image in (*images, *images)]
    for a, b in zip(in_turn, alone * 2, strict=True):
        assert_same(a, b)


def make_like(detector):
    fresh = make(detector.config, detector.names)
    fresh.load_state_dict(detector.state_dict())
    return fresh


def assert_same(a, b, tolerance=0.0):
    assert a.names == b.names
    assert torch.equal(a.labels, b.labels)
    assert_close(a.scores, b.scores, rtol=0, atol=tolerance)
    assert_close(a.boxes, b.boxes, rtol=0, atol=tolerance)


def test_path_pillow_array_and_tensor_agree(named, tmp_path):
    _, detector = named
    tensor = (photographs(1)[0] * 255).to(torch.uint8)
    array = np.ascontiguousarray(tensor.permute(1, 2, 0).numpy())  # (C, H, W) → (H, W, C)
    picture = Image.fromarray(array)
    picture.save(tmp_path / "picture.png")
    found = detector.predict(
        [tensor, array, picture, tmp_path / "picture.png", str(tmp_path / "picture.png")]
    )
    assert len(found[0]) > 0
    for other in found[1:]:
        assert_same(found[0], other)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures of different sizes, one of them a level deeper."""
    folder = tmp_path_factory.mktemp("shots")
    (folder / "more").mkdir()
    for i, (name, image) in enumerate(zip(("a.png", "b.png", "more/c.png"), photographs(3), strict=True)):
        pixels = (image[:, : 128 - 32 * i] * 255).to(torch.uint8).permute(1, 2, 0)  # (C, H, W) → (H, W, C)
        Image.fromarray(pixels.numpy()).save(folder / name)
    return folder


@pytest.mark.parametrize("kind", [str, Path, Image.open, lambda file: np.asarray(Image.open(file))])
def test_one_image_gives_one_answer(named, folder, kind):
    found = named[1].predict(kind(folder / "a.png"))
    assert isinstance(found, Detections)
    (listed,) = named[1].predict([kind(folder / "a.png")])
    assert_same(found, listed)
    assert found.path == listed.path == (folder / "a.png" if kind in (str, Path) else None)


def test_one_tensor_gives_one_answer(named):
    (image,) = photographs(1)
    assert_same(named[1].predict(image), named[1].predict(image[None])[0])


def test_a_folder_a_pattern_and_an_iterator_give_lists(named, folder):
    detector, files = named[1], [folder / "a.png", folder / "b.png", folder / "more" / "c.png"]
    wanted = detector.predict(files, batch_size=2)
    frames = (Image.open(file) for file in files)
    for given in (str(folder), folder, f"{folder}/**/*.png", frames):
        found = detector.predict(given, batch_size=2)
        assert isinstance(found, list)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    assert [d.path for d in detector.predict(folder)] == files
    (alone,) = detector.predict(f"{folder}/more/*")
    assert_same(alone, wanted[2])


def test_a_stream_reads_no_further_than_a_batch(named, folder):
    seen = []

    def frames():
        for i, image in enumerate(photographs(4)):
            seen.append(i)
            yield image

    found = named[1].stream(frames(), threshold=0.2, batch_size=2)
    assert seen == []
    first = next(found)
    assert seen == [0, 1]
    assert not torch.is_inference_mode_enabled()
    assert_same(first, named[1].predict(photographs(4), threshold=0.2, batch_size=2)[0])
    assert len(list(found)) == 3
    assert [d.path.name for d in named[1].stream(folder)] == ["a.png", "b.png", "c.png"]


def test_a_stream_looks_at_the_weights_once(named, monkeypatch):
    calls = []
    monkeypatch.setattr(PredictionNetwork, "is_of", lambda self, detector: calls.append(self) or True)
    named[1].predict(photographs(3))
    assert len(calls) <= 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (7, "found a value of type int, wanted an image (a path, a Pillow image, an array (H, W, 3) or a"),
        (None, "found None, wanted an image"),
        ({"a.jpg"}, "found a value of type set, wanted an image"),
        (b"\xff\xd8", "found a value of type bytes, wanted an image"),
        ([torch.zeros(3, 8, 8), None], "found None at position 1, wanted an image"),
        ([["a.jpg"]], "found a value of type list at position 0, wanted an image"),
    ],
)
def test_what_is_no_image_is_one_sentence(named, given, said):
    with pytest.raises(TypeError) as caught:
        named[1].predict(given)
    assert str(caught.value).startswith(f"predict: {said}")
    assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match=r"^predict: "):
        list(named[1].stream(given))


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_images(named, size):
    with pytest.raises(
        InputError, match=rf"^batch_size: found {size}, wanted a whole number from 1 to 65536; "
    ):
        named[1].predict(photographs(1), batch_size=size)


def test_no_images_no_detections(named):
    assert named[1].predict([]) == []


@pytest.mark.parametrize("size", [(128, 160), (300, 90), (64, 64), (37, 201)])
def test_detections_are_sorted_and_inside_the_image(named, size):
    name, detector = named
    image = photographs(1, *size)[0]
    found = detector.predict([image])[0]
    assert len(found) > 0
    assert (found.scores[:-1] >= found.scores[1:]).all()
    assert (found.scores > 0).all()
    assert (found.scores <= 1).all()
    assert (found.boxes >= 0).all()
    assert found.boxes[:, [0, 2]].max() <= size[1] * (1 + 1e-6)
    assert found.boxes[:, [1, 3]].max() <= size[0] * (1 + 1e-6)
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert found.names == tuple(detector.names[i] for i in found.labels.tolist())
    assert len(found) <= {"rpn": SMALL_RPN.proposals.post_nms_top_n, "retinanet": 300}.get(name, 100)


def test_a_threshold_leaves_the_better_ones(named):
    image = photographs(1)
    every = named[1].predict(image)[0]
    threshold = every.scores[len(every) // 2].item()
    found = named[1].predict(image, threshold=threshold)[0]
    assert_same(found, every.above(threshold))
    assert 0 < len(found) < len(every)


def test_a_batch_is_each_image_alone(named):
    images = photographs(3)
    alone = [named[1].predict([image])[0] for image in images]
    assert not torch.equal(alone[0].boxes[0], alone[1].boxes[0])
    for batch_size in (2, 3):
        for a, b in zip(named[1].predict(images, batch_size=batch_size), alone, strict=True):
            assert_same(a, b, 1e-3)


def test_what_is_found_does_not_depend_on_the_size_of_others(named):
    square = photographs(2)
    images = [square[0], square[0][:, :60], square[1][:, :, :50], square[1], square[0][:, :90]] * 2
    together = named[1].predict(images, batch_size=8)
    for found, image in zip(together, images, strict=True):
        assert_same(found, named[1].predict([image])[0], 1e-3)


def test_no_proposals_no_detections(detectors):
    detector = detectors["faster_rcnn"]
    config = detector.config
    strict = replace(config.rpn, proposals=replace(config.rpn.proposals, score_thresh=1.0))
    detector.config = replace(config, rpn=strict)
    try:
        found = detector.predict(photographs(2), batch_size=2)
        with torch.no_grad():  # the objects join the proposals; without either nothing is sampled
            losses = detector.losses(detector(photographs(2)), [EMPTY, EMPTY], generator())
    finally:
        detector.config = config
    assert [len(d) for d in found] == [0, 0]
    assert losses["classes"].item() == losses["boxes"].item() == 0


def test_nothing_above_the_score_no_detections(detectors):
    detector = detectors["faster_rcnn"]
    config = detector.config
    detector.config = replace(config, rois=replace(config.rois, score_thresh=1.0))
    try:
        found = detector.predict(photographs(1))[0]
    finally:
        detector.config = config
    assert (found.boxes.shape, found.names) == ((0, 4), ())


BOXES = torch.tensor(
    [[0.0, 0, 10, 10], [0, 0, 10, 4], [100, 100, 110, 110], [100, 100, 140, 110], [50, 0, 60, 10]]
)


def test_background_in_an_ignored_region_takes_no_part():
    objects = Target([[0, 0, 10, 10]], [3])
    assert assign_targets(BOXES, objects, 0.7, 0.3, False)[1].tolist() == [OBJECT, IGNORE, 0, 0, BACKGROUND]
    both = Target([[0, 0, 10, 10], [95, 95, 115, 115]], [3, 0], [False, True])
    index, labels, kept = assign_targets(BOXES, both, 0.7, 0.3, False)
    # The third box lies within the region, of the fourth only 15 of 40 columns, less than half.
    assert labels.tolist() == [OBJECT, IGNORE, IGNORE, BACKGROUND, BACKGROUND]
    assert (kept.labels.tolist(), len(kept)) == ([3], 1)
    assert index[0] == 0


def test_half_of_a_box_in_a_region_is_enough():
    region = Target([[0, 0, 10, 5]], [0], [True])
    assert assign_targets(BOXES[:1], region, 0.7, 0.3, False)[1].tolist() == [IGNORE]


def test_an_object_in_an_ignored_region_stays_an_object():
    both = Target([[0, 0, 10, 10], [0, 0, 50, 50]], [1, 0], [False, True])
    _, labels, _ = assign_targets(BOXES, both, 0.7, 0.3, False)
    assert labels.tolist() == [OBJECT, IGNORE, BACKGROUND, BACKGROUND, BACKGROUND]


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("target", [EMPTY, IGNORED, OBJECTS])
def test_labels_of_no_boxes(target, restore):
    index, labels, _ = assign_targets(torch.zeros(0, 4), target, 0.7, 0.3, restore)
    assert index.shape == labels.shape == (0,)


def test_an_ignored_region_hides_anchors_of_a_detector(named):
    _, detector = named
    with torch.no_grad():
        raw = detector(photographs(1))
    region = torch.tensor([[16.0, 16, 112, 112]])
    _, before, _ = assign_targets(raw.anchors, EMPTY, 0.7, 0.3, True)
    _, after, _ = assign_targets(raw.anchors, Target(region, [0], [True]), 0.7, 0.3, True)
    a = raw.anchors
    inside = (a[:, :2] >= 16).all(1) & (a[:, 2:] <= 112).all(1)
    assert inside.any()
    assert (before == BACKGROUND).all()
    assert (after[inside] == IGNORE).all()
    assert (after == BACKGROUND).any()


def test_targets_follow_the_image_to_the_networks_size():
    batch = batch_images([torch.zeros(3, 100, 200), torch.zeros(3, 50, 50)], InputPolicy(50, 100))
    target = Target([[10, 20, 30, 40]], [7], [True])
    first, second = targets_at_network_size([target, target], batch)
    assert first.boxes.tolist() == [[5, 10, 15, 20]]
    assert second.boxes.tolist() == [[10, 20, 30, 40]]
    assert (first.labels.tolist(), first.ignored.tolist()) == ([7], [True])
    assert target.boxes.tolist() == [[10, 20, 30, 40]]


def test_an_rpn_says_what_it_wants():
    with pytest.raises(InputError, match=r"^backbone: found 'abacus', wanted one of resnet50, "):
        RPN(RPNConfig("abacus"))
    with pytest.raises(
        ValueError, match=r"^anchor_sizes: found \[1, 2\] sizes per level, wanted the same number"
    ):
        RPNConfig("resnet50", anchor_sizes=((8.0,), (16.0, 32.0)))
    with pytest.raises(ValueError, match=r"^anchor_sizes: found 3 levels, wanted 4 with efficientnet_lite0$"):
        RPN(replace(SMALL_RPN, anchor_sizes=((8.0,),) * 3))


def test_kinds(detectors):
    assert (detectors["faster_rcnn"].kind, detectors["faster_rcnn"].names) == ("detector", NAMES)
    assert (detectors["rpn"].kind, detectors["rpn"].names) == ("proposals", ("object",))


@pytest.mark.parametrize("name", ["faster_rcnn", "cascade_rcnn"])
def test_final_boxes_and_scores_have_gradients_that_end_at_the_proposals(detectors, name):
    detector = detectors[name]
    raw = detector(photographs(1))
    kept = detector.answer(raw)
    first = [tensor for level in raw.levels for tensor in (level.logits, level.deltas)]
    for answer in (kept.scores, kept.boxes):
        grads = torch.autograd.grad(
            answer.sum(), [*raw.features, *first], retain_graph=True, allow_unused=True
        )
        of_features, of_first = grads[: len(raw.features)], grads[len(raw.features) :]
        assert any(grad is not None and grad.any() for grad in of_features)
        assert all(grad is None for grad in of_first)
