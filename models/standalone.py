"""Source code that rebuilds an exported network without this package.

It is this package's own code: layers, modules and builder are joined into one file, so that the
file cannot drift from what was trained.
"""

from __future__ import annotations

import inspect
import re

import models.batch_norm
import models.build
import models.errors
import models.layers
import models.modules

_PARTS = (
    models.errors,
    models.layers,
    models.batch_norm,
    models.modules,
    models.build,
)

_HEAD = '''"""Rebuild the network of {weights} beside this file; needs torch and safetensors only.

    from {module} import load
    network, card = load()
    probabilities = network(signals).sigmoid()     # float32 (batch, leads, samples)
"""

from __future__ import annotations

'''

_TAIL = '''

def load(path: str | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Return the trained network in evaluation mode, and its card."""
    from pathlib import Path

    from safetensors import safe_open

    with safe_open(path or Path(__file__).with_name("{weights}"), framework="pt") as file:
        metadata = file.metadata()
        weights = {{key: file.get_tensor(key) for key in file.keys()}}
    card = json.loads(metadata["ecgscale_card"])
    layers = decode(json.loads(metadata["ecgscale_architecture"])["layers"])
    network = build_layers(layers, len(card["leads"]), len(card["classes"]))
    network.load_state_dict(weights)
    return network.eval(), card
'''


def standalone_source(weights: str) -> str:
    """Return Python source with a function `load` for the weights file of that name."""
    imports: list[str] = []
    bodies: list[str] = []
    for part in _PARTS:
        source = inspect.getsource(part).replace(inspect.getdoc(part) or "\0", "", 1)
        source = source.replace('""""""', "", 1)
        found = re.findall(r"^(?:from [\w.]+ import (?:\([^)]*\)|.*)|import .*)\n", source, re.M)
        for line in found:
            source = source.replace(line, "", 1)
            outside = not line.startswith(("from models", "from __future__"))
            if outside and line not in imports:
                imports.append(line)
        bodies.append(source.strip())
    module = re.sub(r"\W", "_", weights.rpartition(".")[0])
    head = _HEAD.format(weights=weights, module=module)
    return head + "".join(imports) + "\n\n" + "\n\n\n".join(bodies) + _TAIL.format(weights=weights)
