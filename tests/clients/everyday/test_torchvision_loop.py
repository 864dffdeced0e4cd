"""The training loop of torchvision's tutorials teaches a detector of masu."""

from examples.clients.with_torchvision import train
from tests.clients.learning import mean_loss


def test_it_learns(beginner, loader, pairs):
    before = mean_loss(beginner, pairs)
    after = train(beginner, loader, epochs=5)
    assert mean_loss(after, pairs) < 0.7 * before
    assert mean_loss(beginner, pairs) == before
    assert after.names == beginner.names
