"""The law of traces, and each of their statements against a plain reading of the raw outputs."""

from dataclasses import replace

import pytest
import torch

from masu.detectors.build import build, make
from masu.detectors.proposals import propose
from masu.detectors.trace import trace
from masu.ops.coder import decode
from masu.ops.geometry import clip, iou
from tests.detectors.test_detectors import NAMES, SMALL_RETINANET, SMALL_RPN, photographs
from tests.networks import spread


@pytest.fixture(scope="module")
def detectors():
    torch.manual_seed(0)
    two = spread(build("faster_rcnn_lite0_fpn", NAMES, image_size=128))
    two.config = replace(two.config, rois=replace(two.config.rois, max_detections=25))
    one = make(replace(SMALL_RETINANET, top_per_level=60, max_detections=25), NAMES)
    torch.nn.init.normal_(one.head.classes.output.weight, std=0.5)
    rpn = make(SMALL_RPN, ())
    torch.nn.init.normal_(rpn.head.objectness.weight, std=0.5)
    return {"faster_rcnn": two, "retinanet": one.eval(), "rpn": rpn.eval()}


@pytest.fixture(params=["faster_rcnn", "retinanet", "rpn"])
def run(request, detectors):
    detector = detectors[request.param]
    with torch.no_grad():
        raw = detector([*photographs(1), *photographs(1, 128, 250), *photographs(1, 90, 100)])
        return detector, raw, trace(detector, raw)


def test_the_detections_of_the_traces_are_those_of_the_detector(run):
    detector, raw, traces = run
    for traced, found in zip(traces, detector.detections(raw), strict=True):
        assert 0 < len(found) == min(traced.last.limit, int((traced.last.rank >= 0).sum()))
        assert torch.equal(traced.detections.boxes, found.boxes)
        assert torch.equal(traced.detections.scores, found.scores)
        assert torch.equal(traced.detections.labels, found.labels)
        assert traced.detections.names == found.names


def test_every_candidate_has_one_fate(run):
    for traced in run[2]:
        for filtered in (traced.anchors.filtered, traced.last):
            c = filtered.candidates
            suppressed, survived = filtered.suppressor >= 0, filtered.rank >= 0
            assert (suppressed | survived).equal(c.usable)
            assert not (suppressed & survived).any()
            assert not (filtered.small & c.usable).any()
            assert sorted(filtered.rank[survived].tolist()) == list(range(int(survived.sum())))
            assert suppressed.any()


def test_a_suppressor_survives_ranks_higher_and_overlaps(run):
    detector, _, traces = run
    config = detector.config
    first = getattr(config, "rpn", config)
    of_first = first.proposals.nms_threshold if hasattr(first, "proposals") else config.nms_threshold
    of_last = config.rois.nms_threshold if hasattr(config, "rois") else of_first
    for traced in traces:
        for filtered, threshold in ((traced.anchors.filtered, of_first), (traced.last, of_last)):
            c = filtered.candidates
            weak = torch.where(filtered.suppressor >= 0)[0]
            strong = filtered.suppressor[weak]
            assert (filtered.rank[strong] >= 0).all()
            assert (c.ranking[strong] >= c.ranking[weak]).all()
            assert (c.group[strong] == c.group[weak]).all()
            assert (iou(c.boxes[weak], c.boxes[strong]).diagonal() > threshold - 1e-5).all()


def test_boxes_and_ranks_of_all_anchors(run):
    _, raw, traces = run
    for i, traced in enumerate(traces):
        a = traced.anchors
        torch.testing.assert_close(a.decoded, decode(raw.deltas[i], raw.anchors))
        torch.testing.assert_close(a.boxes, clip(a.decoded, raw.images.sizes[i]))
        assert torch.bincount(a.level).tolist() == list(raw.levels)
        best = a.logits if a.logits.ndim == 1 else a.logits.amax(1)
        for level in range(len(raw.levels)):
            own = torch.where(a.level == level)[0]
            ordered = best[own][a.rank[own].argsort()]
            assert a.rank[own].sort().values.equal(torch.arange(len(own)))
            assert (ordered[:-1] >= ordered[1:]).all()


def test_the_best_of_each_level_are_candidates(detectors):
    detector = detectors["rpn"]
    with torch.no_grad():
        raw = detector(photographs(1))
        a = trace(detector, raw)[0].anchors
    among = torch.zeros(len(a.anchors), dtype=torch.bool)
    among[a.filtered.candidates.row] = True
    assert among.equal(a.rank < detector.config.proposals.top_per_level)  # no two logits are equal here
    assert (a.level[a.filtered.candidates.row] == a.filtered.candidates.group).all()


def test_rois_are_the_proposals_in_their_order(detectors):
    detector = detectors["faster_rcnn"]
    settings = detector.config.rpn.proposals
    with torch.no_grad():
        raw = detector(photographs(2))
        proposals = propose(raw, settings, settings.top_per_level, settings.kept)
        for i, traced in enumerate(trace(detector, raw)):
            rois, first = traced.rois, traced.anchors.filtered
            assert torch.equal(rois.proposals, proposals.boxes[i, : proposals.count[i]])
            assert torch.equal(first.candidates.boxes[first.kept], rois.proposals)
            assert rois.scores.shape == (len(rois.proposals), len(NAMES) + 1)
            torch.testing.assert_close(rois.scores.sum(1), torch.ones(len(rois.scores)))
            c = rois.filtered.candidates
            above = torch.stack(torch.where(rois.scores[:, :-1] > detector.config.rois.min_score))
            assert torch.stack([c.row, c.group]).equal(above)
            assert torch.equal(rois.boxes[c.row, c.group], c.boxes)


def test_another_detector_has_no_trace():
    with pytest.raises(TypeError, match=r"^detector: found Linear, wanted a detector of masu$"):
        trace(torch.nn.Linear(1, 1), None)
