"""What lies between the parts of a partitioned graph: it is what a detector's stages do, in NumPy."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from masu.detectors.stages import PROPOSAL_REASONS, Rows, Stage, step
from masu.ops.images import InputPolicy, bilinear, resized_size
from masu.partition import Kept, Partition, PartitionedGraph, Step, fitted_size, keep, on_canvas

STEP = Step(
    rows=(3,),
    by_class=True,
    ranks_logits=False,
    least=0.1,
    pre_nms_top_n=None,
    min_size=1.0,
    nms_thresh=0.5,
    limit=2,
)
PARTITION = Partition((64, 96), 64, 96, (127.5, 127.5, 127.5), (STEP,), None)


def test_a_step_by_hand():
    """The first two boxes are one box: of each class the better one stays, and a box without height goes."""
    boxes = np.array([[[0, 0, 10, 10]], [[0, 1, 10, 11]], [[5, 5, 9, 5]]], np.float32)
    ranking = np.array([[0.9, 0.3], [0.8, 0.05], [0.7, 0.7]], np.float32)
    kept = keep(STEP, ranking, boxes, (8, 9))
    assert kept.boxes.tolist() == [[0, 0, 9, 8], [0, 0, 9, 8]]
    assert kept.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(kept.ranking, np.array([0.9, 0.3], np.float32))


@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("most", "levels"), [(20, (40, 25)), (None, (50,))])
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_a_step_is_a_stage_s(by_class, shared, most, levels, sigma):
    classes = 3 if by_class else 1
    random = torch.Generator().manual_seed(len(levels))
    rows = []
    for count in levels:
        start = torch.rand((count, 2), generator=random) * 60
        boxes = torch.cat([start, start + 30 * torch.rand((count, 2), generator=random)], 1)
        moves = 4 * torch.rand((1, count, 1 if shared else classes, 4), generator=random)
        rows.append(Rows(boxes, torch.randn((1, count, classes), generator=random), moves))
    stage = Stage(
        name="x",
        look=lambda raw, given: rows,
        decode=lambda deltas, boxes: boxes + deltas,
        reasons=PROPOSAL_REASONS,
        by_class=by_class,
        score_thresh=0.3,
        pre_nms_top_n=most,
        min_size=2.0,
        nms_thresh=0.3,
        limit=15,
        vote_sigma=sigma,
    )
    wanted = step(stage, rows, torch.tensor([[50, 70]])).kept
    own = replace(
        STEP,
        rows=levels,
        by_class=by_class,
        ranks_logits=True,
        least=stage.least,
        pre_nms_top_n=most,
        min_size=2.0,
        nms_thresh=0.3,
        limit=15,
        vote_sigma=sigma,
    )
    ranking = torch.cat([x.ranking[0] for x in rows]).numpy()
    boxes = torch.cat([x.boxes[:, None] + x.deltas[0] for x in rows]).numpy()
    kept = keep(own, ranking, boxes, (50, 70))
    count = int(wanted.count)
    assert len(kept.boxes) == count > 5
    means = 1e-5 if sigma == 0 else 1e-4  # of single precision: sums in another order
    np.testing.assert_allclose(kept.boxes, wanted.boxes[0, :count].numpy(), atol=means)
    assert kept.labels.tolist() == wanted.labels[0, :count].tolist()


def test_nothing_is_kept_of_nothing():
    kept = keep(STEP, np.zeros((3, 2), np.float32), np.zeros((3, 1, 4), np.float32), (8, 8))
    assert (kept.boxes.shape, kept.labels.tolist()) == ((0, 4), [])


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [(480, 640, (64, 85)), (640, 480, (64, 48)), (32, 48, (64, 96)), (10, 1000, (1, 96)), (64, 96, (64, 96))],
)
def test_an_image_is_as_the_model_wants_it_or_smaller(height, width, wanted):
    assert fitted_size(height, width, PARTITION) == wanted
    policy = InputPolicy(64, 96)
    larger = replace(PARTITION, canvas=(128, 128))
    assert fitted_size(height, width, larger) == resized_size(height, width, policy)


def test_the_canvas_is_that_of_a_batch():
    image = torch.randint(0, 256, (3, 47, 61), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    made, size = on_canvas(image.permute(1, 2, 0).numpy(), PARTITION)
    assert (made.shape, made.dtype, size) == ((1, 64, 96, 3), np.float32, (64, 83))
    wanted = bilinear(image, size, torch.float32).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(made[0, :64, :83], wanted, atol=1e-3)
    assert (made[0, :, 83:] == 127.5).all()


def test_scores_are_calibrated_and_in_order():
    points = (((0.0, 0.0), (0.5, 0.1), (1.0, 1.0)), ((0.0, 0.0), (1.0, 1.0)))
    boxes = np.array([[[0, 0, 8, 8]], [[20, 20, 40, 40]], [[0, 0, 0, 0]]], np.float32)
    ranking = np.array([[0.5, 0], [0, 0.3], [0, 0]], np.float32)
    graph = PartitionedGraph(
        replace(PARTITION, calibration=points), lambda part, given: [ranking[None], boxes[None]], None
    )
    image = np.zeros((2, 64, 96, 3), np.uint8)
    found, scores, labels, count = graph(image)
    assert count.tolist() == [2, 2]
    assert labels[0].tolist() == [1, 0]
    np.testing.assert_allclose(scores[0], [0.3, 0.1], atol=1e-7)
    assert found[1].tolist() == [[20, 20, 40, 40], [0, 0, 8, 8]]
    plain = PartitionedGraph(PARTITION, lambda part, given: [ranking[None], boxes[None]], None)
    np.testing.assert_allclose(plain(image)[1][0], [0.5, 0.3], atol=1e-7)
    assert isinstance(keep(STEP, ranking, boxes, (64, 96)), Kept)


def test_what_is_written_is_read():
    partition = replace(PARTITION, calibration=(((0.0, 0.0), (1.0, 1.0)),))
    assert Partition.from_json(partition.to_json()) == partition
    values = json.loads(partition.to_json())
    for broken in ("[]", "{}", json.dumps(values | {"canvas": [0, 9]}), json.dumps(values | {"steps": []})):
        with pytest.raises(ValueError, match=r"."):
            Partition.from_json(broken)
    with pytest.raises(ValueError, match="the entry"):
        Partition.from_json(json.dumps(values | {"other": 1}))
