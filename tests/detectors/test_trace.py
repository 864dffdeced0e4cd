"""The law of traces, and each of their statements against a plain reading of the raw outputs."""

from dataclasses import replace

import pytest
import torch

from masu.detectors.build import build, make
from masu.detectors.trace import trace
from masu.ops.geometry import clip, iou, resize
from tests.detectors.test_detectors import NAMES, SMALL_FCOS, SMALL_RETINANET, SMALL_RPN, photographs
from tests.networks import spread, spread_points


@pytest.fixture(scope="module")
def detectors():
    torch.manual_seed(0)
    two = spread(build("faster_rcnn_lite0_fpn", NAMES, image_size=128))
    two.config = replace(two.config, rois=replace(two.config.rois, detections_per_img=25))
    cascade = spread(build("cascade_rcnn_lite0_fpn", NAMES, image_size=128))
    one = make(replace(SMALL_RETINANET, pre_nms_top_n=60, detections_per_img=25), NAMES)
    torch.nn.init.normal_(one.head.classes.output.weight, std=0.5)
    rpn = make(SMALL_RPN, ())
    torch.nn.init.normal_(rpn.head.objectness.weight, std=0.5)
    points = spread_points(make(replace(SMALL_FCOS, pre_nms_top_n=60, detections_per_img=25), NAMES))
    one_stage = {"retinanet": one.eval(), "rpn": rpn.eval(), "fcos": points}
    return {"faster_rcnn": two, "cascade_rcnn": cascade, **one_stage}


@pytest.fixture(params=["faster_rcnn", "cascade_rcnn", "retinanet", "rpn", "fcos"])
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
        for stage in traced.stages:
            suppressed, survived = stage.suppressor >= 0, stage.rank >= 0
            assert (suppressed | survived).equal(~stage.small)
            assert not (suppressed & survived).any()
            assert sorted(stage.rank[survived].tolist()) == list(range(int(survived.sum())))
            assert stage.rank[stage.kept].tolist() == list(range(len(stage.kept)))
            assert suppressed.any() == (stage.stage.nms_thresh is not None)


def test_a_suppressor_survives_ranks_higher_and_overlaps(run):
    _, _, traces = run
    for traced in traces:
        for stage in traced.stages:
            if stage.stage.nms_thresh is None:
                continue
            weak = torch.where(stage.suppressor >= 0)[0]
            strong = stage.suppressor[weak]
            assert (stage.rank[strong] >= 0).all()
            assert (stage.candidate_ranking[strong] >= stage.candidate_ranking[weak]).all()
            assert (stage.group[strong] == stage.group[weak]).all()
            overlap = iou(stage.candidate_boxes[weak], stage.candidate_boxes[strong]).diagonal()
            assert (overlap > stage.stage.nms_thresh - 1e-5).all()


def test_boxes_and_ranks_of_all_anchors(run):
    detector, raw, traces = run
    for i, traced in enumerate(traces):
        a = traced.first
        assert torch.equal(a.started, raw.anchors)
        torch.testing.assert_close(a.decoded[:, 0], detector.stages[0].decode(raw.deltas[i], raw.anchors))
        torch.testing.assert_close(a.boxes, clip(a.decoded, raw.images.sizes[i]))
        assert torch.bincount(a.level).tolist() == list(raw.counts)
        best, ranks = a.ranking.amax(1), a.rank_in_level
        for level in range(len(raw.levels)):
            own = torch.where(a.level == level)[0]
            ordered = best[own][ranks[own].argsort()]
            assert ranks[own].sort().values.equal(torch.arange(len(own)))
            assert (ordered[:-1] >= ordered[1:]).all()


def test_the_best_of_each_level_are_candidates(detectors):
    detector = detectors["rpn"]
    with torch.no_grad():
        raw = detector(photographs(1))
        a = trace(detector, raw)[0].first
    among = torch.zeros(len(a.started), dtype=torch.bool)
    among[a.row] = True
    assert among.equal(
        a.rank_in_level < detector.config.proposals.pre_nms_top_n
    )  # no two logits are equal here
    assert (a.level[a.row] == a.group).all()


def test_the_kept_boxes_are_the_final_ones_wherever_they_are_voted_to(run):
    """They stay among those of their class that took part, and differ from what was decoded only by voting."""
    _, _, traces = run
    for traced in traces:
        last = traced.last
        final = resize(last.kept_boxes, traced.size, traced.original_size)
        assert torch.equal(final, traced.detections.boxes)
        for stage in traced.stages:
            stayed = torch.equal(stage.kept_boxes, stage.candidate_boxes[stage.kept])
            assert stayed == (stage.stage.vote_sigma == 0)
            for k, box in zip(stage.kept.tolist(), stage.kept_boxes, strict=True):
                own = stage.candidate_boxes[(stage.group == stage.group[k]) & ~stage.small]
                assert (box >= own.amin(0) - 1e-3).all()
                assert (box <= own.amax(0) + 1e-3).all()


def test_rois_are_the_proposals_in_their_order(detectors):
    detector = detectors["faster_rcnn"]
    with torch.no_grad():
        raw = detector(photographs(2))
        proposals = detector.process(raw)[0].kept
        for i, traced in enumerate(trace(detector, raw)):
            rois, first = traced.last, traced.first
            assert torch.equal(rois.started, proposals.boxes[i, : proposals.count[i]])
            assert torch.equal(first.candidate_boxes[first.kept], rois.started)
            assert rois.ranking.shape == (len(rois.started), len(NAMES))
            whole = rois.ranking.sum(1) + rois.background
            torch.testing.assert_close(whole, torch.ones(len(whole)))
            above = torch.stack(torch.where(detector.config.rois.score_thresh < rois.ranking.T))
            assert torch.stack([rois.group, rois.row]).equal(above)
            assert torch.equal(rois.boxes[rois.row, rois.group], rois.candidate_boxes)
