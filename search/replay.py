"""Train one trial of a study again, bit for bit, to have the network that was not kept."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from search.attempt import recipe_of, records_of
from search.errors import StudyError
from search.machine import choose_device, device_name, git_commit
from search.reading.records import read_trials
from search.study import Study
from search.study_plugins import require_plugins
from search.training.start import check_start
from search.trials.queue import Claim
from search.worker import check_store

if TYPE_CHECKING:
    from data_pipeline import Store
    from search.training.train import TrialScores

CPU = re.compile(r"cpu \((\d+) threads\)")


@dataclass(frozen=True, slots=True)
class Stored:
    """A complete trial as the database has it, with the row of its scores."""

    claim: Claim
    row: pd.Series

    @property
    def device(self) -> str:
        """The device that it was trained on."""
        return str(self.row["device"])


def read_stored(study: Study, number: int) -> Stored:
    """Read a complete trial; StudyError where there is none."""
    trials = read_trials(study.name, study.storage)
    own = trials[trials["trial"] == number]
    if own.empty or own.iloc[0]["state"] != "complete":
        state = "none of that number" if own.empty else f"one that is {own.iloc[0]['state']}"
        raise StudyError(
            f"expected --trial to name a complete trial of {study.name}, got {state}: "
            f"'ecgscale trials {study.name}' lists them"
        )
    row = own.iloc[0]
    changes = row["recipe"] if isinstance(row["recipe"], str) else "{}"
    claim = Claim.planned(
        number, str(row["role"]), int(row["seed"]), str(row["architecture"]), changes
    )
    return Stored(claim, row)


def replay(
    study: Study,
    store: Store,
    number: int,
    path: Path,
    *,
    device: str = "auto",
    init: Path | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Path:
    """Train a complete trial anew and write its network to `path` (.safetensors); return it.

    The same network, seed, recipe, precision and records give the same scores on the same device.
    Raises StudyError, and writes nothing, where a score differs from the stored one.
    """
    from models import Architecture
    from search.training.folds import Folds
    from search.training.keep import keep_network
    from search.training.train import Trained, train_one

    stored = read_stored(study, number)
    check_store(study, store)
    require_plugins(study.name, study.definition.plugins)
    study = check_start(study, store, init)
    chosen = choose_device(device)
    if chosen.startswith("cuda") is bool(CPU.fullmatch(stored.device)):
        raise StudyError(
            f"expected the type of device that trial {number} was trained on, {stored.device}, got "
            f"{device_name(chosen)}, which rounds otherwise: give --device, or another machine"
        )
    finished: list[Trained] = []
    folds, recipe = Folds(store, study.definition.data, chosen), recipe_of(study, stored.claim)
    with _threads_of(stored.device):
        scores = train_one(
            Architecture.from_json(stored.claim.architecture),
            *records_of(folds, stored.claim),
            recipe.with_precision(str(stored.row["precision"])),
            stored.claim.seed,
            device=chosen,
            scoring=study.definition.scoring,
            on_epoch=on_epoch,
            on_finish=finished.append,
        )
        _require_same(study, stored, scores, device_name(chosen))
    return keep_network(path, study, store, stored.claim, finished[-1], scores, git_commit())


def _require_same(study: Study, stored: Stored, scores: TrialScores, device: str) -> None:
    """Refuse a training whose scores are not those of the trial, and say what else differs."""
    row = stored.row
    pairs = {name: (float(row[name]), now) for name, now in scores.values.items() if name in row}
    unlike = [
        f"{name} {was!r}, now {now!r}"
        for name, (was, now) in pairs.items()
        # A score of before its metric was stored is no number, like one that is not defined.
        if not math.isnan(was) and was != now
    ]
    if not unlike:
        return
    compared: dict[str, tuple[Any, Any]] = {
        "device": (stored.device, device),
        "version of the code": (stored.row["git_commit"], git_commit()),
        "records per micro-batch": (stored.row["micro_batch"], scores.micro_batch),
        "data hash": (stored.row["data_hash"], study.data_hash),
    }
    found = [f"{what} {was}, now {now}" for what, (was, now) in compared.items() if was != now]
    reasons = "; ".join(found) or "another version of torch or of its libraries, most likely"
    raise StudyError(
        f"expected trial {stored.claim.number} of {study.name} to score again what it scored, got "
        f"{'; '.join(unlike)}. What differs: {reasons}. Nothing was written. Use what it was "
        "trained with, or train this network with a new seed: ecgscale extend --reference"
    )


@contextmanager
def _threads_of(device: str) -> Iterator[None]:
    """Compute with as many threads as the trial had: sums in other parts round otherwise."""
    import torch

    before = torch.get_num_threads()
    if match := CPU.fullmatch(device):
        torch.set_num_threads(int(match[1]))
    try:
        yield
    finally:
        torch.set_num_threads(before)
