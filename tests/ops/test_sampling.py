import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from masu.ops.sampling import sample

labels = st.lists(st.sampled_from([-1, 0, 0, 1, 3]), max_size=60).map(
    lambda x: torch.tensor(x, dtype=torch.int64)
)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_background_fills_what_objects_leave_over():
    positive, negative = sample(torch.tensor([1, 0, 0, -1, 0, 0]), 4, 0.5)
    assert positive.tolist() == [0]
    assert len(negative) == 3
    assert set(negative.tolist()) <= {1, 2, 4, 5}


def test_objects_are_held_to_their_share():
    positive, negative = sample(torch.tensor([1, 2, 3, 4, 5, 0]), 4, 0.5)
    assert (len(positive), negative.tolist()) == (2, [5])  # 5 objects, but no more than half of 4


@pytest.mark.parametrize("content", [[], [-1, -1]])
def test_nothing_to_draw(content):
    positive, negative = sample(torch.tensor(content, dtype=torch.int64), 4, 0.5)
    assert positive.shape == negative.shape == (0,)
    assert positive.dtype == negative.dtype == torch.int64


def test_no_budget():
    positive, negative = sample(torch.tensor([1, 0]), 0, 0.5)
    assert (positive.tolist(), negative.tolist()) == ([], [])


@given(labels, st.integers(0, 40), st.floats(0, 1), st.integers(0, 100))
@settings(max_examples=30)
def test_budget_share_and_kind(content, budget, fraction, seed):
    positive, negative = sample(content, budget, fraction, seeded(seed))
    assert len(positive) + len(negative) <= budget
    assert len(positive) <= budget * fraction
    assert (content[positive] > 0).all()
    assert (content[negative] == 0).all()
    assert len(set(positive.tolist())) == len(positive)
    assert len(set(negative.tolist())) == len(negative)
    wanted = min(int((content == 0).sum()), budget - len(positive))
    assert len(negative) == wanted


def test_equal_seeds_draw_equally_and_leave_the_global_state_alone():
    content = torch.tensor([0, 1] * 50)
    before = torch.get_rng_state()
    first, second, other = (sample(content, 20, 0.5, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@given(labels, st.integers(0, 40), st.sampled_from([0.25, 0.5, 1.0]), st.integers(0, 100))
@settings(max_examples=30)
def test_the_draw_is_torchvisions(content, budget, fraction, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        positive, negative = sample(content, budget, fraction)
        torch.manual_seed(seed)
        wanted_positive, wanted_negative = BalancedPositiveNegativeSampler(budget, fraction)([content])
    assert sorted(positive.tolist()) == torch.where(wanted_positive[0])[0].tolist()
    assert sorted(negative.tolist()) == torch.where(wanted_negative[0])[0].tolist()
