"""Averaged weights against their closed form."""

from __future__ import annotations

import pytest
import torch

from search.training.averaging import AveragedWeights


def test_averaged_weights_follow_the_closed_form():
    network = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    torch.nn.init.constant_(network[0].weight, 0.0)
    averaged = AveragedWeights(network, horizon_steps=4)
    expected = 0.0
    for n in range(20):
        torch.nn.init.constant_(network[0].weight, float(n))
        network[1].running_mean.fill_(float(n))
        decay = min(0.75, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
        averaged.update()
    assert averaged.network[0].weight.item() == pytest.approx(expected, rel=1e-5)
    assert averaged.network[1].running_mean.item() == pytest.approx(expected, rel=1e-5)
    assert network[0].weight.item() == 19
