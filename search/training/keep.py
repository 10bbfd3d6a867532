"""Keep a trial's trained network: weights, architecture and model card in one file."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import Architecture

if TYPE_CHECKING:
    from data_pipeline import Store
    from search.study import Study
    from search.training.train import Trained, TrialScores
    from search.trials.queue import Claim


def weights_path(folder: Path, study: Study, number: int) -> Path:
    """Name the file of a trial's network."""
    return folder / study.folder / f"{number}.safetensors"


def keep_network(
    folder: Path,
    study: Study,
    store: Store,
    claim: Claim,
    trained: Trained,
    scores: TrialScores,
    git_commit: str,
) -> Path:
    """Write a trained network for `models.load` and `ecgscale export`; return its path.

    Raises OSError where the disk does not take it.
    """
    from safetensors import SafetensorError

    from data_pipeline.store import LEADS
    from models.card import ModelCard
    from models.export import save_network

    architecture = Architecture.from_json(claim.architecture)
    card = ModelCard(
        name=f"{study.name}, trial {claim.number}",
        classes=store.classes,
        leads=LEADS,
        samples=store.samples,
        sample_rate_hz=store.sample_rate_hz,
        preparation=describe_preparation(store.manifest["content"]["options"], store.step),
        thresholds=tuple(float(value) for value in trained.thresholds),
        scores={f"validation {name}": float(value) for name, value in scores.values.items()},
        data_hash=store.hash,
        recipe=replace(study.definition.recipe, **claim.recipe).to_dict(),
        study=study.name,
        seed=claim.seed,
        git_commit=git_commit,
        synthetic_data=store.synthetic,
    )
    path = weights_path(folder, study, claim.number)
    try:
        save_network(path, architecture, trained.network, card)
    except SafetensorError as error:  # its own word for any error of the disk
        raise OSError(errno.EIO, str(error), str(path)) from None
    return path


def describe_preparation(options: dict[str, Any], step: float) -> str:
    """Say in words what was done to a signal before the network read it."""
    band = options["band_hz"]
    parts = [
        f"{options['seconds']:g} s, resampled to {options['sample_rate_hz']:g} Hz",
        "no filter" if band is None else f"band-pass {band[0]:g}-{band[1]:g} Hz, zero phase",
        "millivolts"
        if options["standardise"] == "none"
        else f"standardised per {options['standardise']} to mean 0, sd 1",
        f"rounded to {step:g}",
    ]
    return "Prepared: " + "; ".join(parts) + "."
