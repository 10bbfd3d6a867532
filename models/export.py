"""Networks to take away: safetensors with everything inside, a model card, a module, ONNX."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from models.architecture import Architecture
from models.build import build
from models.card import ModelCard
from models.card_markdown import card_markdown
from models.errors import ModelError
from models.layers import is_custom
from models.modules import Network
from models.prediction import Predictor
from models.standalone import (
    custom_usage,
    module_name,
    onnx_source,
    onnx_usage,
    raw_onnx_usage,
    torch_source,
    torch_usage,
)
from models.trained import TrainedNetwork, torch_logits

ONNX_TOLERANCE = 1e-3


def save_network(
    path: Path, architecture: Architecture, network: nn.Module, card: ModelCard
) -> tuple[Path, ...]:
    """Write a trained network to `path` (.safetensors), and beside it its card and its code.

    The .safetensors holds weights, architecture and card; `models.load(path)` needs nothing else.
    The .md is the card to read. The .py takes raw ECGs to decisions with the .safetensors and with
    torch, safetensors and numpy alone, without this package; a plug-in's network has none, for it
    needs the plug-in. Returns the paths written; OSError where the disk does not take them.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(
            f"expected a path that ends in .safetensors, got {path.name!r}: rename it, or give "
            "--format onnx"
        )
    _check_weights(architecture, network, card)
    weights = {
        key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file(weights, path, {"format": "pt"} | _metadata(architecture, card))
    except SafetensorError as error:  # its own word for any error of the disk
        raise OSError(errno.EIO, str(error), str(path)) from None
    text, code = path.with_suffix(".md"), path.with_name(f"{module_name(path)}.py")
    custom = is_custom(architecture.layers)
    usage = custom_usage(path.name) if custom else torch_usage(code.stem)
    text.write_text(card_markdown(card, _summary(architecture, card), usage), encoding="utf-8")
    if custom:
        return path, text
    code.write_text(torch_source(path.name), encoding="utf-8")
    return path, text, code


def load_network(path: Path) -> TrainedNetwork:
    """Return the network of a .safetensors file in evaluation mode, with `card`, `architecture`."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"expected a network's .safetensors at {path}: {error}") from None
    if "ecgscale_architecture" not in metadata or "ecgscale_card" not in metadata:
        raise ModelError(
            f"expected architecture and card inside {path}, found only weights; "
            "write the file with `ecgscale export`"
        )
    architecture = Architecture.from_json(metadata["ecgscale_architecture"])
    card = ModelCard.from_dict(json.loads(metadata["ecgscale_card"]))
    built = build(architecture, leads=len(card.leads), outputs=len(card.classes))
    built.load_state_dict(weights)
    assert isinstance(built, Network)
    network = TrainedNetwork(built, card.to_dict())
    network.card = card  # type: ignore[assignment]
    network.architecture = architecture  # type: ignore[assignment]
    return network.eval()


def load_predictor(path: Path) -> Predictor:
    """Return what predicts with a .safetensors or an .onnx file of `ecgscale export`."""
    path = Path(path)
    if path.suffix != ".onnx":
        return load_network(path).predictor()
    session = _onnx_session(path)
    metadata = session.get_modelmeta().custom_metadata_map
    (entry,) = session.get_inputs()
    if "ecgscale_card" not in metadata or entry.name != "signals":
        raise ModelError(
            f"expected a network of `ecgscale export --format onnx` at {path}, got one that reads "
            f"{entry.name!r}: that is for programs of your own"
        )
    card = ModelCard.from_dict(json.loads(metadata["ecgscale_card"]))
    return Predictor.of_card(card.to_dict(), lambda x: session.run(["logits"], {"signals": x})[0])


def save_onnx(
    path: Path,
    architecture: Architecture,
    network: nn.Module,
    card: ModelCard,
    *,
    raw: bool = False,
) -> float | None:
    """Write a trained network as ONNX, batch norms folded, the card in its metadata and beside it.

    The .py beside it takes raw ECGs of any rate to decisions with onnxruntime and numpy alone. With
    `raw` the file itself reads millivolts, at the prepared rate (`models.onnx_raw`).
    Where onnxruntime is installed the file is run on random records against torch: ModelError if
    they differ; returns the largest difference over the largest output, None without onnxruntime.
    """
    try:
        import onnx

        from models.onnx_export import onnx_model
        from models.onnx_raw import with_preprocessing
    except ImportError:
        raise ModelError(
            "expected the package onnx for this format; install it: pip install onnx onnxruntime"
        ) from None
    path = Path(path)
    if path.suffix != ".onnx":
        raise ModelError(f"expected a path that ends in .onnx, got {path.name!r}: rename it")
    _check_weights(architecture, network, card)
    model = onnx_model(network, leads=len(card.leads), samples=card.samples)
    if raw:
        model = with_preprocessing(model, card.preprocessing, exclusive=card.exclusive)
    onnx.helper.set_model_props(model, _metadata(architecture, card))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    usage = raw_onnx_usage(path.name)
    if not raw:
        code = path.with_name(f"{module_name(path)}_onnx.py")
        code.write_text(onnx_source(path.name), encoding="utf-8")
        usage = onnx_usage(code.stem)
    text = card_markdown(card, _summary(architecture, card), usage)
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    return _onnx_difference(path, network, card, raw)


def _onnx_session(path: Path) -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise ModelError(
            "expected the package onnxruntime to run an .onnx file; install it: pip install "
            "onnxruntime"
        ) from None
    if not path.is_file():
        raise ModelError(f"expected a network's .onnx at {path}, but there is no such file")
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # of many kinds, none of them public
        raise ModelError(f"expected a network's .onnx at {path}: {error}") from None


def _onnx_difference(path: Path, network: nn.Module, card: ModelCard, raw: bool) -> float | None:
    """Return how far onnxruntime is from torch on three random records."""
    try:
        session = _onnx_session(path)
    except ModelError as error:
        if "package onnxruntime" in str(error):
            return None
        raise
    shape = (3, len(card.leads), card.samples)
    signals = np.random.default_rng(0).normal(size=shape)
    if raw:
        assert card.preprocessing is not None
        rate = card.preprocessing.sample_rate_hz
        windows = [card.preprocessing.windows_of(signal, rate, windows=1)[0] for signal in signals]
        read = np.stack(windows).astype(np.float32) * np.float32(card.preprocessing.step)
        given: dict[str, Any] = {"signals_mv": signals}
    else:
        read = signals.astype(np.float32)
        given = {"signals": read}
    expected = torch_logits(network)(read)
    (logits,) = session.run(["logits"], given)
    difference = float(np.abs(logits - expected).max() / max(np.abs(expected).max(), 1e-6))
    if not difference < ONNX_TOLERANCE:
        raise ModelError(
            f"expected onnxruntime to agree with torch within {ONNX_TOLERANCE:g}, they differ by "
            f"{difference:.2g} at {path}; check the installed versions of onnx and onnxruntime"
        )
    return difference


def _metadata(architecture: Architecture, card: ModelCard) -> dict[str, str]:
    """Return what every form of a network carries."""
    return {"ecgscale_architecture": architecture.to_json(), "ecgscale_card": card.to_json()}


def _check_weights(architecture: Architecture, network: nn.Module, card: ModelCard) -> None:
    """Raise ModelError unless the weights fit the architecture, the leads and the classes."""
    fresh = build(architecture, leads=len(card.leads), outputs=len(card.classes))
    wanted = {key: value.shape for key, value in fresh.state_dict().items()}
    given = {key: value.shape for key, value in network.state_dict().items()}
    if wanted != given:
        raise ModelError(
            f"expected the weights of {architecture.name} {architecture.hash} for "
            f"{len(card.leads)} leads and {len(card.classes)} classes, got those of another network"
        )


def _summary(architecture: Architecture, card: ModelCard) -> str:
    """Return the network's table of stages and its cost, in Markdown."""
    sizes = (card.samples, len(card.leads), len(card.classes))
    cost = architecture.cost(*sizes)
    rows = [
        f"| {row.stage} | {row.blocks or ''} | {row.width} | {row.length} | {row.params:,} | "
        f"{row.flops / 1e6:.2f} |"
        for row in architecture.describe(*sizes)
    ]
    return "\n".join(
        [
            f"{architecture.name}, hash `{architecture.hash}`: {cost.params:,} parameters, "
            f"{cost.flops / 1e6:.1f} MFLOPs (2 × multiply-accumulates), {cost.activations:,} "
            f"activations, {architecture.counted}.",
            "",
            "| stage | blocks | width | length | parameters | MFLOPs |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )
