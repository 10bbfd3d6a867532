"""Networks on the records of a store: who knows which classes, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.errors import AnalysisError
from analysis.questions.confirmation.resampling import Predictions
from analysis.use.scores import Evaluated
from data_pipeline.cohort import people
from data_pipeline.store import SPLITS, Store
from models.architecture import Architecture
from models.card import ModelCard
from models.export import load_network
from models.prediction import decided

AT_ONCE = 1024
# What may differ between the preparation of training records and of others.
FREE = ("windows", "minimum_seconds", "flat", "nan", "layout")


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network from a file."""

    path: Path
    architecture: Architecture
    card: ModelCard


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What was evaluated, and what the page must say of it.

    only_networks and only_store are classes that the other side does not know; `split` is the part
    of the store, "all" for all of it; `seen` says that its other parts were trained on. left_out
    counts records that have not exactly one of the classes, where a network's exclude each other.
    """

    evaluated: Evaluated
    networks: tuple[Network, ...]
    store: Store
    split: str
    only_networks: tuple[str, ...]
    only_store: tuple[str, ...]
    seen: bool
    left_out: int = 0


def open_networks(paths: Sequence[Path]) -> dict[Network, object]:
    """Load networks from .safetensors files, in order."""
    loaded: dict[Network, object] = {}
    for path in paths:
        network = load_network(path)
        architecture, card = network.architecture, network.card
        assert isinstance(architecture, Architecture)
        assert isinstance(card, ModelCard)
        loaded[Network(path, architecture, card)] = network
    return loaded


def evaluate(
    paths: Sequence[Path],
    store: Store,
    split: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run networks over a store; without `split` over all of it, or the test records of their own.

    Files of one architecture count as trainings of one network. Raises AnalysisError where the
    store was not prepared as the networks' training records were, or no class is known to all.
    """
    loaded = open_networks(paths)
    networks = tuple(loaded)
    seen = any(network.card.data_hash == store.hash for network in networks)
    split = split or ("test" if seen else "all")
    if split not in (*SPLITS, "all"):
        raise AnalysisError(f"Expected a split out of {', '.join(SPLITS)} or all, got {split!r}.")
    rows = np.arange(len(store)) if split == "all" else store.rows(split)  # type: ignore[arg-type]
    if not len(rows):
        raise AnalysisError(f"Expected records in the split {split} of {store.path}, got none.")
    for network in networks:
        _check_preparation(network, store)
    pairs = _shared_classes(networks, store)
    of_store = [k for _, k in pairs]
    everyone = len(rows)
    if any(network.card.exclusive for network in networks):
        rows = rows[store.labels[rows][:, of_store].sum(axis=1) == 1]
    if not len(rows):
        raise AnalysisError(f"Expected records of {store.path} with exactly one class, got none.")
    runs: dict[str, list[Predictions]] = {}
    for number, network in enumerate(networks):
        columns = [_column(network.card, store, k) for k in of_store]
        values = _probabilities(loaded[network], store, rows)
        cuts = np.asarray(network.card.thresholds or (0.5,) * len(network.card.classes), np.float64)
        chosen = decided(values, cuts, network.card.exclusive)
        run = Predictions(values[:, columns], cuts[columns], chosen[:, columns])
        runs.setdefault(_label(network, networks), []).append(run)
        if progress is not None:
            progress(number + 1, len(networks))
    names = store.class_names
    classes = tuple(store.classes[k] for k in of_store)
    evaluated = Evaluated(
        labels=np.asarray(store.labels[rows][:, of_store]),
        patients=store.patient_numbers(rows),
        groups=people(store.records.iloc[rows]),
        classes=classes,
        names=tuple(names[name] for name in classes),
        networks=runs,
    )
    known = {name for name, _ in pairs}
    return Evaluation(
        evaluated=evaluated,
        networks=networks,
        store=store,
        split=split,
        only_networks=tuple(n for n in networks[0].card.classes if n not in known),
        only_store=tuple(n for n in store.classes if n not in classes),
        seen=seen,
        left_out=everyone - len(rows),
    )


def _shared_classes(networks: Sequence[Network], store: Store) -> list[tuple[str, int]]:
    """Return the classes that all know: name in the first network, column in the store."""
    pairs = []
    for k in range(len(store.classes)):
        places = [_column(network.card, store, k) for network in networks]
        if all(place >= 0 for place in places):
            pairs.append((networks[0].card.classes[places[0]], k))
    if not pairs:
        raise AnalysisError(
            "Expected a class that the networks and the store both know, got none in common: "
            f"{', '.join(networks[0].card.classes)} and {', '.join(store.classes)}."
        )
    return pairs


def _column(card: ModelCard, store: Store, k: int) -> int:
    """Return where a network has a class of the store, −1 if nowhere: by codes, or else by name."""
    if card.codes:
        codes = set(store.codes[k])
        found = [i for i, own in enumerate(card.codes) if codes & set(own)]
        return found[0] if len(found) == 1 else -1
    name = store.classes[k]
    return card.classes.index(name) if name in card.classes else -1


def _check_preparation(network: Network, store: Store) -> None:
    """Raise AnalysisError unless the store is prepared as the network expects it."""
    from search.training.keep import card_of_store

    card = network.card
    own, other = card.preprocessing, card_of_store(store, "").preprocessing
    assert other is not None
    if own is None:
        differ = [
            name
            for name, a, b in (
                ("sample_rate_hz", card.sample_rate_hz, store.sample_rate_hz),
                ("samples", card.samples, store.samples),
            )
            if a != b
        ]
    else:
        mine, theirs = own.to_dict(), other.to_dict()
        differ = [name for name in mine if name not in FREE and mine[name] != theirs[name]]
    if differ:
        wanted = own.describe() if own is not None else card.preparation
        raise AnalysisError(
            f"Expected {store.path} to be prepared as {network.path} was trained, but they differ "
            f"in {', '.join(differ)}. Prepare it so: {wanted}"
        )


def _probabilities(network: object, store: Store, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    from models.trained import TrainedNetwork

    assert isinstance(network, TrainedNetwork)
    predictor = network.predictor()
    return np.concatenate(
        [
            predictor.of_prepared(np.asarray(store.signals[rows[i : i + AT_ONCE]]), store.step)
            for i in range(0, len(rows), AT_ONCE)
        ]
    )


def _label(network: Network, networks: Sequence[Network]) -> str:
    """Name an architecture; two of one name are told apart by their hashes."""
    name, hash_ = network.architecture.name, network.architecture.hash
    alike = {n.architecture.hash for n in networks if n.architecture.name == name}
    return name if len(alike) == 1 else f"{name} {hash_[:8]}"
