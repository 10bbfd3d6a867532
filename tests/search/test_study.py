from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from conftest import define
from sqlalchemy import text

from data_pipeline import Store
from models import Architecture, load_space
from search.database.storage import Storage, open_storage
from search.definition import StudyDefinition, parse_count
from search.errors import StudyError
from search.reading.records import (
    StudyReader,
    read_class_scores,
    read_curves,
    read_definition,
    read_trials,
)
from search.reading.status import read_status
from search.study import Study, create_study, open_study
from search.training.folds import study_warnings
from search.trials.plan import plan

SHAPE = {"samples": 100, "leads": 12, "outputs": 26}


def planned(**changes: Any):
    definition = define(**changes)
    return plan(definition, load_space(definition.space), **SHAPE).trials


def test_plan_depends_on_the_seed_alone():
    first, second = planned(), planned()
    assert [(t.architecture.hash, t.seed) for t in first] == [
        (t.architecture.hash, t.seed) for t in second
    ]
    other = planned(seed=4)
    assert {t.architecture.hash for t in first} != {t.architecture.hash for t in other}
    assert {t.seed for t in first}.isdisjoint({t.seed for t in other})


def test_learning_rate_is_drawn_apart_from_the_shape():
    rates = {"learning_rate": [1e-3, 1e-2]}
    sample = {"architectures": 60, "flops": [1e5, 1e7], "bins": 3}
    more = {"replicates": {"architectures": 4}, "controls": {"shuffled_labels": 2}}
    plain, drawn = planned(sample=sample, **more), planned(sample=sample | rates, **more)
    assert [t.architecture.hash for t in plain] == [t.architecture.hash for t in drawn]
    assert all(not t.recipe for t in plain)
    own = {t.architecture.hash: t.recipe["learning_rate"] for t in drawn if t.role == "sample"}
    assert all(t.recipe["learning_rate"] == own[t.architecture.hash] for t in drawn)
    values = np.array(list(own.values()))
    assert values.min() >= 1e-3
    assert values.max() <= 1e-2
    assert 0.35 < (values < 10**-2.5).mean() < 0.65  # log-uniform
    flops = [t.architecture.cost(**SHAPE).flops for t in drawn if t.role == "sample"]
    assert abs(np.corrcoef(np.log(flops), np.log(values))[0, 1]) < 0.35


def test_every_part_of_a_plan_has_its_share_of_each_role():
    trials = planned(
        sample={"architectures": 60, "flops": [1e5, 1e7], "bins": 3},
        replicates={"architectures": 6, "seeds": 2},
        controls={"shuffled_labels": 3},
    )
    flops = {role: [] for role in ("sample", "replicate", "control")}
    for part in (trials[:25], trials[25:50], trials[50:]):
        roles = [trial.role for trial in part]
        assert 19 <= roles.count("sample") <= 21
        assert 3 <= roles.count("replicate") <= 5
        assert roles.count("control") == 1
    for trial in trials:
        flops[trial.role].append(trial.architecture.cost(samples=1000, leads=12, outputs=26).flops)
    assert flops["replicate"] != sorted(flops["replicate"])
    first, again = flops["replicate"][:6], flops["replicate"][6:]
    assert sorted(first) == sorted(again)  # each once before any twice


def test_plan_adds_replicates_and_controls_spread_over_flops():
    trials = planned(
        sample={"architectures": 9, "flops": [1e5, 2e6], "bins": 3},
        replicates={"architectures": 3, "seeds": 2},
        controls={"shuffled_labels": 2},
    )
    assert [t.index for t in trials] == list(range(17))
    sample = tuple(t for t in trials if t.role == "sample")
    replicates = [t for t in trials if t.role == "replicate"]
    controls = [t for t in trials if t.role == "control"]
    assert len(replicates) == 6
    assert len(controls) == 2
    hashes = [t.architecture.hash for t in sample]
    assert len(set(hashes)) == 9
    assert {t.architecture.hash for t in replicates} < set(hashes)
    assert len({(t.architecture.hash, t.seed) for t in sample + tuple(replicates)}) == 15
    for control in controls:
        twin = sample[hashes.index(control.architecture.hash)]
        assert twin.seed == control.seed
    order = np.argsort([t.architecture.cost(**SHAPE).flops for t in sample])
    ranks = sorted(
        {int(np.flatnonzero(order == hashes.index(t.architecture.hash))[0]) for t in replicates}
    )
    assert ranks == [1, 4, 7]


