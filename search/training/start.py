"""Where a training starts from: a trained network's trunk, under a new head."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import Architecture
from search.errors import StudyError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from data_pipeline import Store
    from models.card import ModelCard
    from search.study import Study
    from search.training.recipe import Recipe

# What may differ: how long a record is, and what a preparation does with odd records.
PREPARED_ALIKE = ("leads", "sample_rate_hz", "band_hz", "standardise")


@dataclass(frozen=True, slots=True)
class Start:
    """A trained network to start from."""

    path: Path
    architecture: Architecture
    weights: Mapping[str, Tensor]
    card: ModelCard

    def require_architecture(self, wanted: Architecture) -> None:
        """Refuse another network than the one that the weights belong to."""
        if wanted.hash != self.architecture.hash:
            raise StudyError(
                f"expected the network of recipe.init, {self.architecture.name} "
                f"{self.architecture.hash} in {self.path}, got {wanted.name} {wanted.hash}: its "
                "weights fit no other; leave recipe.init out, or train that network"
            )

    def require_records(self, store: Store) -> None:
        """Refuse records that were prepared in another way than those of the network."""
        from search.training.keep import card_of_store

        known, own = self.card, card_of_store(store, "")
        if known.preprocessing is None:
            raise StudyError(
                f"expected a network whose preparation is known for recipe.init, got {self.path}, "
                "of before it was kept: complete it with 'ecgscale export FILE --data STORE'"
            )
        for name in PREPARED_ALIKE:
            wanted, got = (getattr(card.preprocessing, name) for card in (known, own))
            if wanted != got:
                raise StudyError(
                    f"expected records prepared as for the network of recipe.init, {name} "
                    f"{wanted}, got {name} {got} in {store.path}: prepare the records in that way"
                )

    def load_into(self, network: nn.Module) -> None:
        """Give a network of the same architecture these weights, but for the last linear layer."""
        import torch

        head = head_of(network)
        own = network.state_dict()
        trunk = {name: value for name, value in self.weights.items() if not _is_in(name, head)}
        with torch.no_grad():
            for name, value in trunk.items():
                if own[name].shape != value.shape:
                    raise StudyError(
                        f"expected {name} of shape {tuple(own[name].shape)}, got "
                        f"{tuple(value.shape)} in {self.path}: it reads other leads than these "
                        "records have"
                    )
                own[name].copy_(value)


def head_of(network: nn.Module) -> str:
    """Return the name of a network's last linear layer, which tells the classes apart."""
    from torch import nn

    names: list[str] = [
        name for name, module in network.named_modules() if isinstance(module, nn.Linear)
    ]
    if not names:
        raise StudyError(
            "expected a network that ends in a linear layer for recipe.init, got one without any: "
            "train it without recipe.init"
        )
    return names[-1]


def read_start(recipe: Recipe) -> Start:
    """Read the network that a recipe starts from; StudyError where its content is another."""
    from models.export import load_network

    path = Path(recipe.init)
    found = content_hash(path)
    if found != recipe.init_hash:
        raise StudyError(
            f"expected the network of recipe.init with the hash {recipe.init_hash[:16]}, got "
            f"{path} with {found[:16]}: give the file that the study was created with, by --init"
        )
    network: Any = load_network(path)
    return Start(path, network.architecture, network.state_dict(), network.card)


def check_start(study: Study, store: Store, init: Path | None) -> Study:
    """Return the study with the place of the network that its recipe starts from, checked."""
    recipe = study.definition.recipe
    if not recipe.init_hash:
        if init is not None:
            raise StudyError(
                f"expected no --init for {study.name}, whose recipe starts from random weights, "
                f"got {init}: leave it out, or create a study with recipe.init"
            )
        return study
    if init is not None:
        recipe = replace(recipe, init=str(init))
    read_start(recipe).require_records(store)
    return replace(study, definition=replace(study.definition, recipe=recipe))


def start_values(path: Path, known: str = "") -> dict[str, str]:
    """Return `init` and `init_hash` of a recipe that starts from a file; `known` has to be it."""
    found = content_hash(path.resolve())
    if known not in ("", found):
        raise StudyError(
            f"expected a network with the hash {known[:16]} of recipe.init_hash, got {path} with "
            f"{found[:16]}: give that network, or leave the hash out"
        )
    return {"init": str(path.resolve()), "init_hash": found}


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a network's file."""
    try:
        with path.open("rb") as stream:
            if path.suffix == ".safetensors":
                _require_network(path)  # before a file of any length is read
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise StudyError(
            f"expected the network of recipe.init at {path}, got: {error.strerror}; give its "
            "place, workers by --init"
        ) from None


def _require_network(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return
    except SafetensorError as error:
        raise StudyError(
            f"expected the network of recipe.init at {path}, got no .safetensors ({error}): give "
            "one that a worker kept"
        ) from None


def _is_in(name: str, module: str) -> bool:
    return name.startswith(f"{module}.")
