import torch
from torch import nn

from masu.training.average import Average


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.moving, self.still = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2))
        self.still.requires_grad_(False)
        self.register_buffer("statistic", torch.zeros(1))


def test_by_hand():
    net = Net()
    average = Average(net, 0.5)
    for step, value in enumerate((10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, 5120.0)):
        with torch.no_grad():
            net.moving.fill_(value)
            net.statistic.fill_(value)
        average.update(step)
        if step == 0:
            assert average.detector.moving.tolist() == [9.0, 9.0]  # a tenth of 0 and nine of 10
        if step == 1:
            torch.testing.assert_close(average.detector.moving, torch.full((2,), 9 * 2 / 11 + 20 * 9 / 11))
    before = average.detector.moving.clone()
    with torch.no_grad():
        net.moving.zero_()
    average.update(10**6)
    torch.testing.assert_close(average.detector.moving, before / 2)
    assert average.detector.statistic.tolist() == [5120.0]
    assert average.detector.still.tolist() == [1.0, 1.0]


def test_weights_that_stay_are_their_own_average():
    net = nn.Linear(3, 2)
    average = Average(net, 0.9)
    for step in range(5):
        average.update(step)
    torch.testing.assert_close(average.detector.weight, net.weight)
    assert average.detector.weight.data_ptr() != net.weight.data_ptr()