def test_definition_round_trip_and_file(tmp_path: Path):
    path = tmp_path / "small.toml"
    path.write_text(
        'seed = 7\n[sample]\narchitectures = 20\nflops = ["2M", 1e8]\nbins = 5\n'
        "[recipe]\nepochs = 3\n"
    )
    definition = StudyDefinition.from_toml(path)
    assert definition.name == "small"
    assert definition.sample.flops == (2e6, 1e8)
    assert definition.recipe.epochs == 3
    assert definition.planned == 20
    again = StudyDefinition.from_dict(json.loads(json.dumps(definition.to_dict())))
    assert again == definition
    assert again.hash == definition.hash


@pytest.mark.parametrize(
    ("given", "value"), [("2M", 2e6), ("1.5 G", 1.5e9), (3, 3.0), ("1e7", 1e7)]
)
def test_parse_count(given: Any, value: float):
    assert parse_count(given) == value


@pytest.mark.parametrize("given", ["", "M", "1..2", "2Q", True, None, "nan"])
def test_parse_count_refuses(given: Any):
    with pytest.raises(StudyError):
        parse_count(given)


def test_created_study_is_an_optuna_study(make_study: Callable[..., Study], store: Store):
    study = make_study(controls={"shuffled_labels": 1})
    seen = study.optuna()
    assert seen.direction is optuna.study.StudyDirection.MAXIMIZE
    assert seen.metric_names == ["macro_f1"]
    assert [t.number for t in seen.trials] == list(range(7))
    space = load_space("ecg-cnn")
    for trial, wanted in zip(
        seen.trials,
        plan(study.definition, space, samples=store.samples, leads=12, outputs=26).trials,
        strict=True,
    ):
        assert trial.state is optuna.trial.TrialState.WAITING
        assert trial.params == dict(wanted.architecture.factors)
        attributes = trial.user_attrs
        assert attributes["role"] == wanted.role
        assert attributes["seed"] == wanted.seed
        cost = wanted.architecture.cost(store.samples)
        assert attributes["flops"] == cost.flops
        assert attributes["params"] == cost.params
        rebuilt = Architecture.from_json(json.dumps(attributes["architecture"]))
        assert rebuilt.hash == attributes["architecture_hash"] == wanted.architecture.hash


def test_distributions_are_those_of_the_factors(make_study, storage: Storage):
    known = StudyReader(make_study().name, storage).distributions()
    assert known["depth"] == optuna.distributions.IntDistribution(3, 24, log=True)
    assert known["width_growth"] == optuna.distributions.FloatDistribution(1.0, 2.5)
    assert known["kernel_size"] == optuna.distributions.CategoricalDistribution(
        (3, 5, 7, 11, 15, 23)
    )


def test_open_study_gives_back_the_definition(make_study, store: Store, storage: Storage):
    made = make_study(replicates={"architectures": 1, "seeds": 2})
    study = open_study(made.name, storage)
    assert study == made
    assert study.definition == made.definition
    assert study.planned == 8
    assert study.data_hash == store.hash
    assert study.data["labels"] == {
        name: int(n) for name, n in zip(store.classes, store.labels.sum(axis=0), strict=True)
    }
    stored = read_definition(made.name, storage)
    assert stored["recipe"] == made.definition.recipe.to_dict()
    assert stored["data"]["synthetic"] is True
    assert sum(stored["sampling"]["accepted"]) == 6


def test_trials_of_a_fresh_study(make_study, storage: Storage):
    study = make_study()
    frame = read_trials(study.name, storage)
    assert list(frame["trial"]) == list(range(6))
    assert set(frame["state"]) == {"waiting"}
    seen = study.optuna().trials
    for name in ("depth", "width_growth", "kernel_size", "grouping", "residual", "se_ratio"):
        assert list(frame[name]) == [t.params[name] for t in seen]
        assert type(frame[name].tolist()[0]) is type(seen[0].params[name])
    assert frame["flops"].dtype == np.int64
    assert frame["macro_f1"].isna().all()
    assert read_curves(study.name, storage).empty
    assert read_class_scores(study.name, storage).empty
    status = read_status(study.name, storage)
    assert (status.waiting, status.running, status.complete, status.failed) == (6, 0, 0, 0)
    assert status.seconds_left is None


