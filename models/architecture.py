"""A fully resolved network: its tree of layers, and beside it the factors it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from models.cost import Cost, Tally, tree_cost, walk
from models.errors import ModelError
from models.layers import Add, Concat, Sequence, decode, encode, is_custom, tree_hash
from models.shape import DEFAULT

Value = bool | int | float | str
VERSION = 1


@dataclass(frozen=True, slots=True)
class StageRow:
    """One line of `Architecture.describe`; width and length are what the stage puts out."""

    stage: str
    blocks: int
    width: int
    length: int
    params: int
    flops: int
    activations: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network to build, with a hash of what is built.

    Two architectures with one hash build the same network, whatever factors were sampled; the
    hash depends on neither leads, length nor number of outputs.
    """

    name: str
    layers: Sequence
    factors: Mapping[str, Value] = field(default_factory=dict, hash=False)
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", MappingProxyType(dict(self.factors)))
        object.__setattr__(self, "hash", tree_hash(self.layers))

    @property
    def counted(self) -> str:
        """How the cost is counted, in words."""
        if is_custom(self.layers):
            return "counted by tracing a forward pass with torch.utils.flop_counter"
        return "counted layer by layer, exactly"

    def cost(
        self,
        samples: int = DEFAULT.samples,
        leads: int = DEFAULT.leads,
        outputs: int = DEFAULT.outputs,
    ) -> Cost:
        """Return the exact cost for one record of `leads` × `samples`, without building."""
        return tree_cost(self.layers, samples=samples, leads=leads, outputs=outputs)

    def describe(
        self,
        samples: int = DEFAULT.samples,
        leads: int = DEFAULT.leads,
        outputs: int = DEFAULT.outputs,
    ) -> tuple[StageRow, ...]:
        """Return one row per section of the network, in order; the rows sum to `cost`."""
        rows = []
        channels, length = leads, samples
        for section in self.layers.layers:
            tally = Tally(outputs)
            channels, length = walk(section, channels, length, tally)
            name = section.name if isinstance(section, Sequence) else type(section).__name__
            blocks = _blocks(section) if isinstance(section, Sequence) else 0
            cost = tally.cost()
            rows.append(
                StageRow(name, blocks, channels, length, cost.params, cost.flops, cost.activations)
            )
        return tuple(rows)

    def to_json(self) -> str:
        """Return the architecture as compact JSON that rebuilds it without its design space."""
        return json.dumps(
            {
                "version": VERSION,
                "name": self.name,
                "hash": self.hash,
                "factors": dict(self.factors),
                "layers": encode(self.layers),
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Return the architecture that `to_json` wrote; ModelError if it was altered since."""
        try:
            data = json.loads(text)
            version, name, factors = data["version"], data["name"], data["factors"]
            tree, written = data["layers"], data["hash"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ModelError(
                "expected the JSON that Architecture.to_json writes (version, name, hash, factors, "
                f"layers), got {text[:60]!r}"
            ) from None
        if version != VERSION:
            raise ModelError(
                f"expected an architecture of version {VERSION}, got version {version}; "
                "read it with the release of ecgscale that wrote it"
            )
        layers = decode(tree)
        if not isinstance(layers, Sequence):
            raise ModelError(f"expected a sequence of layers, got {type(layers).__name__}")
        architecture = cls(name, layers, factors)
        if architecture.hash != written:
            raise ModelError(
                f"expected the layers of {name} to have hash {written}, got {architecture.hash}; "
                "the file was altered: export it again"
            )
        return architecture

    def __reduce__(self) -> tuple[object, tuple[str, Sequence, dict[str, Value]]]:
        return type(self), (self.name, self.layers, dict(self.factors))


def _blocks(section: Sequence) -> int:
    """Return the number of blocks directly inside a section."""
    return sum(
        layer.repeat if isinstance(layer, Sequence) else 1
        for layer in section.layers
        if isinstance(layer, Add | Concat) or (isinstance(layer, Sequence) and layer.name)
    )
