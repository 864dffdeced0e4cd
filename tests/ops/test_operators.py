"""What the plain functions become in an exported graph: the same answers, in torch and in ONNX Runtime."""

import onnxruntime
import pytest
import torch
from torch import nn
from torch.export import Dim

from masu.exports.onnx_operators import TRANSLATIONS
from masu.ops import assign_levels, best_first, roi_align, suppress, top_k

ABSENT = -torch.inf


class _Plain(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def exported(function, inputs, free, tmp_path):
    """The function's program of torch.export, and its session in ONNX Runtime, as functions of tensors."""
    program = torch.export.export(_Plain(function), inputs, dynamic_shapes=(free,), strict=False)
    called = {str(node.target) for node in program.graph.nodes if str(node.target).startswith("masu.")}
    module = program.module(check_guards=False)
    file = tmp_path / "function.onnx"
    torch.onnx.export(program, dynamo=True, custom_translation_table=TRANSLATIONS, verbose=False).save(file)
    session = onnxruntime.InferenceSession(file)
    names = [place.name for place in session.get_inputs()]

    def run(*given):
        of_onnx = session.run(None, {name: x.numpy() for name, x in zip(names, given, strict=True)})
        return [torch.from_numpy(x) for x in of_onnx]

    return module, run, called


def lists(seed, count):
    """Three lists of boxes of which no two overlap by nearly the threshold, some rows absent."""
    g = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 8, (3, 30, 2), generator=g).float() * 7
    boxes = torch.cat([corner, corner + 20 + torch.randint(0, 4, (3, 30, 2), generator=g) * 5], dim=2)
    scores = torch.stack([torch.randperm(30, generator=g) for _ in range(3)]) / 30 - 0.5
    scores[torch.rand(scores.shape, generator=g) < 0.3] = ABSENT
    return boxes, scores, torch.randint(0, count, scores.shape, generator=g)


@pytest.mark.parametrize("count", [1, 4])
def test_suppress(count, tmp_path):
    def function(boxes, scores, groups=None):
        return suppress(boxes, scores, groups, 0.523, count)

    many = 3 if count > 1 else 2
    free = ({0: Dim("B"), 1: Dim("S")},) * many
    module, run, called = exported(function, lists(0, count)[:many], free, tmp_path)
    assert called == {"masu.suppress.default"}
    dropped = 0
    for seed in range(5):
        given = lists(seed, count)[:many]
        if seed == 4:
            given = tuple(x[:1, :9] for x in given)
        wanted = function(*given)
        assert torch.equal(module(*given), wanted)
        assert torch.equal(run(*given)[0], wanted)
        dropped += int(((given[1] > ABSENT) & ~wanted).sum())
    assert dropped > 20


@pytest.mark.parametrize("above", [ABSENT, 0.25])
@pytest.mark.parametrize("k", [3, 12])
def test_the_best(above, k, tmp_path):
    def function(scores):
        return *top_k(scores, k, above), *best_first(scores, k)

    g = torch.Generator().manual_seed(0)
    module, run, called = exported(function, (torch.rand(2, 8),), ({0: Dim("N"), 1: Dim("S")},), tmp_path)
    assert not called
    for shape in ((2, 8), (1, 5), (3, 40)):
        scores = torch.randperm(shape[0] * shape[1], generator=g).reshape(shape) / 50
        scores[torch.rand(shape, generator=g) < 0.3] = ABSENT
        wanted = function(scores)
        for found in (module(scores), run(scores)):
            for a, b in zip(found, wanted, strict=True):
                assert torch.equal(a, b)


def test_roi_align_is_one_operator(tmp_path):
    strides = (4, 8)

    def function(fine, coarse, boxes, image):
        return roi_align([fine, coarse], boxes, image, assign_levels(boxes, strides, 32, 3), strides, 3)

    def inputs(count):
        g = torch.Generator().manual_seed(count)
        corner = torch.rand(count, 2, generator=g) * 40
        boxes = torch.cat([corner, corner + 4 + 40 * torch.rand(count, 2, generator=g)], dim=1)
        maps = [torch.randn(2, 5, 64 // s, 64 // s, generator=g) for s in strides]
        return *maps, boxes, torch.arange(count) % 2

    free = (None, None, {0: Dim("R")}, {0: Dim("R")})
    module, run, called = exported(function, inputs(6), free, tmp_path)
    assert called == {"masu.pool.default"}
    for count in (6, 1, 40):
        given = inputs(count)
        wanted = function(*given)
        assert torch.equal(module(*given), wanted)
        torch.testing.assert_close(run(*given)[0], wanted, rtol=0, atol=1e-5)
