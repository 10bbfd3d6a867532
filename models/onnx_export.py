"""ONNX files of built networks, written straight from our few modules.

Own code, because torch.onnx.export took 10 to 150 s a network here and got the padding of "same"
convolutions wrong for lengths other than the traced one. This takes milliseconds, needs only the
onnx package, and gives a plain one-dimensional graph with free batch and length.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Sequence as Items
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.batch_norm import BatchNorm
from models.errors import ModelError
from models.fold import fold_batch_norms
from models.modules import (
    ChannelNorm,
    ChannelPad,
    ChannelScale,
    FlattenTo,
    Gate,
    GlobalPool2d,
    Join,
    Network,
    Outside,
    SamePad,
    SelfAttention,
    Sum,
)

OPSET, IR_VERSION = 20, 9
_ACTS = {nn.ReLU: "Relu", nn.LeakyReLU: "LeakyRelu", nn.GELU: "Gelu"}
_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def onnx_model(network: nn.Module, *, leads: int, samples: int) -> onnx.ModelProto:
    """Return the network, batch norms folded, as a checked ONNX model.

    Input `signals` float32 (batch, leads, samples), output `logits` (batch, outputs). The length is
    free, unless the network flattens its last positions: then it is `samples`. A plug-in's module
    goes through torch.onnx.export, for `samples` alone.
    """
    if not isinstance(network, Network):
        raise ModelError(f"expected a network from models.build, got {type(network).__name__}")
    folded = fold_batch_norms(network)
    assert isinstance(folded, Network)
    if any(isinstance(module, Outside) for module in folded.modules()):
        return _exported(folded, leads, samples)
    writer = _Writer(_flattened_lengths(folded, leads, samples))
    output = writer.write(folded.body, "signals")
    length = samples if writer.flattened else "samples"
    graph = helper.make_graph(
        writer.nodes,
        "ecgscale",
        [helper.make_tensor_value_info("signals", TensorProto.FLOAT, ["batch", leads, length])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "outputs"])],
        writer.weights,
    )
    graph.node.append(helper.make_node("Identity", [output], ["logits"]))
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="ecgscale"
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def _exported(network: Network, leads: int, samples: int) -> onnx.ModelProto:
    """Return what torch.onnx.export makes of a network; ModelError where it cannot."""
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "network.onnx"
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.cpu(),
                (torch.zeros(2, leads, samples),),
                file,
                input_names=["signals"],
                output_names=["logits"],
                dynamic_axes={"signals": {0: "batch"}, "logits": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
            model = onnx.load(file)
    except Exception as error:  # of many kinds
        raise ModelError(
            "expected a plug-in's network that torch.onnx.export can write, got "
            f"{type(error).__name__}: {str(error).splitlines()[0]}; write its .safetensors instead"
        ) from error
    onnx.checker.check_model(model, full_check=True)
    return model


def _flattened_lengths(network: Network, leads: int, samples: int) -> dict[nn.Module, int]:
    """Return the number of samples that enters each flattening layer."""
    lengths: dict[nn.Module, int] = {}
    hooks = [
        module.register_forward_pre_hook(lambda m, x: lengths.__setitem__(m, x[0].shape[-1]))
        for module in network.modules()
        if isinstance(module, FlattenTo)
    ]
    if hooks:
        with torch.inference_mode():
            network(torch.zeros(1, leads, samples))
    for hook in hooks:
        hook.remove()
    return lengths


class _Writer:
    """Nodes and weights of a graph; every method takes and returns names of tensors."""

    def __init__(self, flattened: dict[nn.Module, int]) -> None:
        self.flattened = flattened
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.pooled = False

    def node(self, kind: str, inputs: Items[str], **attributes: Any) -> str:
        """Append a node and return its output."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def weight(self, value: torch.Tensor | np.ndarray | np.float32 | Items[int]) -> str:
        """Append a constant and return its name; whole numbers become int64."""
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().contiguous().numpy()
        array = np.asarray(value)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def write(self, module: nn.Module, x: str) -> str:
        """Append a module and return its output."""
        match module:
            case nn.Sequential():
                padded = False
                for layer in module:
                    if isinstance(layer, _WINDOWS):
                        x = self.window(layer, x, padded)
                    elif not isinstance(layer, SamePad):
                        x = self.write(layer, x)
                    padded = isinstance(layer, SamePad)
                return x
            case nn.Conv2d() | nn.MaxPool2d() | nn.AvgPool2d():
                return self.window(module, x, same=False)
            case Sum():
                ends = [self.write(branch, x) for branch in module.branches]
                return self.node("Sum", ends) if len(ends) > 2 else self.node("Add", ends)
            case Join():
                ends = [self.write(branch, x) for branch in module.branches]
                return self.node("Concat", ends, axis=1)
            case nn.Dropout():
                return x
            case nn.Linear():
                return self.linear(module, x)
            case Gate():
                means = self.node("ReduceMean", [x, self.weight([2])], keepdims=0)
                hidden = self.write(module.act, self.linear(module.squeeze, means))
                gate = self.node("Sigmoid", [self.linear(module.excite, hidden)])
                return self.node("Mul", [x, self.node("Unsqueeze", [gate, self.weight([2])])])
            case GlobalPool2d():
                self.pooled = True
                kinds = [k for k in ("ReduceMax", "ReduceMean") if _wanted(k, module.kind)]
                parts = [self.node(kind, [x, self.weight([2])], keepdims=0) for kind in kinds]
                return self.node("Concat", parts, axis=1) if len(parts) > 1 else parts[0]
            case BatchNorm():
                assert module.running_mean is not None
                assert module.running_var is not None
                values = (module.weight, module.bias, module.running_mean, module.running_var)
                names = [self.weight(value) for value in values]
                return self.node("BatchNormalization", [x, *names], epsilon=module.eps)
            case ChannelNorm():
                return self.channel_norm(module, x)
            case SelfAttention():
                return self.attention(module, x)
            case ChannelScale():
                return self.node("Mul", [x, self.weight(module.weight.squeeze(2))])
            case ChannelPad():
                pads = self.weight([0, module.before, 0, 0, module.after, 0])
                return self.node("Pad", [x, pads])
            case FlattenTo():
                self.pooled = True
                averaged = self.node("MatMul", [x, self.averaging(module)])
                return self.node("Flatten", [averaged])
            case _:
                return self.activation(module, x)

    def window(self, module: nn.Module, x: str, same: bool) -> str:
        """Append a convolution or pooling; `same` pads as SamePad does."""
        assert isinstance(module, _WINDOWS)
        kernel, stride, pad = (
            value[1] if isinstance(value, tuple) else int(value)
            for value in (module.kernel_size, module.stride, module.padding)
        )
        size: dict[str, Any] = {"kernel_shape": [kernel], "strides": [stride]}
        size |= {"auto_pad": "SAME_UPPER"} if same else {"pads": [pad, pad]}
        if isinstance(module, nn.Conv2d):
            names = [x, self.weight(module.weight.squeeze(2))]
            if module.bias is not None:
                names.append(self.weight(module.bias))
            return self.node("Conv", names, group=module.groups, **size)
        size["ceil_mode"] = int(module.ceil_mode)
        if isinstance(module, nn.MaxPool2d):
            return self.node("MaxPool", [x], **size)
        return self.node("AveragePool", [x], count_include_pad=0, **size)

    def linear(self, module: nn.Linear, x: str) -> str:
        """Append a fully connected layer."""
        bias = [] if module.bias is None else [self.weight(module.bias)]
        return self.node("Gemm", [x, self.weight(module.weight), *bias], transB=1)

    def channel_norm(self, module: ChannelNorm, x: str) -> str:
        """Append a layer norm over channels, which ONNX wants last."""
        names = [self.weight(module.weight), self.weight(module.bias)]
        if self.pooled:
            return self.node("LayerNormalization", [x, *names], epsilon=module.eps)
        last = self.node("Transpose", [x], perm=[0, 2, 1])
        normed = self.node("LayerNormalization", [last, *names], epsilon=module.eps)
        return self.node("Transpose", [normed], perm=[0, 2, 1])

    def attention(self, module: SelfAttention, x: str) -> str:
        """Append self-attention: a zero in a shape keeps that dimension, −1 takes the rest."""
        channels = module.project_out.in_channels
        width = channels // module.heads
        shape = self.weight([0, 3 * module.heads, width, -1])
        split = self.node("Reshape", [self.write(module.project_in, x), shape])
        axis = self.weight([1])
        edges = [self.weight([i * module.heads]) for i in range(4)]
        query, key, value = (
            self.node("Slice", [split, edges[i], edges[i + 1], axis]) for i in range(3)
        )
        turned = self.node("Transpose", [query], perm=[0, 1, 3, 2])
        product = self.node("MatMul", [turned, key])
        scaled = self.node("Mul", [product, self.weight(np.float32(width**-0.5))])
        weights = self.node("Softmax", [scaled], axis=-1)
        turned = self.node("Transpose", [weights], perm=[0, 1, 3, 2])
        mixed = self.node("MatMul", [value, turned])
        joined = self.node("Reshape", [mixed, self.weight([0, channels, -1])])
        return self.write(module.project_out, joined)

    def averaging(self, module: FlattenTo) -> str:
        """Return the matrix that averages the entering samples to the module's length."""
        entering, length = self.flattened[module], module.length
        matrix = np.zeros((entering, length), np.float32)
        for i in range(length):
            low, high = i * entering // length, math.ceil((i + 1) * entering / length)
            matrix[low:high, i] = 1 / (high - low)
        return self.weight(matrix)

    def activation(self, module: nn.Module, x: str) -> str:
        """Append an activation function."""
        if isinstance(module, nn.SiLU):
            return self.node("Mul", [x, self.node("Sigmoid", [x])])
        if isinstance(module, nn.ReLU6):
            bounds = [self.weight(np.float32(0)), self.weight(np.float32(6))]
            return self.node("Clip", [x, *bounds])
        kind = _ACTS.get(type(module))
        if kind is None:
            raise ModelError(f"expected a module of models.modules, got {type(module).__name__}")
        if isinstance(module, nn.LeakyReLU):
            return self.node(kind, [x], alpha=module.negative_slope)
        return self.node(kind, [x])


def _wanted(node: str, kind: str) -> bool:
    return ("max" if node == "ReduceMax" else "avg") in kind