def test_second_create_is_refused(make_study, store: Store, storage: Storage):
    study = make_study()
    with pytest.raises(StudyError, match="exists already"):
        create_study(study.definition, store, storage)
    assert len(read_trials(study.name, storage)) == 6


def test_of_many_creators_one_wins(store: Store, storage: Storage):
    definition = define()
    start = threading.Barrier(4)

    def create(_: int) -> str:
        own = open_storage(storage.label)
        start.wait()
        try:
            create_study(definition, store, own)
            return "made"
        except StudyError as error:
            return str(error)
        finally:
            own.engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(create, range(4)))
    assert said.count("made") == 1
    assert sum("exists already" in words for words in said) == 3
    assert len(read_trials(definition.name, storage)) == 6


def test_interrupted_creation_leaves_nothing(store: Store, storage: Storage, monkeypatch):
    definition = define()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("search.study.refresh_view", die)
        with pytest.raises(KeyboardInterrupt):
            create_study(definition, store, storage)
    with pytest.raises(StudyError, match="expected a study"):
        open_study(definition.name, storage)
    assert create_study(definition, store, storage).planned == 6


def test_unknown_study_names_those_there(make_study, storage: Storage):
    study = make_study()
    for read in (open_study, read_trials, read_status):
        with pytest.raises(StudyError, match=study.name):
            read("no-such-study", storage)


def test_study_of_another_program_is_refused(storage: Storage):
    name = define().name
    optuna.create_study(study_name=name, storage=storage.optuna())
    with pytest.raises(StudyError, match="another program"):
        open_study(name, storage)
    with pytest.raises(StudyError, match="exists already"):
        create_study_named(name, storage)


def create_study_named(name: str, storage: Storage) -> None:
    class Nothing:
        """Never read: the name is refused first."""

    create_study(define(name=name), Nothing(), storage)  # type: ignore[arg-type]


def test_view_shows_trials_with_their_factors(make_study, storage: Storage):
    study = make_study()
    with storage.connect() as connection:
        rows = connection.execute(
            text("SELECT * FROM ecgscale_trials WHERE study = :name ORDER BY trial"),
            {"name": study.name},
        ).mappings()
        seen = list(rows)
        kinds = connection.scalars(
            text(
                "SELECT data_type FROM information_schema.columns WHERE table_name = "
                "'ecgscale_trials' AND column_name IN ('started', 'finished')"
            )
        ).all()
    assert kinds == ["timestamp with time zone"] * 2
    frame = read_trials(study.name, storage)
    for name in ("trial", "role", "flops", "depth", "kernel_size", "grouping", "residual"):
        assert [row[name] for row in seen] == list(frame[name]), name


def test_planning_five_hundred_takes_seconds(storage: Storage, store: Store):
    import time

    definition = define(sample={"architectures": 500, "flops": [3e5, 1e8], "bins": 10})
    started = time.monotonic()
    create_study(definition, store, storage)
    assert time.monotonic() - started < 15
    assert len(read_trials(definition.name, storage)) == 500


def test_a_store_that_nothing_can_be_learned_from_is_refused(
    store: Store, storage: Storage
) -> None:
    labels = np.zeros_like(store.labels)
    labels[:, 0] = 1  # a table whose negatives were lost
    with pytest.raises(StudyError, match="a class with positive and negative records in the train"):
        create_study(define(), replace(store, labels=labels), storage)
    labels[store.rows("train")[:5], 1] = 1
    with pytest.raises(StudyError, match="in the validation split"):
        create_study(define(), replace(store, labels=labels), storage)
    labels[store.rows("validation")[:2], 1] = 1
    warnings = study_warnings(replace(store, labels=labels), define().data)
    assert f"positive in all {len(store)} records: AF" in warnings
    assert "without positives in the test split: AFL" in warnings
