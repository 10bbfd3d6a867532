"""The table: coding of factors, averaging of seeds, what is left out, refusals."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

import analysis
from analysis.errors import AnalysisError
from analysis.trials.factors import FactorInfo, from_values
from analysis.trials.table import TrialTable, from_frame, from_optuna
from tests.analysis.simulate import simulate


def test_codes_follow_the_scale_of_a_factor() -> None:
    kernel = FactorInfo("kernel_size", "choice", choices=(23, 3, 7))
    assert kernel.code([3, 7, np.int64(23)]) == pytest.approx(np.log2([3, 7, 23]))
    se = FactorInfo("se_ratio", "choice", choices=(0.0, 0.25, 0.0625))
    assert list(se.code([0, 0.0625, 0.25])) == [0, 1, 2]
    grouping = FactorInfo("grouping", "choice", choices=("dense", "group16", "depthwise"))
    assert list(grouping.code(["depthwise", "dense"])) == [2, 0]
    assert not grouping.ordered
    residual = FactorInfo("residual", "choice", choices=(True, False))
    assert list(residual.code(np.array([True, False]))) == [1, 0]
    assert residual.level_labels() == ("off", "on")
    assert list(FactorInfo("width", "int", log=True).code([16, 64])) == [4, 6]


def test_unknown_level_is_named() -> None:
    grouping = FactorInfo("grouping", "choice", choices=("dense", "depthwise"))
    with pytest.raises(AnalysisError, match=r"grouping.*'sparse'"):
        grouping.code(["sparse"])


def test_factors_are_guessed_from_values() -> None:
    rng = np.random.default_rng(0)
    width = from_values("width", np.exp(rng.uniform(2, 6, 200)).round())
    assert (width.kind, width.log) == ("int", True)
    growth = from_values("growth", rng.uniform(1, 2.5, 200))
    assert (growth.kind, growth.log) == ("float", False)
    assert from_values("k", [3, 5, 3, 7.0]).choices == (3, 5, 7)


def test_designs_average_seeds_and_leave_out_what_was_not_drawn_at_random() -> None:
    table = simulate(architectures=60, replicates=(5, 3), controls=3, failures=4, waiting=2, seed=4)
    designs = table.designs()
    failed = set(table.failed()["architecture_hash"])
    assert len(table.failed()) == 4
    kept = table.frame.query("role in ('sample', 'replicate') and state == 'complete'")
    assert len(designs) == kept["architecture_hash"].nunique()
    for _, design in designs.iterrows():
        rows = kept[kept["architecture_hash"] == design["architecture_hash"]]
        assert design["repeats"] == len(rows)
        assert design["score"] == pytest.approx(rows["macro_f1"].mean())
    assert designs["error"].to_numpy() == pytest.approx(1 - designs["score"].to_numpy())
    assert designs["flops"].is_monotonic_increasing
    assert len(failed - set(designs["architecture_hash"])) >= 1


def test_order_of_rows_does_not_matter(small: TrialTable) -> None:
    shuffled = small.frame.sample(frac=1, random_state=3)
    again = from_frame(shuffled, factors=small.factors)
    pd.testing.assert_frame_equal(again.designs(), small.designs())


def test_equal_factors_are_replicates_without_a_hash() -> None:
    frame = pd.DataFrame({"k": [3, 3, 5, 7], "flops": [1, 1, 2, 3], "macro_f1": [0.1, 0.3, 0.2, 1]})
    designs = from_frame(frame).designs()
    assert list(designs["repeats"]) == [2, 1, 1]
    assert designs["score"][0] == pytest.approx(0.2)


def test_minimised_objective_is_turned() -> None:
    frame = pd.DataFrame({"k": [3, 5, 7], "flops": [1, 2, 3], "loss": [2.0, 1.5, math.nan]})
    table = from_frame(frame, objective="loss", maximize=False)
    assert list(table.designs()["score"]) == [-2.0, -1.5]
    assert list(table.designs()["error"]) == [2.0, 1.5]
    assert len(table.failed()) == 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame(), "no trials"),
        (pd.DataFrame({"k": [1], "flops": [1]}), "'macro_f1'"),
        (pd.DataFrame({"k": [1], "flops": [0], "macro_f1": [0.5]}), "above zero"),
        (pd.DataFrame({"k": [1], "flops": [1], "macro_f1": [math.nan]}), "complete"),
    ],
)
def test_unusable_tables_are_refused_in_one_sentence(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(AnalysisError, match=message) as caught:
        from_frame(frame)
    assert "\n" not in str(caught.value)


def test_any_single_objective_optuna_study_is_read() -> None:
    def objective(trial: optuna.Trial) -> float:
        depth = trial.suggest_int("depth", 1, 64, log=True)
        switch = trial.suggest_categorical("switch", [True, False])
        if switch:
            trial.suggest_float("rate", 0, 1)
        trial.set_user_attr("macs", depth * 10.0)
        return 1 / depth

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0), direction="minimize")
    study.optimize(objective, n_trials=20)
    table = from_optuna(study, cost="macs")
    assert [(f.name, f.kind, f.log) for f in table.factors] == [
        ("depth", "int", True),
        ("switch", "choice", False),
    ]
    assert not table.maximize
    assert "rate" in table.study.notes[0]
    assert table.designs()["error"].min() == pytest.approx(study.best_value)
    with pytest.raises(AnalysisError, match="flops"):
        from_optuna(study)


def bowl(trial: optuna.Trial) -> float:
    """Best at rate 0.1, a little better with the switch on; costs 10 per unit of depth."""
    depth = trial.suggest_int("depth", 1, 64, log=True)
    rate = trial.suggest_float("rate", 1e-3, 1, log=True)
    trial.set_user_attr("macs", depth * 10.0)
    if trial.number == 7:
        trial.report(0.2, 1)
        raise optuna.TrialPruned
    return 0.5 - abs(math.log(rate / 0.1)) / 20


@pytest.fixture
def storage() -> optuna.storages.InMemoryStorage:
    """Hold a study of somebody else's."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(
        study_name="theirs", storage=storage, direction="maximize",
        sampler=optuna.samplers.RandomSampler(0),
    )  # fmt: skip
    study.set_metric_names(["accuracy"])
    study.optimize(bowl, n_trials=30)
    return storage


