"""Source code that takes raw ECGs to decisions with an exported network, without this package.

It is this package's own code: its modules are joined into one file, so that the file cannot drift
from what was trained. For PyTorch it needs torch, safetensors and numpy, for ONNX onnxruntime and
numpy.
"""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import data_pipeline.filters
import data_pipeline.windows
import models.batch_norm
import models.build
import models.errors
import models.fold
import models.layers
import models.modules
import models.prediction
import models.preprocessing
import models.shape
import models.trained

_READING = (
    models.errors,
    data_pipeline.filters,
    data_pipeline.windows,
    models.preprocessing,
    models.prediction,
)
_NETWORK = (
    models.shape,
    models.layers,
    models.batch_norm,
    models.modules,
    models.build,
    models.fold,
    models.trained,
)

_JOINED = ("from data_pipeline", "from models", "from __future__")

_TORCH_USAGE = """from {module} import load

network, card = load()
said = network.predict(signal_mv, rate_hz=500)    # (leads, samples) in mV, or a list of them
print(said.findings())                            # {{diagnosis: probability}}
probabilities = network(prepared).sigmoid()       # float32 (batch, leads, samples), prepared"""

_CUSTOM_USAGE = """import models
from ecgscale.plugins import load_plugin

load_plugin("PLUGIN.py")                          # that builds the network: the file of then
network = models.load("{name}")
said = network.predict(signal_mv, rate_hz=500)    # (leads, samples) in mV, or a list of them
print(said.findings())                            # {{diagnosis: probability}}"""

_ONNX_USAGE = """from {module} import load

predictor, card = load()
said = predictor.predict(signal_mv, rate_hz=500)  # (leads, samples) in mV, or a list of them
print(said.findings())                            # {{diagnosis: probability}}"""

_RAW_ONNX_USAGE = """import onnxruntime

session = onnxruntime.InferenceSession("{name}")
logits, probabilities = session.run(None, {{"signals_mv": signals_mv}})
# float64 (batch, leads, samples): millivolts at the rate below, not filtered, not standardised"""

_HEAD = '''"""Take raw ECGs to decisions with {weights} beside this file; needs {needs} only.

{usage}
"""

from __future__ import annotations

'''

_TORCH_TAIL = '''

def load(path: str | None = None) -> tuple[TrainedNetwork, dict[str, Any]]:
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
    return TrainedNetwork(network, card).eval(), card
'''

_ONNX_TAIL = '''

def load(path: str | None = None) -> tuple[Predictor, dict[str, Any]]:
    """Return what predicts, and its card."""
    from pathlib import Path

    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path or Path(__file__).with_name("{weights}")), providers=["CPUExecutionProvider"]
    )
    card = json.loads(session.get_modelmeta().custom_metadata_map["ecgscale_card"])
    return Predictor.of_card(card, lambda x: session.run(["logits"], {{"signals": x}})[0]), card
'''


def module_name(path: Path) -> str:
    """Return a name that Python can import for code beside a file."""
    name = re.sub(r"\W", "_", path.stem)
    plain = name.isidentifier() and not keyword.iskeyword(name)
    return name if plain else f"network_{name}"


def torch_usage(module: str) -> str:
    """Return a few lines that use the code for PyTorch."""
    return _TORCH_USAGE.format(module=module)


def custom_usage(name: str) -> str:
    """Return a few lines that use a plug-in's network, with this package and the plug-in."""
    return _CUSTOM_USAGE.format(name=name)


def onnx_usage(module: str) -> str:
    """Return a few lines that use the code for onnxruntime."""
    return _ONNX_USAGE.format(module=module)


def raw_onnx_usage(name: str) -> str:
    """Return a few lines that run an .onnx file that reads millivolts."""
    return _RAW_ONNX_USAGE.format(name=name)


def torch_source(weights: str) -> str:
    """Return Python source with a function `load` for the .safetensors file of that name."""
    usage = torch_usage(module_name(Path(weights)))
    needs = "torch, safetensors and numpy"
    return _source(weights, needs, usage, (*_READING, *_NETWORK), _TORCH_TAIL)


def onnx_source(weights: str) -> str:
    """Return Python source with a function `load` for the .onnx file of that name."""
    usage = onnx_usage(f"{module_name(Path(weights))}_onnx")
    return _source(weights, "onnxruntime and numpy", usage, _READING, _ONNX_TAIL)


def _source(weights: str, needs: str, usage: str, parts: Sequence[ModuleType], tail: str) -> str:
    """Join modules into one file, the imports of others than this package at its top."""
    imports: list[str] = ["import json\n"]
    bodies: list[str] = []
    for part in parts:
        source = inspect.getsource(part).replace(inspect.getdoc(part) or "\0", "", 1)
        source = source.replace('""""""', "", 1)
        found = re.findall(r"^(?:from [\w.]+ import (?:\([^)]*\)|.*)|import .*)\n", source, re.M)
        for line in found:
            source = source.replace(line, "", 1)
            outside = not line.startswith(_JOINED)
            if outside and line not in imports:
                imports.append(line)
        bodies.append(source.strip())
    indented = "\n".join(f"    {line}".rstrip() for line in usage.splitlines())
    head = _HEAD.format(weights=weights, needs=needs, usage=indented)
    return head + "".join(imports) + "\n\n" + "\n\n\n".join(bodies) + tail.format(weights=weights)
