"""One step: its bits in mixed precision, how many operations it takes, and that it never waits."""

from __future__ import annotations

import contextlib
import copy
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from data_pipeline.batches import ResidentRecords
from models import Architecture, load_space, reference, sample_architectures
from models.build import build
from models.fold import fold_batch_norms
from models.modules import ChannelScale
from models.references import REFERENCES
from search.training.half_weights import HalfWeights
from search.training.recipe import Recipe
from search.training.run import Run, Trial, decayed_and_spared
from search.training.schedule import learning_rate
from tests.search.rhythms import FACTORS

SPACES = ("ecg-cnn", "ecg-cnn-2", "regnet1d", "ecg-hybrid")
GROUPINGS = ("dense", "group16", "depthwise")


def grouped(grouping: str, **changes: object) -> Architecture:
    return load_space("ecg-cnn").resolve(FACTORS | {"grouping": grouping} | changes)


def some_records(device: str, count: int = 8, samples: int = 500) -> ResidentRecords:
    generator = torch.Generator().manual_seed(0)
    signals = torch.randint(-3000, 3000, (count, 12, samples), generator=generator)
    labels = torch.rand((count, 5), generator=generator) < 0.3
    return ResidentRecords(
        signals=signals.to(torch.int16).to(device),
        labels=labels.float().to(device),
        step=0.001,
        sample_rate_hz=100.0,
        rows=np.arange(count),
        patients=np.arange(count),
    )


def run_of(architecture: Architecture, records: ResidentRecords, precision: str) -> Run:
    torch.manual_seed(0)
    recipe = Recipe(batch_size=8, average_epochs=1.0, precision=precision)
    run = Run(Trial(architecture, records, records, recipe, 0, precision), 8, None)
    run.network.train()
    return run


# ---- Mixed precision ---- #


class AutocastAlone:
    """What HalfWeights stands in for: the network's own weights, cast by autocast one by one."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def refresh(self) -> None:
        pass

    def hand_over_gradients(self) -> None:
        pass


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("micro_batch", [8, 3])
def test_weights_cast_at_once_give_autocasts_bits(grouping, micro_batch, one_thread):
    records = some_records("cpu")
    signals = records.signals.float() * records.step
    outcomes = []
    for alone in (False, True):
        run = run_of(grouped(grouping), records, "bf16")
        run.micro_batch = micro_batch
        if alone:
            run._half = AutocastAlone(run.network)
        for _ in range(3):
            run.step(signals, records.labels)
        outcomes.append(copy.deepcopy(run.network.state_dict()))
    for name, value in outcomes[1].items():
        assert torch.equal(outcomes[0][name], value), name


def test_all_but_convolutions_and_linear_layers_is_shared():
    run = run_of(grouped("depthwise"), some_records("cpu"), "bf16")
    half = HalfWeights(run.network)
    own, theirs = dict(run.network.named_parameters()), dict(half.network.named_parameters())
    assert own.keys() == theirs.keys()
    kinds = Counter(
        (value is own[name], value.dtype) for name, value in theirs.items() if value.ndim > 1
    )
    assert kinds[False, torch.bfloat16] > 0
    assert kinds[True, torch.float32] == 3  # the depthwise ones, on a CPU
    assert kinds.keys() == {(False, torch.bfloat16), (True, torch.float32)}
    for mine, twin in zip(run.network.buffers(), half.network.buffers(), strict=True):
        assert mine is twin


# ---- Operations ---- #


class Operations(TorchDispatchMode):
    """Counts what is computed: no views, no memory that is only set aside."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), more=None):
        name = str(function)
        if not function.is_view and not name.startswith(("aten.empty", "profiler.")):
            self.counts[name] += 1
        return function(*arguments, **(more or {}))


def test_operations_of_a_step_do_not_grow():
    """8 blocks with squeeze-and-excitation: 546 before weights were cast at once."""
    architecture = grouped("dense", depth=8, width=24, stages=4, kernel_size=7)
    records = some_records("cpu")
    run = run_of(architecture, records, "bf16")
    signals = records.signals.float() * records.step
    run.step(signals, records.labels)
    with Operations() as operations:
        run.step(signals, records.labels)
    total = sum(operations.counts.values())
    assert 200 < total <= 390, operations.counts.most_common(12)


