from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import define
from processes import slow_trainer

from models import Space, load_space, reference
from models.pool import pool_of
from search.database.storage import open_storage
from search.definition import ReplicatePlan, StudyDefinition
from search.errors import StudyError
from search.reading.records import read_definition, read_trials
from search.study import create_study, extend_study, open_study
from search.trials.plan import Extension, plan
from search.trials.plan import extend as plan_extension
from search.worker import run_worker

SHAPE = {"samples": 100, "leads": 12, "outputs": 26}


def keys(frame) -> list[tuple]:
    return list(zip(frame["architecture_hash"], frame["seed"], frame["role"], strict=True))


def rates_of_a_worker(name: str, storage, store) -> list[float]:
    """Let a worker run all trials; return the learning rates its trainer was given."""
    used: list[float] = []
    inner = slow_trainer(0.01)

    def spy(architecture, train, valid, recipe, seed, **rest):
        used.append(recipe.learning_rate)
        return inner(architecture, train, valid, recipe, seed, **rest)

    run_worker(name, storage, store, "cpu", train=spy, say=lambda _: None)
    return used


def test_extension_adds_what_was_asked_and_leaves_the_rest(make_study, storage, store):
    study = make_study(controls={"shuffled_labels": 1})
    before = read_trials(study.name, storage)
    run_worker(study.name, storage, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    done = read_trials(study.name, storage)
    asked = Extension(
        architectures=5,
        replicates=ReplicatePlan(2, 3),
        controls=2,
        references=(reference("resnet1d-wang"),),
        seeds=2,
    )
    extended = extend_study(study, asked)
    assert extended.planned == 7 + 5 + 6 + 2 + 2
    after = read_trials(study.name, storage)
    assert list(after["trial"]) == list(range(22))
    assert keys(after[:7]) == keys(before)
    assert list(after["macro_f1"][:7]) == list(done["macro_f1"])
    assert set(after["state"][7:]) == {"waiting"}
    new = after[7:]
    assert new["role"].value_counts().to_dict() == {
        "replicate": 6,
        "sample": 5,
        "control": 2,
        "reference": 2,
    }
    assert len(set(keys(after))) == 22
    samples = after[after["role"] == "sample"]
    assert samples["architecture_hash"].is_unique
    twins = samples.set_index("architecture_hash")["seed"]
    for control in new[new["role"] == "control"].itertuples():
        assert twins[control.architecture_hash] == control.seed
    assert after["depth"].isna().sum() == 2  # a reference is not a point of the space
    run_worker(study.name, storage, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    assert set(read_trials(study.name, storage)["state"]) == {"complete"}
    assert read_definition(study.name, storage)["planned"] == 22


def test_drawn_learning_rates_reach_the_trainer_and_the_table(make_study, storage, store):
    sample = {"architectures": 3, "flops": [1e5, 2e6], "bins": 3, "learning_rate": [1e-3, 1e-2]}
    study = make_study(sample=sample, replicates={"architectures": 2})
    extend_study(study, Extension(architectures=2, replicates=ReplicatePlan(1, 1), controls=1))
    used = rates_of_a_worker(study.name, storage, store)
    frame = read_trials(study.name, storage)
    assert set(frame["state"]) == {"complete"}
    assert used == frame["learning_rate"].tolist()
    per_network = frame.groupby("architecture_hash")["learning_rate"].nunique()
    assert (per_network == 1).all()
    assert frame["learning_rate"].nunique() == 5
    assert frame["recipe_hash"].nunique() == 5


def test_proposed_networks_are_trained_as_such_once_each(make_study, storage, store):
    sample = {"architectures": 2, "flops": [1e5, 2e6], "bins": 1, "learning_rate": [1e-3, 1e-2]}
    study = make_study(sample=sample)
    space = load_space(study.definition.space)
    pool = pool_of(space, 3, flops_range=(1e5, 2e6), seed=9, **SHAPE)
    networks = tuple(pool.architecture(place) for place in range(3))
    extended = extend_study(study, Extension(refinements=networks))
    again = extend_study(extended, Extension(refinements=networks[:1]))
    assert again.planned == study.planned + 4
    run_worker(study.name, storage, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    frame = read_trials(study.name, storage)
    assert set(frame["state"]) == {"complete"}
    proposed = frame[frame["role"] == "refine"]
    assert proposed["architecture_hash"].tolist() == [n.hash for n in (*networks, networks[0])]
    assert not proposed[["seed", "learning_rate"]].duplicated().any()
    assert proposed["learning_rate"].nunique() == 4
    assert proposed["depth"].tolist()[:3] == pool.values["depth"]


def test_references_have_the_same_seeds_at_every_learning_rate(make_study, storage, store):
    study = make_study()
    usual = study.definition.recipe.learning_rate
    networks = (reference("resnet1d-wang"), reference("xresnet1d18@0.1"))
    extend_study(study, Extension(references=networks, seeds=2, learning_rates=(1e-3, usual)))
    extend_study(study, Extension(references=networks, seeds=2, learning_rates=(2e-2,)))
    extend_study(study, Extension(references=networks[:1], learning_rates=(1e-3,)))  # a third seed
    used = rates_of_a_worker(study.name, storage, store)
    frame = read_trials(study.name, storage)
    frame["rate"] = used
    new = frame[frame["role"] == "reference"]
    seeds = new.groupby(["architecture_hash", "rate"])["seed"].agg(set).unstack()
    assert set(seeds.columns) == {1e-3, usual, 2e-2}
    first, second = seeds.loc[networks[0].hash], seeds.loc[networks[1].hash]
    assert second[1e-3] == second[usual] == second[2e-2]
    assert first[usual] == first[2e-2] < first[1e-3]
    assert [len(first[1e-3]), len(first[usual])] == [3, 2]


def test_design_space_is_read_back_without_its_file(storage, store, tmp_path: Path):
    space = tmp_path / "mine.toml"
    space.write_text('family = "ecg-cnn"\n[factors]\nresidual = true\n')
    sample = {"architectures": 2, "flops": [1e5, 2e6], "bins": 1, "learning_rate": [1e-3, 1e-2]}
    wanted = load_space(space)
    study = create_study(define(space=str(space), sample=sample), store, storage)
    space.unlink()
    read = Space.from_dict(read_definition(study.name, storage)["design_space"])
    assert read.factors == wanted.factors
    assert "learning_rate" in read_trials(study.name, storage)


def test_extension_depends_on_the_seed_and_what_is_there():
    definition = define()
    space = load_space("ecg-cnn")
    known = plan(definition, space, **SHAPE).trials
    asked = Extension(architectures=4, replicates=ReplicatePlan(2, 2))
    twice = [plan_extension(definition, space, known, asked, **SHAPE) for _ in range(2)]
    assert [(t.architecture.hash, t.seed) for t in twice[0]] == [
        (t.architecture.hash, t.seed) for t in twice[1]
    ]
    further = plan_extension(definition, space, known + twice[0], asked, **SHAPE)
    assert {(t.architecture.hash, t.seed) for t in further}.isdisjoint(
        (t.architecture.hash, t.seed) for t in twice[0]
    )


def test_extensions_at_once_and_under_a_worker(make_study, storage, store):
    study = make_study()

    def add(_: int) -> None:
        own = open_storage(storage.label)
        extend_study(open_study(study.name, own), Extension(architectures=3))
        own.engine.dispose()

    with ThreadPoolExecutor(5) as pool:
        work = pool.submit(
            run_worker,
            *(study.name, open_storage(storage.label), store, "cpu"),
            train=slow_trainer(0.2),
            say=lambda _: None,
        )
        time.sleep(0.5)
        list(pool.map(add, range(4)))
        assert work.result() == 0
    frame = read_trials(study.name, storage)
    assert list(frame["trial"]) == list(range(18))
    assert frame["architecture_hash"].is_unique
    assert set(frame["state"]) == {"complete"}


def test_nothing_asked_is_refused(make_study):
    with pytest.raises(StudyError, match="got none"):
        extend_study(make_study(), Extension())


@pytest.mark.parametrize(
    "extension",
    [
        Extension(architectures=10**12),
        Extension(replicates=ReplicatePlan(20_000, 1_000)),
        Extension(controls=10**12),
        Extension(references=(reference("xresnet1d18"),), seeds=10**12),
    ],
)
def test_more_trials_than_anybody_trains_are_refused(extension: Extension):
    definition = define()
    started = time.monotonic()
    with pytest.raises(StudyError, match="at most 20,000 planned trials"):
        plan_extension(definition, load_space("ecg-cnn"), (), extension, **SHAPE)
    assert time.monotonic() - started < 1


def test_space_file_beside_the_definition(tmp_path: Path):
    (tmp_path / "mine.toml").write_text('family = "ecg-cnn"\n[factors]\nresidual = true\n')
    (tmp_path / "study.toml").write_text('space = "mine.toml"\n')
    definition = StudyDefinition.from_toml(tmp_path / "study.toml")
    assert "residual" not in [f.name for f in load_space(definition.space).factors]
