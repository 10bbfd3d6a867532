"""Batch normalisation: torch's numbers, and a gradient that survives cancelling."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from models import reference
from models.batch_norm import BatchNorm
from models.build import build

SHAPES = [(4, 3, 1, 50), (2, 16, 1, 7), (64, 8, 1, 1), (3, 5, 1, 129)]


def pair(channels: int) -> tuple[BatchNorm, nn.BatchNorm2d]:
    ours, torchs = BatchNorm(channels), nn.BatchNorm2d(channels)
    with torch.no_grad():
        ours.weight.uniform_(0.5, 2)
        ours.bias.uniform_(-1, 1)
    torchs.load_state_dict(ours.state_dict())
    return ours.train(), torchs.train()


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_to_torchs_in_double_precision(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours, torchs = pair(shape[1])
    torchs.double()
    x = (torch.randn(shape) * 3 + 5).to(memory_format=torch.channels_last)
    y = x.double().requires_grad_()
    x.requires_grad_()
    for _ in range(3):  # running statistics accumulate
        ours.zero_grad()
        torchs.zero_grad()
        x.grad = y.grad = None
        out, want = ours(x), torchs(y)
        assert out.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(out.double(), want, atol=2e-5, rtol=2e-5)
        given = torch.randn(shape)
        out.backward(given)
        want.backward(given.double())
        torch.testing.assert_close(x.grad.double(), y.grad, atol=2e-5, rtol=1e-4)
        for own, other in zip(ours.parameters(), torchs.parameters(), strict=True):
            torch.testing.assert_close(own.grad.double(), other.grad, atol=1e-4, rtol=1e-4)
    assert ours.num_batches_tracked == 0  # nobody reads it
    ours.num_batches_tracked += 3
    for name, value in torchs.state_dict().items():
        torch.testing.assert_close(
            ours.state_dict()[name].double(), value.double(), atol=1e-5, rtol=1e-5
        )
    torch.testing.assert_close(ours.eval()(x).double(), torchs.eval()(y), atol=2e-5, rtol=2e-5)


def test_gradient_of_a_nearly_constant_one_survives() -> None:
    """dy the same but for a thousandth: what is left is what torch finds in double precision."""
    torch.manual_seed(1)
    ours, torchs = pair(12)
    torchs.double()
    x = torch.rand(64, 12, 1, 500).to(memory_format=torch.channels_last).requires_grad_()
    y = x.detach().double().requires_grad_()
    given = (1 + 1e-3 * torch.randn(64, 12, 1, 1)).expand(64, 12, 1, 500)
    ours(x).backward(given)
    torchs(y).backward(given.double())
    assert x.grad is not None
    assert y.grad is not None
    error = (x.grad.double() - y.grad).norm() / y.grad.norm()
    assert error < 1e-3
    native = nn.BatchNorm2d(12)
    native.load_state_dict(ours.state_dict())
    z = x.detach().clone(memory_format=torch.channels_last).requires_grad_()
    native.train()(z).backward(given)
    assert z.grad is not None
    # Why the class exists; if torch's kernel gets as good, it can go.
    assert (z.grad.double() - y.grad).norm() / y.grad.norm() > 3 * error


def test_gradient_of_a_whole_network_is_accurate() -> None:
    torch.manual_seed(0)
    network = build(reference("mobilenetv2@0.13"), 12, 5).train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    exact = copy.deepcopy(network).double()
    x, y = torch.randn(32, 12, 400), (torch.rand(32, 5) < 0.2).float()
    gradients = []
    for one, signals, labels in ((network, x, y), (exact, x.double(), y.double())):
        nn.functional.binary_cross_entropy_with_logits(one(signals), labels).backward()
        gradients.append(torch.cat([p.grad.double().flatten() for p in one.parameters()]))
    ours, want = gradients
    assert (ours - want).norm() < 0.02 * want.norm()


def test_activation_in_place_and_second_use_keep_the_gradient() -> None:
    torch.manual_seed(2)
    ours, torchs = pair(6)
    x = torch.randn(8, 6, 1, 40).to(memory_format=torch.channels_last).requires_grad_()
    y = x.detach().clone().requires_grad_()
    loss = nn.ReLU(inplace=True)(ours(x)).square().sum() + x.sum()
    want = nn.ReLU(inplace=True)(torchs(y)).square().sum() + y.sum()
    loss.backward()
    want.backward()
    torch.testing.assert_close(x.grad, y.grad, atol=1e-4, rtol=1e-4)


def test_other_inputs_take_torchs_own_way() -> None:
    ours, torchs = pair(6)
    for x in (torch.randn(9, 6), torch.randn(4, 6, 1, 10), torch.randn(4, 6, 1, 10).double()):
        one, other = copy.deepcopy(ours), copy.deepcopy(torchs)
        if x.dtype is torch.float64:
            one.double()
            other.double()
        want = other(x[:, :, None, None])[:, :, 0, 0] if x.dim() == 2 else other(x)
        torch.testing.assert_close(one(x), want)
    with pytest.raises(ValueError, match="2 or 4 dimensions"):
        ours(torch.randn(3, 6, 4))
