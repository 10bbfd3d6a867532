"""An ONNX network that reads millivolts: its preprocessing written before it, as a graph.

The same steps as `models.preprocessing` at the prepared rate, in float64, so that the same int16
values come out. The recursive filter is a Scan over blocks of samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from data_pipeline.filters import FilterBlocks, filter_blocks
from data_pipeline.windows import FLAT_SHARE
from models.errors import ModelError
from models.preprocessing import Preprocessing


def with_preprocessing(
    model: onnx.ModelProto, preprocessing: Preprocessing | None, *, exclusive: bool = False
) -> onnx.ModelProto:
    """Return the network behind its preprocessing.

    Input `signals_mv` float64 (batch, leads, samples): millivolts at the prepared rate, the leads
    in the network's order. Of more samples than the network reads it takes the middle window; fewer
    are filled up with zeros. Outputs `logits` and `probabilities` (batch, outputs).
    """
    if preprocessing is None:
        raise ModelError(
            "expected a network that says how its signals are prepared, but this file is of before "
            "that was kept: add it with `ecgscale export FILE --data STORE --out NEW`"
        )
    writer = _Writer(preprocessing)
    writer.write()
    own = model.graph
    # Softmax is over the last axis, the classes.
    last = helper.make_node("Softmax" if exclusive else "Sigmoid", ["logits"], ["probabilities"])
    nodes = [*writer.nodes, *own.node, last]
    shape: list[str | int | None] = ["batch", len(preprocessing.leads), "samples"]
    graph = helper.make_graph(
        nodes,
        "ecgscale",
        [helper.make_tensor_value_info("signals_mv", TensorProto.DOUBLE, shape)],
        [
            *own.output,
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", "outputs"]),
        ],
        [*writer.constants, *own.initializer],
    )
    whole = helper.make_model(
        graph, opset_imports=model.opset_import, producer_name=model.producer_name
    )
    whole.ir_version = model.ir_version
    onnx.checker.check_model(whole, full_check=True)
    return whole


class _Writer:
    """Nodes and constants of the graph; every method takes and returns names of tensors."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.how = preprocessing
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return its output."""
        name = f"prepare_{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def constant(self, value: Any, kind: type = np.int64) -> str:
        """Append a constant and return its name."""
        name = f"p{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def number(self, value: float) -> str:
        """Append a float64."""
        return self.constant(value, np.float64)

    def cut(self, x: str, start: str, stop: str, step: int = 1) -> str:
        """Take samples from `start` to before `stop`."""
        return self.node("Slice", x, start, stop, self.constant([2]), self.constant([step]))

    def write(self) -> None:
        """Append everything from `signals_mv` to `signals`."""
        raw = "signals_mv"
        length = self.node("Gather", self.node("Shape", raw), self.constant([2]))
        samples, nothing = self.constant([self.how.samples]), self.constant([0])
        surplus = self.node("Max", self.node("Sub", length, samples), nothing)
        start = self.node("Div", surplus, self.constant([2]))
        stop = self.node("Min", self.node("Add", start, samples), length)
        piece = self.cut(self.zero_phase(raw, length), start, stop)
        scaled = self.standardised(self.cut(raw, start, stop), piece)
        units = self.node("Round", self.node("Div", scaled, self.number(self.how.step)))
        bounded = self.node("Clip", units, self.number(-32767), self.number(32767))
        whole = self.node("Cast", bounded, to=TensorProto.FLOAT)
        lacking = self.node("Max", self.node("Sub", samples, length), nothing)
        pads = self.node("Concat", self.constant([0] * 5), lacking, axis=0)
        filled = self.node("Pad", whole, pads)
        step = self.constant(self.how.step, np.float32)
        self.nodes.append(helper.make_node("Mul", [filled, step], ["signals"]))

    # ---- Band ---- #

    def zero_phase(self, x: str, length: str) -> str:
        """Filter there and back, over ends that are turned round the first and the last sample."""
        if not self.how.sections:
            return x
        blocks = filter_blocks(self.how.sections)
        one, zero = self.constant([1]), self.constant([0])
        longest = self.constant([self.how.extension_samples])
        extension = self.node("Min", longest, self.node("Sub", length, one))
        beyond = self.node("Add", extension, one)
        total = self.node("Add", length, self.node("Add", extension, extension))
        flipped = self.cut(x, self.constant([-1]), self.constant([np.iinfo(np.int64).min]), -1)
        after_first = self.node("Sub", self.node("Sub", length, one), extension)
        head = self.cut(flipped, after_first, self.node("Sub", length, one))
        tail = self.cut(flipped, one, beyond)
        first, last = self.cut(x, zero, one), self.cut(flipped, zero, one)
        two = self.number(2.0)
        before = self.node("Sub", self.node("Mul", first, two), head)
        after = self.node("Sub", self.node("Mul", last, two), tail)
        x = self.node("Concat", before, x, after, axis=2)
        for _ in range(2):
            x = self.forward(x, total, blocks)
            x = self.cut(x, self.constant([-1]), self.constant([np.iinfo(np.int64).min]), -1)
        return self.cut(x, extension, self.node("Add", extension, length))

    def forward(self, x: str, length: str, blocks: FilterBlocks) -> str:
        """Filter once, block by block."""
        size = len(blocks.direct)
        short = self.node("Mod", self.node("Neg", length), self.constant([size]))
        pads = self.node("Concat", self.constant([0] * 5), short, axis=0)
        padded = self.node("Pad", x, pads, self.number(0.0))
        shaped = self.node("Reshape", padded, self.constant([0, 0, -1, size]))
        rows = self.node("Transpose", shaped, perm=[2, 0, 1, 3])
        first = self.cut(x, self.constant([0]), self.constant([1]))
        state = self.node("Mul", first, self.constant(blocks.steady, np.float64))
        names = [f"prepare_scan_{len(self.nodes)}_{end}" for end in ("state", "blocks")]
        body = _scan_body(blocks)
        self.nodes.append(
            helper.make_node("Scan", [state, rows], names, body=body, num_scan_inputs=1)
        )
        back = self.node("Transpose", names[1], perm=[1, 2, 0, 3])
        joined = self.node("Reshape", back, self.constant([0, 0, -1]))
        return self.cut(joined, self.constant([0]), length)

    # ---- Scale ---- #

    def standardised(self, raw: str, piece: str) -> str:
        """Scale one window; flat leads become zero."""
        axis = self.constant([2])
        centred = self.node("Sub", piece, self.node("ReduceMean", piece, axis))
        square = self.node("Mul", centred, centred)
        spread = self.node("Sqrt", self.node("ReduceMean", square, axis))
        highest, lowest = (self.node(kind, raw, axis) for kind in ("ReduceMax", "ReduceMin"))
        constant = self.node("Equal", highest, lowest)
        zero = self.number(0.0)
        leads = self.constant([1])
        strongest = self.node("ReduceMax", self.node("Where", constant, zero, spread), leads)
        faint = self.node(
            "LessOrEqual", spread, self.node("Mul", strongest, self.number(FLAT_SHARE))
        )
        flat = self.node("Or", constant, faint)
        scaled = piece
        if self.how.standardise != "none":
            one = self.number(1.0)
            if self.how.standardise == "record":
                alive = self.node("Where", flat, zero, one)
                power = self.node("Mul", self.node("Mul", spread, spread), alive)
                total, count = (self.node("ReduceSum", v, leads) for v in (power, alive))
                spread = self.node("Sqrt", self.node("Div", total, self.node("Max", count, one)))
            usable = self.node("Greater", spread, zero)
            scaled = self.node("Div", centred, self.node("Where", usable, spread, one))
        return self.node("Where", flat, zero, scaled)


def _scan_body(blocks: FilterBlocks) -> onnx.GraphProto:
    """Return one step: a block of samples and the state before it to its output and the state."""
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(value), name)
        for name, value in _matrices(blocks).items()
    ]
    nodes = [
        helper.make_node("MatMul", ["entering", "direct"], ["own"]),
        helper.make_node("MatMul", ["state", "read"], ["past"]),
        helper.make_node("Add", ["own", "past"], ["leaving"]),
        helper.make_node("MatMul", ["entering", "write"], ["added"]),
        helper.make_node("MatMul", ["state", "carry"], ["kept"]),
        helper.make_node("Add", ["added", "kept"], ["next"]),
    ]

    def values(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, None, None])

    ins, outs = ("state", "entering"), ("next", "leaving")
    return helper.make_graph(
        nodes, "filter", [values(n) for n in ins], [values(n) for n in outs], constants
    )


def _matrices(blocks: FilterBlocks) -> dict[str, NDArray[np.float64]]:
    return {name: getattr(blocks, name) for name in ("direct", "read", "write", "carry")}
