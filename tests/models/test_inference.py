"""Forms of a network that must compute the same: plain Conv1d, folded batch norms."""

import pytest
import torch
from torch import nn

from models import ModelError, load_space, reference
from models.batch_norm import BatchNorm
from models.build import build
from models.fold import fold_batch_norms
from models.latency import measure_latency
from models.plain import as_conv1d


def trained(network: nn.Module, samples: int = 300) -> nn.Module:
    """Move norms and weights away from where they start, by a few real steps."""
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=1e-2, fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.randn(8, 12, samples)).sin().sum().backward()
        optimizer.step()
    return network


def test_the_plain_conv1d_network_gives_the_same_numbers_and_gradients(ecg_cnn, draw):
    torch.manual_seed(0)
    for architecture in draw(ecg_cnn, 8, seed=11, max_flops=3e7):
        network = build(architecture).double()
        plain = as_conv1d(network)
        assert not any(isinstance(module, nn.Conv2d) for module in plain.modules())
        x = torch.randn(4, 12, 301, dtype=torch.float64)
        for _ in range(2):  # training mode: batch statistics, updated twice
            expected, logits = plain(x), network(x)
            torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-11)
        logits.sin().sum().backward()
        expected.sin().sum().backward()
        for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(
                ours.grad.flatten(), theirs.grad.flatten(), rtol=1e-5, atol=1e-6
            )
        torch.testing.assert_close(network.eval()(x), plain.eval()(x), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["xresnet1d50", "mobilenetv2", "convnext-atto", "inception1d"])
def test_references_in_plain_conv1d(name):
    network = build(reference(f"{name}@0.25")).double().eval()
    x = torch.randn(2, 12, 200, dtype=torch.float64)
    torch.testing.assert_close(network(x), as_conv1d(network)(x), rtol=1e-9, atol=1e-11)


def test_folded_batch_norms_change_nothing(ecg_cnn, draw):
    torch.manual_seed(0)
    for architecture in draw(ecg_cnn, 8, seed=12, max_flops=3e7):
        network = trained(build(architecture))
        before = {key: value.clone() for key, value in network.state_dict().items()}
        folded = fold_batch_norms(network)
        assert not any(isinstance(module, BatchNorm) for module in folded.modules())
        x = torch.randn(4, 12, 301)
        torch.testing.assert_close(folded(x), network.eval()(x), rtol=1e-3, atol=1e-4)
        assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_folding_keeps_norms_that_follow_no_convolution():
    network = trained(build(reference("se-wrn@0.5")))
    folded = fold_batch_norms(network)
    count = [sum(isinstance(m, BatchNorm) for m in n.modules()) for n in (network, folded)]
    assert 0 < count[1] < count[0]
    x = torch.randn(4, 12, 301)
    torch.testing.assert_close(folded(x), network.eval()(x), rtol=1e-3, atol=1e-4)


def test_latency_is_measured_and_leaves_the_network_as_it_was(ecg_cnn):
    big, small = build(reference("resnet18@0.5")).train(), build(reference("mobilenetv2@0.25"))
    threads = torch.get_num_threads()
    slow = measure_latency(big, repeats=9, batch=8)
    fast = measure_latency(small, repeats=9, samples=250)
    assert 0 < fast.low_ms <= fast.median_ms <= fast.high_ms
    assert fast.median_ms < slow.median_ms
    assert (slow.batch, slow.threads, slow.repeats) == (8, 1, 9)
    assert slow.device.startswith("cpu")
    assert big.training
    assert torch.get_num_threads() == threads
    with pytest.raises(ModelError, match="at least one"):
        measure_latency(small, repeats=0)


def test_hybrids_run_in_bfloat16_autocast(draw):
    hybrid = next(a for a in draw(load_space("ecg-hybrid"), 9) if a.factors["attention"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = build(hybrid)(torch.randn(2, 12, 100))
    assert torch.isfinite(logits).all()
