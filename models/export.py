"""Networks to take away: safetensors with everything inside, a model card, a module, ONNX."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from models.architecture import Architecture
from models.build import build
from models.card import ModelCard
from models.errors import ModelError
from models.standalone import standalone_source

ONNX_TOLERANCE = 1e-3


def save_network(
    path: Path, architecture: Architecture, network: nn.Module, card: ModelCard
) -> tuple[Path, ...]:
    """Write a trained network to `path` (.safetensors), and beside it its card and its code.

    The .safetensors holds weights, architecture and card; `models.load(path)` needs nothing else.
    The .md is the card to read. The .py rebuilds the network from the .safetensors with torch and
    safetensors alone, without this package. Returns the paths written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(
            f"expected a path that ends in .safetensors, got {path.name!r}: rename it, or give "
            "--format onnx"
        )
    _check_card(architecture, network, card)
    weights = {
        key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()
    }
    metadata = {
        "format": "pt",
        "ecgscale_architecture": architecture.to_json(),
        "ecgscale_card": json.dumps(card.to_dict()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, metadata)
    text, code = path.with_suffix(".md"), path.with_suffix(".py")
    text.write_text(card.to_markdown(_summary(architecture, card)), encoding="utf-8")
    code.write_text(standalone_source(path.name), encoding="utf-8")
    return path, text, code


def load_network(path: Path) -> nn.Module:
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
    network = build(architecture, leads=len(card.leads), outputs=len(card.classes))
    network.load_state_dict(weights)
    network.card = card  # type: ignore[assignment]
    network.architecture = architecture  # type: ignore[assignment]
    return network.eval()


def save_onnx(
    path: Path, architecture: Architecture, network: nn.Module, card: ModelCard
) -> float | None:
    """Write a trained network as ONNX, batch norms folded, the card in its metadata and beside it.

    Where onnxruntime is installed the file is run on random records against torch: ModelError if
    they differ; returns the largest difference over the largest output, None without onnxruntime.
    """
    try:
        import onnx

        from models.onnx_export import onnx_model
    except ImportError:
        raise ModelError(
            "expected the package onnx for this format; install it: pip install onnx onnxruntime"
        ) from None
    path = Path(path)
    _check_card(architecture, network, card)
    model = onnx_model(network, leads=len(card.leads), samples=card.samples)
    onnx.helper.set_model_props(
        model,
        {
            "ecgscale_architecture": architecture.to_json(),
            "ecgscale_card": json.dumps(card.to_dict()),
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    text = card.to_markdown(_summary(architecture, card))
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    return _onnx_difference(path, network, card)


def _onnx_difference(path: Path, network: nn.Module, card: ModelCard) -> float | None:
    """Return how far onnxruntime is from torch on three random records."""
    try:
        import onnxruntime  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    x = torch.randn(3, len(card.leads), card.samples, generator=torch.Generator().manual_seed(0))
    training = network.training
    device = next(network.parameters()).device
    with torch.inference_mode():
        expected = network.eval()(x.to(device)).cpu().numpy()
    network.train(training)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"signals": x.numpy()})
    difference = float(np.abs(logits - expected).max() / max(np.abs(expected).max(), 1e-6))
    if not difference < ONNX_TOLERANCE:
        raise ModelError(
            f"expected onnxruntime to agree with torch within {ONNX_TOLERANCE:g}, they differ by "
            f"{difference:.2g} at {path}; check the installed versions of onnx and onnxruntime"
        )
    return difference


def _check_card(architecture: Architecture, network: nn.Module, card: ModelCard) -> None:
    """Raise ModelError unless the weights fit the architecture, the leads and the classes."""
    fresh = build(architecture, leads=len(card.leads), outputs=len(card.classes))
    wanted = {key: value.shape for key, value in fresh.state_dict().items()}
    given = {key: value.shape for key, value in network.state_dict().items()}
    if wanted != given:
        raise ModelError(
            f"expected the weights of {architecture.name} {architecture.hash} for "
            f"{len(card.leads)} leads and {len(card.classes)} classes, got those of another network"
        )
    if card.thresholds and len(card.thresholds) != len(card.classes):
        raise ModelError(
            f"expected {len(card.classes)} thresholds, got {len(card.thresholds)}: one for each"
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
            "activations.",
            "",
            "| stage | blocks | width | length | parameters | MFLOPs |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )
