"""Cascade R-CNN: its laws, each stage by hand from the parts, and its way through the rest of masu."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

import masu
from masu.detectors import cascade_rcnn
from masu.detectors.build import build, configuration, load, make, save, warm_start
from masu.detectors.cascade_rcnn import CascadeRCNNConfig, LaterHead
from masu.detectors.faster_rcnn import FasterRCNNConfig
from masu.detectors.rois import RoIRows, RoISettings, SampledRoIs, assign_rois, pool
from masu.detectors.rpn import ProposalSettings
from masu.detectors.trace import trace
from masu.explanation.fates import places_of
from masu.explanation.funnel import funnel
from masu.exports.exported import ExportedDetector
from masu.nets.heads import BoxPredictor
from masu.ops.coder import decode, encode
from masu.ops.geometry import clip, iou
from masu.ops.nms import batched_nms
from masu.records import Target
from masu.training.recipe import TrainSettings
from masu.training.train import train
from tests.detectors.test_detectors import EMPTY, IGNORED, NAMES, OBJECTS, SMALL_RPN, generator, photographs
from tests.explanation.test_fates import FAR, HALF, IS_CAT, IS_NOTHING, OBJECT, follow, raw_of
from tests.networks import assert_finds_the_same, exported_from_one_trace, spread, tiny

ROIS = RoISettings((8, 16, 32), hidden=(32,), batch_size_per_image=64)
ONE = CascadeRCNNConfig(SMALL_RPN, ROIS, later=())


def cascade(moves):
    """Of random weights, whose heads move boxes more the larger ``moves`` is."""
    torch.manual_seed(0)
    made = spread(make(CascadeRCNNConfig(SMALL_RPN, ROIS), NAMES))
    with torch.no_grad():
        for head in made.heads:
            head.predictor.deltas.weight.mul_(moves)
    return made


@pytest.fixture(scope="module")
def detector():
    return cascade(0.2)


def test_the_settings_of_the_paper():
    config = CascadeRCNNConfig(SMALL_RPN)
    assert [head.fg_iou_thresh for head in config.heads] == [0.5, 0.6, 0.7]
    assert [head.box_weights for head in config.heads] == [
        (10, 10, 5, 5),
        (20, 20, 10, 10),
        (30, 30, 15, 15),
    ]
    assert config.loss_weights == (1, 0.5, 0.25)
    assert all(head.box_loss == "giou" for head in config.with_box_loss("giou").heads)
    assert config.with_box_loss("giou").rpn.proposals.box_loss == "giou"


@pytest.mark.parametrize("ious", [(0.5,), (0.6, 0.6), (0.7, 0.6)])
def test_heads_ask_for_rising_overlaps(ious):
    later = tuple(LaterHead(threshold, (20.0, 20.0, 10.0, 10.0), 0.5) for threshold in ious)
    with pytest.raises(
        ValueError, match=r"^fg_iou_thresh: found \[0.5, .*\] from head to head, wanted rising"
    ):
        CascadeRCNNConfig(SMALL_RPN, later=later)


def faster_of(one):
    """The Faster R-CNN whose classes share the boxes of a cascade of one head."""
    faster = make(FasterRCNNConfig(one.config.rpn, one.config.rois), one.names)
    state = {name.removeprefix("heads.0."): tensor for name, tensor in one.state_dict().items()}
    for leaf in ("weight", "bias"):
        shared = state[f"predictor.deltas.{leaf}"]
        state[f"predictor.deltas.{leaf}"] = torch.cat([shared] * len(one.names))
    faster.load_state_dict(state)
    return faster.eval()


def test_a_cascade_of_one_head_is_faster_rcnn_with_shared_boxes():
    torch.manual_seed(0)
    one = spread(make(ONE, NAMES))
    faster, images = faster_of(one), photographs(3)
    with torch.no_grad():
        ours = one.losses(one(images), [OBJECTS, EMPTY, IGNORED], generator())
        theirs = faster.losses(faster(images), [OBJECTS, EMPTY, IGNORED], generator())
    for a, b in zip(one.predict(images), faster.predict(images), strict=True):
        assert len(a) > 10
        assert torch.equal(a.labels, b.labels)
        assert_close(a.boxes, b.boxes)
        assert_close(a.scores, b.scores)
    for term, value in theirs.items():
        assert_close(ours[term if term.startswith(("obj", "prop")) else f"{term}_1"], value)
    assert len(ours) == len(theirs)


def test_every_stage_by_hand(detector):
    """One image; the boxes of each head from RoIAlign, head and decoding, the scores from all heads."""
    with torch.no_grad():
        raw = detector(photographs(1))
        steps = detector.process(raw)
        boxes = steps[0].kept.boxes[0, : steps[0].kept.count[0]]
        size, image = raw.images.sizes[0], torch.zeros(len(boxes), dtype=torch.int64)
        for t in range(3):
            pooled = pool(raw, boxes, image, ROIS)
            answers = [head(pooled) for head in detector.heads]
            weights = tuple((t + 1) * w for w in (10.0, 10.0, 5.0, 5.0))
            moved = clip(decode(answers[t][1][:, 0], boxes, weights), size)
            assert (moved - boxes).abs().max() > 1
            boxes = moved
            if t < 2:
                kept = steps[t + 1].kept
                assert kept.count.tolist() == [len(boxes)]
                assert_close(kept.boxes[0, : len(boxes)], boxes)
                assert torch.equal(kept.scores, steps[0].kept.scores)
        scores = sum(logits.softmax(1) for logits, _ in answers) / 3
        row, label = torch.where(scores[:, :2] > ROIS.score_thresh)
        large = ((boxes[row, 2:] - boxes[row, :2]) >= ROIS.min_size).all(1)
        row, label = row[large], label[large]
        best = batched_nms(boxes[row], scores[row, label], label, ROIS.nms_thresh)[:100]
        (found,) = detector.detections(raw)
    assert len(found) > 10
    assert torch.equal(found.labels, label[best])
    assert_close(found.boxes, boxes[row[best]] * torch.tensor([160, 128] * 2) / size.flip(0).repeat(2))
    assert_close(found.scores, scores[row[best], label[best]])


def test_rois_of_a_later_head_by_hand():
    """Moved boxes are matched anew at its own IoU; one without area is gone, none is drawn."""
    rois = SampledRoIs(torch.zeros(5, 4), torch.tensor([0, 0, 0, 1, 1]), torch.zeros(5), torch.zeros(5, 4))
    moved = torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 7], [50, 50, 50, 60], [0, 0, 10, 10], [30, 30, 40, 40]])
    targets = [
        Target([[0, 0, 10, 10]], [1]),
        Target([[0, 0, 10, 9], [28, 28, 42, 42]], [0, 0], [False, True]),
    ]
    found = assign_rois(rois, moved, targets, 2, 0.6)
    # at 0.5 of the first image; at 0.7; without area; at 0.9 of the second; background that is ignored
    assert found.boxes.tolist() == [[0, 0, 10, 7], [0, 0, 10, 5], [0, 0, 10, 10]]
    assert found.image.tolist() == [0, 0, 1]
    assert found.classes.tolist() == [1, 2, 0]
    assert found.matched.tolist() == [[0, 0, 10, 10], [0, 0, 0, 0], [0, 0, 10, 9]]
    assert len(assign_rois(found, torch.zeros(3, 4), targets, 2, 0.6).boxes) == 0


def test_in_training_each_head_has_the_boxes_of_the_one_before(monkeypatch):
    detector, seen = cascade(0.1), []

    def watched(logits, deltas, rois, settings):
        seen.append((deltas, rois, settings))
        return losses(logits, deltas, rois, settings)

    losses = cascade_rcnn.roi_losses
    monkeypatch.setattr(cascade_rcnn, "roi_losses", watched)
    raw = detector([*photographs(1), *photographs(1, 100, 160)])
    sizes = raw.images.sizes
    target = Target(
        [*OBJECTS.boxes.tolist(), [30, 30, 70, 70], [60, 60, 120, 120], [0, 60, 60, 120]], [0] * 5
    )
    terms = detector.losses(raw, [target, EMPTY], generator())
    assert [settings.fg_iou_thresh for _, _, settings in seen] == [0.5, 0.6, 0.7]
    scale = sizes[0] / torch.tensor([128, 160])
    objects = target.boxes * scale.flip(0).repeat(2)
    for (deltas, rois, settings), (_, after, later) in pairwise(seen):
        moved = clip(decode(deltas[:, 0], rois.boxes, settings.box_weights), sizes[rois.image])
        real = (moved[:, 2:] > moved[:, :2]).all(1)
        assert sorted(after.boxes.tolist()) == sorted(moved[real].tolist())
        assert not after.boxes.requires_grad
        best = iou(after.boxes, objects).amax(1)
        objective = (best >= later.fg_iou_thresh) & (after.image == 0)
        assert torch.equal(after.classes < len(NAMES), objective)
        assert objective.any()
        assert ((best >= settings.fg_iou_thresh) & (best < later.fg_iou_thresh)).any()
    for t, weight in enumerate((1, 0.5, 0.25)):
        value = losses(*(seen[t][0].new_zeros(len(seen[t][1].boxes), 3), *seen[t]))[1]
        assert_close(terms[f"boxes_{t + 1}"], weight * value)


def test_no_gradient_from_head_to_head(detector):
    raw = detector(photographs(1))
    terms = detector.losses(raw, [OBJECTS], generator())
    of_heads = [tuple(head.parameters()) for head in detector.heads]
    for t in range(3):
        own = terms[f"classes_{t + 1}"] + terms[f"boxes_{t + 1}"]
        for other in range(3):
            grads = torch.autograd.grad(own, of_heads[other], retain_graph=True, allow_unused=True)
            assert all((grad is None) == (other != t) for grad in grads)
        nothing = torch.autograd.grad(own, [raw.logits, raw.deltas], retain_graph=True, allow_unused=True)
        assert nothing == (None, None)


def test_rows_that_are_not_there_stay_so(detector):
    """Two images with different numbers of proposals: each is what it is alone, and no row is added."""
    config = detector.config
    strict = replace(config.rpn.proposals, nms_thresh=0.3, post_nms_top_n=200)
    detector.config = replace(config, rpn=replace(config.rpn, proposals=strict))
    images = [photographs(1)[0], photographs(2)[1]]
    try:
        with torch.no_grad():
            together = detector.process(detector(images))
            counts = together[0].kept.count
            assert counts[0] != counts[1]
            for step in together[1:-1]:
                assert torch.equal(step.kept.count, counts)
                assert not step.kept.boxes[~step.kept.there].any()
            assert (together[-1].candidates.row < counts[:, None])[together[-1].survived].all()
            for i, image in enumerate(images):
                alone = detector.process(detector([image]))
                for a, b in zip(together, alone, strict=True):
                    assert a.kept.count[i] == b.kept.count[0]
                    assert_close(a.kept.boxes[i], b.kept.boxes[0], atol=1e-3, rtol=0)
    finally:
        detector.config = config


def test_proposals_of_score_0_are_moved_too(detector):
    """A logit of −200 is a score of exactly 0 in float32, and still a proposal."""
    raw = detector(photographs(1))
    raw = replace(raw, levels=tuple(replace(x, logits=torch.full_like(x.logits, -200)) for x in raw.levels))
    with torch.no_grad():
        steps = detector.process(raw)
    assert steps[0].kept.scores.max() == 0
    assert all(torch.equal(step.kept.count, steps[0].kept.count) for step in steps[1:-1])
    assert steps[0].kept.count[0] > 0


def test_a_file_keeps_it_whole(detector, tmp_path):
    save(detector, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.config == detector.config
    a, b = detector.predict(photographs(1))[0], loaded.predict(photographs(1))[0]
    assert torch.equal(a.boxes, b.boxes)
    assert torch.equal(a.scores, b.scores)


def test_boxes_of_all_classes_alike():
    predictor = BoxPredictor(5, 3, class_agnostic=True)
    logits, deltas = predictor(torch.rand(2, 5))
    assert (logits.shape, deltas.shape) == ((2, 4), (2, 1, 4))


@pytest.mark.parametrize(
    ("stage", "moved", "scores"),
    [
        ("found", [OBJECT, OBJECT, OBJECT], IS_CAT),
        ("refinement_1", [FAR, FAR, FAR], IS_CAT),
        ("refinement_2", [OBJECT, HALF, HALF], IS_CAT),
        ("box_regression", [OBJECT, OBJECT, HALF], IS_CAT),
        ("background", [OBJECT, OBJECT, OBJECT], IS_NOTHING),
        ("found", [HALF, FAR, OBJECT], IS_CAT),  # lost in between, and brought back
        ("background", [FAR, FAR, OBJECT], IS_NOTHING),
    ],
)
def test_a_cascade_loses_the_object_there(stage, moved, scores, monkeypatch):
    proposals = ProposalSettings(pre_nms_top_n=3, post_nms_top_n=3, score_thresh=0.1)
    detector = make(CascadeRCNNConfig(replace(SMALL_RPN, proposals=proposals), ROIS), ("cat", "dog"))
    monkeypatch.setattr(cascade_rcnn, "look", look_of(detector, moved, scores))
    (fate,) = follow(detector, raw_of([OBJECT, FAR], [2, -9], [OBJECT, FAR]), [OBJECT])
    assert fate.stage == stage
    assert fate.stage in places_of(detector)
    assert fate.anchor == 0


def look_of(detector, moved, scores):
    """``look`` in place of the network's: the one proposal goes from box to box, under these scores."""

    def given_look(raw, given, heads, settings):
        assert given.count.tolist() == [1]
        t = 2 if len(heads) > 1 else list(detector.heads).index(heads[0])
        box = torch.tensor(moved[t]).float()
        deltas = torch.zeros(*given.boxes.shape[:2], 1, 4)
        deltas[0, 0, 0] = encode(box, given.boxes[0, 0], detector.config.heads[t].box_weights)
        ranking = torch.full((*given.boxes.shape[:2], 2), -torch.inf)
        ranking[0, 0] = torch.tensor(scores[:2])
        background = torch.full(given.boxes.shape[:2], scores[2])
        return RoIRows(given.boxes, ranking, deltas, background, logits=ranking[None])

    return given_look


def test_the_places_of_a_cascade_in_order():
    places = list(places_of(make(CascadeRCNNConfig(SMALL_RPN, ROIS), NAMES)))
    later = places[places.index("kept") + 1 :]
    assert later[:5] == ["refinement_1", "refinement_2", "box_regression", "other_class", "background"]


def test_the_stages_of_a_trace_follow_each_other(detector):
    with torch.no_grad():
        (traced,) = trace(detector, detector(photographs(1)))
    for before, after in pairwise(traced.stages):
        assert torch.equal(before.candidate_boxes[before.kept], after.started)
    assert [len(stage.started) for stage in traced.stages[1:]] == [len(traced.stages[1].started)] * 3


def test_it_starts_from_the_weights_of_faster_rcnn():
    torch.manual_seed(0)
    cascade = build("cascade_rcnn_lite0_fpn", NAMES, "auto").state_dict()
    faster = build("faster_rcnn_lite0_fpn", NAMES, "auto").state_dict()
    shared = [name for name in faster if name.startswith(("rpn.fpn.", "rpn.head.", "rpn.backbone."))]
    assert all(torch.equal(cascade[name], faster[name]) for name in shared)


def test_it_learns_and_is_scored(coins, tmp_path):
    data, val = masu.read_dataset(coins, "train"), masu.read_dataset(coins, "val")
    settings = TrainSettings(
        architecture="cascade_rcnn_lite0_fpn", epochs=10, batch_size=2, image_size=128, evaluate_every=10
    )
    trained = train(data, val, settings, tmp_path / "run", report=lambda _: None)
    first, last = trained.history[0], trained.history[-1]
    for head in (1, 2, 3):  # the loss of boxes grows with the number of boxes that stand for objects
        assert last[f"classes_{head}"] < 0.8 * first[f"classes_{head}"]
    assert last["ap50"] > 0.8
    detector = load(trained.best)
    report = funnel(detector, val)
    assert report.metrics.ap50 == masu.evaluate(detector, val).ap50
    assert sum(report.counts().values()) == 8


