"""Networks that plug-ins build: any torch module, counted by tracing what its forward pass does.

FLOPs are those of torch.utils.flop_counter for one record of zeros on the CPU; activations are the
elements that convolutions and matrix products put out. What torch fuses into operations that its
counter does not know (attention, LSTM) is counted unfused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from models.cost import Cost
from models.errors import ModelError
from models.layers import Custom
from models.own_family import ModuleRule
from models.space import FAMILIES

FLOAT_BYTES = 4
_aten = torch.ops.aten
_PRODUCTS = {
    *(_aten.convolution, _aten._convolution, _aten.mm, _aten.addmm, _aten.bmm, _aten.baddbmm),
}


def _rule(layer: Custom) -> ModuleRule:
    """Return what builds the module; ModelError without the very plug-in."""
    plugin = FAMILIES.plugin(layer.family)
    got = "none" if plugin is None else f"{plugin.where} with the source {plugin.hash}"
    if plugin is None or plugin.hash != layer.source:
        raise ModelError(
            f"expected the plug-in that adds the family {layer.family!r}, with the source "
            f"{layer.source or 'of this process'}, got {got}: load it with --plugin, or in Python "
            "with ecgscale.plugins.load_plugin"
        )
    rule = FAMILIES[layer.family].module
    assert rule is not None
    return rule


def custom_module(layer: Custom, leads: int, outputs: int) -> nn.Module:
    """Return the module as its plug-in builds it; ModelError without that very plug-in."""
    module = _rule(layer)(json.loads(layer.values), leads, outputs)
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"expected the family {layer.family} to build a torch.nn.Module, got "
            f"{type(module).__name__}: return one"
        )
    return module


def traced_cost(layer: Custom, leads: int, samples: int, outputs: int) -> Cost:
    """Return the cost of one record's forward pass; ModelError if nothing can be counted."""
    return _traced_cost(_rule(layer), layer, leads, samples, outputs)


def saved_elements(layer: Custom, leads: int, samples: int, outputs: int) -> tuple[int, ...]:
    """Return the sizes of all tensors that a record's backward pass needs, but for parameters."""
    return _saved_elements(_rule(layer), layer, leads, samples, outputs)


# The rule is part of the key: a notebook may register another under the same name.
@lru_cache(maxsize=4096)
def _traced_cost(rule: ModuleRule, layer: Custom, leads: int, samples: int, outputs: int) -> Cost:
    module = _built(layer, leads, outputs).eval()
    counter = _Counter()
    # With gradients: without them torch fuses whole layers of transformers.
    with _unfused(), torch.enable_grad(), counter:
        logits = _run(layer, module, torch.zeros(1, leads, samples))
    _check_logits(layer, logits, 1, outputs)
    params = sum(p.numel() for p in module.parameters() if p.requires_grad)
    cost = Cost(params, counter.flops, counter.elements)
    if cost.flops == 0:
        raise ModelError(
            f"expected a network of {layer.family} whose forward pass has operations that "
            f"torch.utils.flop_counter counts, got 0 FLOPs with {layer.values}: write it with "
            "convolutions, linear layers or matrix products"
        )
    return cost


@lru_cache(maxsize=256)
def _saved_elements(
    rule: ModuleRule, layer: Custom, leads: int, samples: int, outputs: int
) -> tuple[int, ...]:
    module = _built(layer, leads, outputs).train()
    own = {p.untyped_storage()._cdata for p in module.parameters()}
    sizes: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage takes the place of another

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            alive.append(tensor)
            sizes[storage._cdata] = storage.nbytes() // FLOAT_BYTES
        return tensor

    saved = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with _quietly(), torch.enable_grad(), saved:
        # Two records, as batch normalisation asks for.
        logits = _run(layer, module, torch.zeros(2, leads, samples))
    _check_logits(layer, logits, 2, outputs)
    return tuple(-(-size // 2) for size in sizes.values())


def _built(layer: Custom, leads: int, outputs: int) -> nn.Module:
    with _quietly():
        return custom_module(layer, leads, outputs)


def _run(layer: Custom, module: nn.Module, signals: Tensor) -> Any:
    try:
        return module(signals)
    except Exception as error:
        raise ModelError(
            f"expected a network of {layer.family} that runs on {tuple(signals.shape)}, got "
            f"{type(error).__name__} with {layer.values}: {error}"
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave torch's random numbers as they are."""
    with torch.random.fork_rng(devices=[]):
        yield


@contextmanager
def _unfused() -> Iterator[None]:
    """Let torch compute attention and LSTMs by the products that they are made of."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        with _quietly(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _check_logits(layer: Custom, logits: Any, records: int, outputs: int) -> None:
    got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if got != (records, outputs):
        raise ModelError(
            f"expected logits ({records}, {outputs}) from a network of {layer.family} with "
            f"{layer.values}, got {got}: return (batch, outputs)"
        )


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts as FlopCounterMode does, which takes seconds to import what it needs besides."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        kind = func._overloadpacket
        if kind in flop_registry:
            self.flops += int(flop_registry[kind](*args, **(kwargs or {}), out_val=made))
        if kind in _PRODUCTS:
            self.elements += made.numel()
        return made
