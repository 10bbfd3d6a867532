import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.build import build
from models.modules import DepthwiseConv


@pytest.mark.parametrize(
    ("batch", "leads", "samples", "outputs"),
    [(4, 12, 1000, 26), (2, 1, 333, 1), (3, 8, 5000, 5), (2, 12, 1, 26), (64, 2, 17, 3)],
)
def test_any_leads_length_and_outputs_train(ecg_cnn, draw, batch, leads, samples, outputs):
    for architecture in draw(ecg_cnn, 5, seed=samples, max_flops=3e7):
        network = build(architecture, leads=leads, outputs=outputs).train()
        logits = network(torch.randn(batch, leads, samples))
        assert logits.shape == (batch, outputs)
        logits.square().mean().backward()
        gradients = [parameter.grad for parameter in network.parameters()]
        assert all(gradient is not None for gradient in gradients)
        assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_every_weight_gets_a_gradient_after_one_step(ecg_cnn, draw):
    """A path that is built but never reaches the output would keep a gradient of zero."""
    torch.manual_seed(0)
    for architecture in draw(ecg_cnn, 6, seed=5, max_flops=2e7):
        network = build(architecture).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(2):  # norms and head start at or near zero: the second step sees all
            optimizer.zero_grad()
            network(torch.randn(8, 12, 300)).sin().sum().backward()
            optimizer.step()
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        assert all(conv.weight.grad.abs().max() > 0 for conv in convolutions)


def test_a_built_block_computes_what_its_description_says(ecg_cnn):
    """The whole forward pass again, in plain functional Conv1d calls."""
    values = {
        "depth": 3, "stages": 3, "width": 16, "width_growth": 1.5, "kernel_size": 5,
        "stem_kernel": 7,
        "expansion": 2.0, "grouping": "group16", "residual": True, "se_ratio": 0.25,
    }  # fmt: skip
    network = build(ecg_cnn.resolve(values)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # running statistics and scales away from 0 and 1
            for tensor in (module.weight, module.bias, module.running_mean):
                nn.init.normal_(tensor)
            nn.init.uniform_(module.running_var, 0.5, 2)
    convs = iter(m for m in network.modules() if isinstance(m, nn.Conv2d))
    norms = iter(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    linears = iter(m for m in network.modules() if isinstance(m, nn.Linear))

    def conv(x, stride=1, groups=1):
        weight = next(convs).weight[:, :, 0]
        x = F.conv1d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        norm = next(norms)
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)

    x = inputs = torch.randn(3, 12, 501)
    x = conv(x, stride=2).relu()
    for inner in (32, 48, 80):  # 2 × widths 16, 24, 36 → 40, in groups of 16
        x = conv(F.avg_pool1d(x, 2, ceil_mode=True)).relu()
        skip = x
        x = conv(conv(x).relu(), groups=inner // 16).relu()
        first, second = next(linears), next(linears)
        assert first.out_features == inner // 4
        x = x * second(first(x.mean(-1)).relu()).sigmoid()[:, :, None]
        x = (conv(x) + skip).relu()
    expected = next(linears)(x.mean(-1))
    torch.testing.assert_close(network(inputs), expected, rtol=1e-4, atol=1e-5)


def test_depthwise_convolutions_stay_in_float32_under_cpu_autocast(ecg_cnn, draw):
    architecture = next(
        a for a in draw(ecg_cnn, 30, max_flops=3e7) if a.factors["grouping"] == "depthwise"
    )
    network = build(architecture)
    seen = {DepthwiseConv: set(), nn.Conv2d: set()}
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, _, out: seen[type(m)].add(out.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(torch.randn(2, 12, 200)).float().sum().backward()
    assert seen == {DepthwiseConv: {torch.float32}, nn.Conv2d: {torch.bfloat16}}


def test_weights_and_activations_are_channels_last(ecg_cnn, draw):
    network = build(draw(ecg_cnn, 1)[0])
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    outputs = []
    for conv in convolutions:
        conv.register_forward_hook(lambda _m, _i, out: outputs.append(out))
    network(torch.randn(2, 12, 400))
    channels_last = torch.channels_last
    assert all(conv.weight.is_contiguous(memory_format=channels_last) for conv in convolutions)
    assert all(out.is_contiguous(memory_format=channels_last) for out in outputs)


def test_same_seed_same_weights(ecg_cnn, draw):
    architecture = draw(ecg_cnn, 1)[0]
    torch.manual_seed(7)
    first = build(architecture).state_dict()
    torch.manual_seed(7)
    second = build(architecture).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("grouping", ["dense", "group16", "depthwise"])
def test_networks_learn_to_tell_rhythms_apart(ecg_cnn, grouping):
    """Fast from slow waves in noise, under one recipe: fresh records are classified right."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)

    def records(count):
        fast = torch.arange(count) % 2
        cycles = 4 + 8 * fast + torch.rand(count, generator=generator)
        phase = 6.3 * torch.rand(count, 1, generator=generator)
        wave = torch.sin(6.3 * cycles[:, None] * torch.linspace(0, 1, 200) + phase)
        noise = torch.randn(count, 2, 200, generator=generator)
        return wave[:, None] + noise, fast[:, None].float()

    values = {
        "depth": 6, "stages": 4, "width": 16, "width_growth": 1.5, "kernel_size": 5,
        "stem_kernel": 7, "expansion": 1.0, "grouping": grouping, "residual": True,
        "se_ratio": 0.25,
    }  # fmt: skip
    network = build(ecg_cnn.resolve(values), leads=2, outputs=1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    for _ in range(30):
        x, y = records(64)
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(network(x), y).backward()
        optimizer.step()
    x, y = records(400)
    accuracy = ((network.eval()(x) > 0) == (y > 0)).float().mean()
    assert accuracy > 0.9
