"""Inference form of a network: batch norms folded into the convolutions before them."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.batch_norm import BatchNorm
from models.modules import Outside


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that computes the same with fewer layers.

    A batch norm straight after a convolution becomes part of its weights; others (before an
    activation, on pooled features) stay, and so do those within a plug-in's module.
    """
    folded = copy.deepcopy(network).eval()
    _fold(folded)
    return folded


def _fold(module: nn.Module) -> None:
    if isinstance(module, Outside):
        return
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            setattr(module, name, _fold_sequence(child))
        else:
            _fold(child)


def _fold_sequence(sequence: nn.Sequential) -> nn.Sequential:
    """Return the sequence flattened, each convolution and batch norm as one convolution."""
    layers: list[nn.Module] = []
    for layer in _flat(sequence):
        if layers and isinstance(layer, BatchNorm) and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        else:
            _fold(layer)
            layers.append(layer)
    return nn.Sequential(*layers)


def _flat(sequence: nn.Sequential) -> list[nn.Module]:
    flat: list[nn.Module] = []
    for child in sequence:
        flat += _flat(child) if isinstance(child, nn.Sequential) else [child]
    return flat