def test_an_exported_file_finds_the_same(tmp_path, monkeypatch):
    torch.manual_seed(0)
    detector = spread(build(tiny("cascade_rcnn_lite0_fpn"), NAMES, "none"))
    for report in exported_from_one_trace(detector, tmp_path, monkeypatch):
        assert report.agreement.unmatched == 0, report.to
        assert report.agreement.detections > 200, report.to
    # the same graph, which masu export --to openvino converts
    assert_finds_the_same(detector, ExportedDetector(tmp_path / "model.onnx", "openvino"))


@pytest.mark.parametrize(("wanted", "given"), [(2, 1), (1, 2)])
def test_a_warm_start_from_another_number_of_heads_takes_the_heads_that_both_have(wanted, given):
    config = configuration("cascade_rcnn_lite0_fpn")
    new, old = (
        make(replace(config, later=config.later[:count]), ("cat", "dog")) for count in (wanted, given)
    )
    taken = warm_start(new, old)
    assert taken.classes == ("cat", "dog")
    assert torch.equal(new.heads[1].predictor.scores.weight, old.heads[1].predictor.scores.weight)
    missing = [name for name in taken.reset if name.startswith(f"heads.{given + 1}.")]
    assert taken.reset == tuple(missing)
    assert bool(missing) == (wanted > given)