class OnTheDeviceAlone(TorchDispatchMode):
    """Fails where the host waits for the device, or a tensor of the host takes part."""

    def __torch_dispatch__(self, function, types, arguments=(), more=None):
        assert "_local_scalar_dense" not in str(function), "the host waits for the device"
        tensors = [t for t in tree_leaves((arguments, more)) if isinstance(t, torch.Tensor)]
        stray = [tuple(t.shape) for t in tensors if t.device.type != "meta"]
        assert not stray, f"{function} takes tensors {stray} of the host"
        return function(*arguments, **(more or {}))


def networks() -> list:
    known = [pytest.param(lambda name=name: reference(name), id=name) for name in REFERENCES]
    ours = [pytest.param(lambda g=g: grouped(g), id=f"ecg-cnn {g}") for g in GROUPINGS]
    others = [
        pytest.param(lambda s=s, k=k: drawn(s, k), id=f"{s} {k}")
        for s in SPACES[1:]
        for k in range(2)
    ]
    return known + ours + others


def drawn(space: str, seed: int) -> Architecture:
    sample = sample_architectures(load_space(space), 2, flops_range=(5e6, 1e8), bins=1, seed=seed)
    return sample.architectures[seed]


@pytest.mark.parametrize("make", networks())
def test_a_step_an_evaluation_and_an_average_stay_on_the_device(make, monkeypatch):
    """Shapes alone are computed on the meta device: any look at a value is an error there."""
    # The fused AdamW has a kernel for each true device and none for this one.
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, **_: torch.optim.SGD(groups))
    monkeypatch.setattr(Run, "_autocast", lambda _: contextlib.nullcontext())
    records = some_records("meta", samples=1000)
    with torch.device("meta"):
        run = run_of(make(), records, "fp32")
    signals = records.signals.float() * records.step
    with OnTheDeviceAlone():
        for _ in range(2):
            run.step(signals, records.labels)
        outputs = fold_batch_norms(run.scored_network().eval())(signals)
    assert outputs.device.type == "meta"
    assert outputs.shape == (8, 5)
    assert run.averaged is not None
    assert run.averaged.updates == 2


# ---- Weight decay ---- #


def test_weights_decay_and_factors_per_channel_do_not():
    network = build(reference("convnext-atto"), 12, 5)
    decayed, spared = (
        {id(p) for p in group["params"]} for group in decayed_and_spared(network, 0.05)
    )
    names = {id(p): name for name, p in network.named_parameters()}
    assert decayed | spared == names.keys()
    assert not decayed & spared
    scales = [id(m.weight) for m in network.modules() if isinstance(m, ChannelScale)]
    assert scales
    assert spared >= set(scales)
    assert all(names[p].endswith("weight") for p in decayed)
    kernels = [id(m.weight) for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert decayed >= set(kernels)


def shrinkage(count: int, **changes: object) -> float:
    """Return the log of how far a training without gradients shrinks a weight, times −1."""
    records = some_records("cpu", count)
    recipe = Recipe(**{"batch_size": 8, "epochs": 10, "weight_decay": 3.0, **changes})
    run = Run(Trial(grouped("dense"), records, records, recipe, 0, "fp32"), 8, None)
    weight = next(m.weight for m in run.network.modules() if isinstance(m, torch.nn.Conv2d))
    before = weight.detach().clone()
    for parameter in run.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for step in range(run.steps):
        run._set_rate(learning_rate(step, run.steps, recipe))
        run.optimizer.step()
    return -float((weight.detach() / before).log().mean())


def test_records_and_batch_size_do_not_change_how_far_weights_decay():
    """By the closed form Σ rate × λ, whose mean rate is that of half a cosine and a rise."""
    recipe = Recipe()
    cosine = (1 + recipe.final_learning_rate) / 2
    mean = recipe.learning_rate * (0.9 * cosine + 0.1 * 0.5)
    expected = 10 * 3.0 * mean
    for count, batch in ((64, 8), (320, 8), (320, 32)):
        assert shrinkage(count, batch_size=batch) == pytest.approx(expected, rel=0.03), count
    # With λ in every step five times the records decay five times as far.
    few, many = (shrinkage(n, weight_decay_per="step", weight_decay=0.05) for n in (64, 320))
    assert many / few == pytest.approx(5, rel=0.03)