def test_a_notebook_reads_a_study_by_name_or_as_it_is(
    storage: optuna.storages.InMemoryStorage,
) -> None:
    named = analysis.table("theirs", storage, cost="macs")
    study = optuna.load_study(study_name="theirs", storage=storage)
    again = analysis.table(study, cost="macs")
    pd.testing.assert_frame_equal(named.frame, again.frame)
    assert named.objective == "accuracy"
    assert named.factor_names == ("depth", "rate")
    assert named.maximize
    complete = [trial for trial in study.trials if trial.number != 7]
    assert sorted(named.complete()["accuracy"]) == sorted(trial.value for trial in complete)
    assert named.failed().empty
    assert any("1 pruned" in note for note in named.study.notes)
    assert any("how the trials were drawn" in note for note in named.study.notes)


def test_a_notebook_is_told_what_is_there(storage: optuna.storages.InMemoryStorage) -> None:
    with pytest.raises(AnalysisError, match="there are theirs"):
        analysis.table("mine", storage, cost="macs")
    with pytest.raises(AnalysisError, match="name another cost"):
        analysis.table("theirs", storage)
    with pytest.raises(AnalysisError, match="has accuracy"):
        analysis.table("theirs", storage, cost="macs", objective="loss")


def test_a_study_in_a_file_and_a_frame_are_read_too(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(
        study_name="filed", storage=url, sampler=optuna.samplers.RandomSampler(0)
    )
    study.optimize(bowl, n_trials=12)
    table = analysis.table("filed", url, cost="macs")
    assert not table.maximize
    assert len(table.complete()) == 11
    frame = table.frame.rename(columns={"value": "loss"})[["depth", "rate", "macs", "loss"]]
    again = analysis.table(frame, cost="macs", objective="loss", maximize=False)
    assert len(again.complete()) == 11
    assert not again.maximize


def test_asking_for_the_table_function_imports_nothing_heavy() -> None:
    code = (
        "import sys; from analysis import table; assert callable(table); "
        "heavy = {'pandas', 'optuna', 'plotly', 'sklearn', 'torch'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_less_is_better_of_a_calibration_error() -> None:
    frame = simulate(architectures=40, seed=1).frame
    frame["ece"] = np.linspace(0.02, 0.2, len(frame))
    table = analysis.table(frame, objective="ece")
    assert not table.maximize
    assert table.score(table.frame).idxmax() == frame["ece"].idxmin()
    assert analysis.table(frame, objective="macro_auroc").maximize
