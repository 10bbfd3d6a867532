"""Halving of proposed networks on a real database: who ends early, and what stays of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from processes import EPOCHS, expected, slow_trainer
from sqlalchemy import text

from models import load_space
from models.pool import pool_of
from search.errors import StudyError
from search.reading.records import read_curves, read_trials
from search.reading.status import read_status
from search.reading.transfer import dump_study, load_study
from search.study import Study, extend_study
from search.trials.halving import FEWEST
from search.trials.plan import Extension
from search.worker import run_worker

FLOPS = (1e5, 2e6)


def proposed(study: Study, count: int, flops: tuple[float, float] = FLOPS, seed: int = 9):
    pool = pool_of(
        load_space(study.definition.space), count, flops_range=flops, seed=seed, **study.shape
    )
    return tuple(pool.architecture(place) for place in range(count))


@pytest.fixture
def halved(make_study, storage, store, tmp_path: Path) -> Study:
    study = make_study(sample={"architectures": 2, "flops": list(FLOPS), "bins": 1})
    study = extend_study(study, Extension(refinements=proposed(study, 12), halving=1))
    run_worker(study.name, storage, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    return study


def test_the_worse_half_of_those_before_ends_after_the_epoch(halved: Study) -> None:
    frame = read_trials(halved.name, halved.storage).sort_values("trial")
    assert set(frame[frame["role"] == "sample"]["state"]) == {"complete"}
    refined = frame[frame["role"] == "refine"]
    seen: list[float] = []
    for row in refined.itertuples():
        score = expected(row.architecture_hash, row.seed)
        behind = len(seen) >= FEWEST and score < np.median(seen)
        assert row.state == ("pruned" if behind else "complete"), row.trial
        seen.append(score)
    assert 2 <= (refined["state"] == "pruned").sum() <= 8
    assert refined["failure"].isna().all()
    epochs = read_curves(halved.name, halved.storage).groupby("trial").size()
    ends = refined.set_index("trial")["state"].map({"pruned": 1, "complete": EPOCHS})
    assert epochs.loc[ends.index].tolist() == ends.tolist()
    with halved.storage.connect() as connection:
        halving = connection.scalars(
            text("SELECT value_json FROM trial_user_attributes WHERE key = 'halving'")
        ).all()
    assert [json.loads(one) for one in halving] == [1] * 12


def test_they_are_done_without_failure_and_survive_a_dump(halved: Study, tmp_path: Path) -> None:
    status = read_status(halved.name, halved.storage)
    assert status.done
    assert (status.failed, status.failures) == (0, {})
    assert status.complete + status.pruned == status.planned == 14
    dump = tmp_path / "study.jsonl.gz"
    dump_study(halved.name, halved.storage, dump)
    again = load_study(dump, halved.storage, name="again")
    before, after = (read_trials(s.name, s.storage)["state"].tolist() for s in (halved, again))
    assert before == after
    assert "pruned" in after
    states = {trial.state.name for trial in halved.optuna().trials}
    assert states == {"COMPLETE", "PRUNED"}


def test_peers_are_of_like_flops(make_study, storage, store) -> None:
    """Eight networks in two bins: no bin has more than the four that go on in any case."""
    study = make_study(sample={"architectures": 2, "flops": list(FLOPS), "bins": 2})
    middle = (FLOPS[0] * FLOPS[1]) ** 0.5
    small, large = (proposed(study, 4, f) for f in ((FLOPS[0], middle), (middle, FLOPS[1])))
    extend_study(study, Extension(refinements=(*small, *large), halving=1))
    run_worker(study.name, storage, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    assert set(read_trials(study.name, storage)["state"]) == {"complete"}


def test_an_epoch_that_the_study_lacks_is_refused(make_study) -> None:
    study = make_study(sample={"architectures": 2, "flops": list(FLOPS), "bins": 1})
    epochs = study.definition.recipe.epochs
    for halving in (0, epochs):
        with pytest.raises(StudyError, match=f"from 1 to {epochs - 1}"):
            extend_study(study, Extension(refinements=proposed(study, 1), halving=halving))
