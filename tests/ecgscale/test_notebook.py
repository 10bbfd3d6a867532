"""A study of ours in a notebook: by its name, or as the Optuna study it is."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

import analysis
from analysis.errors import AnalysisError
from search.database.storage import open_storage


def test_a_study_of_ours_is_read_by_name_and_as_optuna_knows_it(
    finished: str, database: str
) -> None:
    storage = open_storage(database)
    named = analysis.table(finished, database)
    as_optuna = analysis.table(optuna.load_study(study_name=finished, storage=storage.optuna()))
    assert named.factor_names == as_optuna.factor_names
    assert named.objective == as_optuna.objective == "macro_f1"
    assert named.study.planned == as_optuna.study.planned == len(named.frame)
    assert named.study.synthetic
    assert as_optuna.study.synthetic
    assert as_optuna.study.notes == ()
    first, second = (t.designs().set_index("architecture_hash") for t in (named, as_optuna))
    assert set(first.index) == set(second.index)
    assert np.allclose(first["score"], second["score"].loc[first.index])
    assert np.allclose(first["flops"], second["flops"].loc[first.index])
    auroc = analysis.table(finished, storage, objective="macro_auroc", cost="params")
    assert (auroc.objective, auroc.cost) == ("macro_auroc", "params")


def test_an_unknown_study_and_metric_are_said_in_one_sentence(finished: str, database: str) -> None:
    with pytest.raises(AnalysisError, match=f"there are .*{finished}"):
        analysis.table("nobody", database)
    with pytest.raises(AnalysisError, match="has macro_f1"):
        analysis.table(finished, database, objective="accuracy")
