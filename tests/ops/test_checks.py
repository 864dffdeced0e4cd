"""What does not fit is refused by name before compiled code reads memory by it; narrow types are widened."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from masu import ops
from masu.ops.conv3x3 import conv3x3, prepare
from masu.ops.nms import compiled

MANY = 1200
"""Boxes enough for the compiled form."""

SQUARES = torch.tensor([[0.0, 0, 300, 300], [0, 0, 300, 150], [900, 900, 901, 901]])
"""Their areas, 90,000 and 45,000, are beyond half precision; IoU of the first two is one half."""


def boxes(*shape):
    return torch.zeros(*shape, 4)


def rows(*shape):
    return torch.zeros(*shape)


def whole(*shape):
    return torch.zeros(*shape, dtype=torch.int64)


MAPS = [rows(2, 3, 8, 8), rows(2, 3, 4, 4)]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ops.nms(boxes(5), rows(300), 0.5), "scores: found shape (300,), wanted (5,), one per box"),
        (
            lambda: ops.nms(boxes(MANY), rows(9), 0.5),
            f"scores: found shape (9,), wanted ({MANY},), one per box",
        ),
        (
            lambda: ops.nms(rows(MANY, 3), rows(MANY), 0.5),
            f"boxes: found shape ({MANY}, 3), wanted (R, 4)",
        ),
        (lambda: ops.nms(rows(4), rows(4), 0.5), "boxes: found shape (4,), wanted (R, 4)"),
        (lambda: ops.nms(boxes(5), rows(5), 0.5, -1), "limit: found -1, wanted at least 0"),
        (
            lambda: ops.batched_nms(boxes(5), rows(5), whole(4), 0.5),
            "groups: found shape (4,), wanted (5,), one per box",
        ),
        (
            lambda: ops.batched_nms(boxes(5), rows(5), rows(5), 0.5),
            "groups: found torch.float32, wanted whole numbers",
        ),
        (
            lambda: ops.suppress(rows(2, 5, 3), rows(2, 5), None, 0.5),
            "boxes: found shape (2, 5, 3), wanted (B, S, 4)",
        ),
        (lambda: ops.iou(boxes(5), rows(5, 3)), "b: found shape (5, 3), wanted (..., S, 4)"),
        (lambda: ops.iou(rows(4), boxes(2)), "a: found shape (4,), wanted (..., R, 4)"),
        (lambda: ops.area(rows(5, 5)), "boxes: found shape (5, 5), wanted (..., 4)"),
        (lambda: ops.covered(boxes(5), rows(2, 5)), "regions: found shape (2, 5), wanted (S, 4)"),
        (lambda: ops.clip(boxes(5), rows(3)), "sizes: found shape (3,), wanted (..., 2)"),
        (lambda: ops.resize(boxes(5), rows(2), rows(4)), "new: found shape (4,), wanted (..., 2)"),
        (lambda: ops.degenerate(rows(5, 2), 1), "boxes: found shape (5, 2), wanted (..., 4)"),
        (
            lambda: ops.match(boxes(5), rows(3, 5), 0.5, 0.4),
            "objects: found shape (3, 5), wanted (M, 4)",
        ),
        (
            lambda: ops.match(rows(0, 3), boxes(3), 0.5, 0.4),
            "anchors: found shape (0, 3), wanted (R, 4)",
        ),
        (
            lambda: ops.roi_align(MAPS, boxes(2), whole(2), whole(2), (4,)),
            "features: found 2 levels, wanted 1, one per stride",
        ),
        (
            lambda: ops.roi_align([MAPS[0], rows(2, 4, 4, 4)], boxes(2), whole(2), whole(2), (4, 8)),
            "features[1]: found shape (2, 4, 4, 4), wanted (2, 3, H, W), images and channels of the first level",
        ),
        (
            lambda: ops.roi_align(MAPS, rows(2, 5), whole(2), whole(2), (4, 8)),
            "boxes: found shape (2, 5), wanted (R, 4)",
        ),
        (
            lambda: ops.roi_align(MAPS, boxes(2), whole(3), whole(2), (4, 8)),
            "image: found shape (3,), wanted (2,), one per box",
        ),
        (
            lambda: ops.roi_align(MAPS, boxes(2), whole(2) + 2, whole(2), (4, 8)),
            "image: found 2, wanted 0..1",
        ),
        (
            lambda: ops.roi_align(MAPS, boxes(2), whole(2), whole(2) - 1, (4, 8)),
            "level: found -1, wanted 0..1",
        ),
        (
            lambda: ops.roi_align(MAPS, boxes(2), rows(2), whole(2), (4, 8)),
            "image: found torch.float32, wanted torch.int64",
        ),
        (
            lambda: conv3x3(rows(1, 128, 40, 40), rows(128, 128, 5, 5)),
            "weight: found shape (128, 128, 5, 5), wanted (O, C, 3, 3)",
        ),
        (
            lambda: conv3x3(rows(1, 130, 40, 40), rows(128, 128, 3, 3)),
            "x: found shape (1, 130, 40, 40), wanted (N, 128, H, W), with the channels of the weight",
        ),
        (
            lambda: conv3x3(rows(1, 128, 40, 40), rows(128, 128, 3, 3), rows(1)),
            "bias: found shape (1,), wanted (128,), one per output channel",
        ),
        (
            lambda: conv3x3(rows(1, 128, 40, 40), rows(128, 128, 3, 3), out=rows(1, 128, 40, 41)),
            "out: found shape (1, 128, 40, 41), wanted (1, 128, 40, 40)",
        ),
        (
            lambda: conv3x3(
                rows(1, 128, 40, 40), rows(128, 128, 3, 3), prepared=prepare(rows(129, 128, 3, 3))
            ),
            "prepared: found shape (36, 128, 129), wanted (36, 128, 128), what prepare(weight) gives",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, said):
    with pytest.raises(ValueError) as error:  # noqa: PT011 the whole line is compared
        call()
    assert str(error.value) == said


@pytest.mark.skipif(compiled() is None, reason="numba is not installed")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boxes": np.zeros((5, 3), np.float32)}, "boxes: found shape (5, 3) of float32, wanted (5, 4) of"),
        ({"boxes": np.zeros((5, 4))}, "boxes: found shape (5, 4) of float64, wanted (5, 4) of float32"),
        ({"groups": np.zeros(4, np.int64)}, "groups: found shape (4,) of int64, wanted (5,) of int64"),
        ({"order": np.arange(300)}, "order: found 0 to 299, wanted 0..4"),
        ({"order": np.array([-1])}, "order: found -1 to -1, wanted 0..4"),
        ({"order": np.zeros((2, 2), np.int64)}, "order: found shape (2, 2) of int64, wanted (2,) of int64"),
        ({"limit": -1}, "limit: found -1, wanted at least 0"),
    ],
)
def test_compiled_code_is_given_no_row_that_is_not_there(change, said):
    given = {
        "boxes": np.zeros((5, 4), np.float32),
        "groups": np.zeros(5, np.int64),
        "order": np.arange(5),
        "threshold": 0.5,
        "limit": 5,
    }
    assert compiled()(**given).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"^(boxes|groups|order|limit): ") as error:
        compiled()(**given | change)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16])
def test_narrow_boxes_are_compared_in_single_precision(kind):
    # every coordinate but 901 is exact in bfloat16; there it becomes 900, a box without area
    narrow, wide = SQUARES[:2].to(kind), SQUARES[:2]
    assert ops.area(narrow).tolist() == [90000, 45000]
    assert ops.iou(narrow, wide).tolist() == [[1, 0.5], [0.5, 1]]
    assert ops.iou(narrow, narrow).dtype == torch.float32
    assert ops.covered(narrow, narrow[1:]).tolist() == [0.5, 1]
    assert ops.clip(narrow, torch.tensor([200, 100])).tolist() == [[0, 0, 100, 200], [0, 0, 100, 150]]
    scores = torch.tensor([0.5, 0.25])
    for own in (scores, scores.to(torch.float16)):
        assert ops.nms(narrow, own, 0.4).tolist() == [0]
        assert ops.nms(narrow, own, 0.6).tolist() == [0, 1]
    index, label = ops.match(narrow, wide[1:], 0.5, 0.4)
    assert (index.tolist(), label.tolist()) == ([0, 0], [1, 1])


def test_whole_pixels_of_a_byte_do_not_wrap_around():
    small = torch.tensor([[0, 0, 200, 200], [100, 0, 255, 200]], dtype=torch.uint8)
    assert ops.area(small).tolist() == [40000, 31000]
    assert_close(ops.iou(small, small)[0, 1].item(), 20000 / 51000)
    assert not ops.degenerate(small, 100).any()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_many_boxes_of_another_type_are_kept_as_those_of_single_precision(kind):
    corner = torch.randint(0, 60, (MANY, 2), generator=torch.Generator().manual_seed(0)) * 4
    every = torch.cat([corner, corner + 32], 1)  # exact in every type
    scores = torch.linspace(1, 0, MANY).to(torch.bfloat16)
    kept = ops.nms(every.float(), scores.float(), 0.5)
    assert 10 < len(kept) < MANY
    assert torch.equal(ops.nms(every.to(kind), scores, 0.5), kept)


def test_mixed_precision_matches_in_the_wider_one():
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    for objects in (anchors.double(), anchors.half(), anchors.long()):
        index, label = ops.match(anchors, objects, 0.7, 0.3)
        assert (index.tolist(), label.tolist()) == ([0, 1], [1, 1])
    blocks = ops.match(anchors.half().repeat(3000, 1), anchors.double().repeat(100, 1), 0.7, 0.3)
    assert blocks[0][:4].tolist() == [0, 1, 0, 1]


def test_complex_numbers_are_no_boxes():
    with pytest.raises(ValueError, match=r"found torch\.complex64, wanted real numbers"):
        ops.area(torch.zeros(1, 4, dtype=torch.complex64))
