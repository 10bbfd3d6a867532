"""Whether methods with other assumptions rank the factors alike."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import optuna
import pandas as pd
from optuna.importance import PedAnovaImportanceEvaluator
from scipy import stats

from analysis.questions.importance.shap import Importance
from analysis.stats.regression import fit_spline, folds
from analysis.surrogates.surrogate import FOLDS, Surrogate, fit_target
from analysis.trials.table import TrialTable

TOP = 0.1
FEWEST_ON_TOP = 5


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Importances of every factor by three methods, and Kendall's tau between their rankings.

    `importances` (factors × methods): "SHAP" (mean |SHAP| of the surrogate), "permutation" (loss
    of R² on held-out architectures when the factor is shuffled) and "PED-ANOVA" (how differently
    the best tenth is distributed; no surrogate). `taus` (methods × methods). `refusal` says which
    method could not be used.
    """

    target: str
    importances: pd.DataFrame
    taus: pd.DataFrame
    refusal: str | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row per factor with values and ranks, for the CSV."""
        ranks = self.importances.rank(ascending=False).add_suffix(" rank")
        return self.importances.join(ranks).rename_axis("factor").reset_index()


def agreement(
    table: TrialTable, surrogate: Surrogate, explained: Importance, *, seed: int = 0
) -> Agreement:
    """Rank the factors by permutation and PED-ANOVA beside SHAP, for the surrogate's target."""
    names = list(table.factor_names)
    shap = explained.values.abs().mean().reindex(names)
    importances = pd.DataFrame({"SHAP": shap, "permutation": _permutation(table, surrogate, seed)})
    refusal = None
    designs = table.designs()
    top = int(np.ceil(TOP * len(designs)))
    if top < FEWEST_ON_TOP:
        refusal = f"PED-ANOVA needs {FEWEST_ON_TOP} architectures in the best tenth; here are {top}"
    else:
        importances["PED-ANOVA"] = _ped_anova(table, designs, surrogate.target == "equal cost")
    taus = pd.DataFrame(1.0, index=importances.columns, columns=importances.columns)
    for first, second in combinations(importances.columns, 2):
        tau = float(stats.kendalltau(importances[first], importances[second]).statistic)
        taus.loc[first, second] = taus.loc[second, first] = tau
    return Agreement(surrogate.target, importances, taus, refusal)


def _permutation(table: TrialTable, surrogate: Surrogate, seed: int, repeats: int = 5) -> pd.Series:
    """Return the mean rise of the squared error on held-out folds, over the score's variance."""
    designs = table.designs()
    x, c, y = table.codes(designs), table.log_cost(designs), designs["score"].to_numpy(float)
    rng = np.random.default_rng(seed)
    fold = folds(c, min(FOLDS, len(y)), rng)
    rise = np.zeros(x.shape[1])
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        model = fit_target(
            surrogate.candidate, surrogate.target, x[train], c[train], y[train], table.factors, seed
        )
        loss = ((y[test] - model.predict(x[test], c[test])) ** 2).sum()
        for j in range(x.shape[1]):
            for _ in range(repeats):
                shuffled = x[test].copy()
                shuffled[:, j] = rng.permutation(shuffled[:, j])
                worse = ((y[test] - model.predict(shuffled, c[test])) ** 2).sum()
                rise[j] += (worse - loss) / repeats
    return pd.Series(rise / ((y - y.mean()) ** 2).sum(), index=table.factor_names)


def _ped_anova(table: TrialTable, designs: pd.DataFrame, equal_cost: bool) -> pd.Series:
    """Return PED-ANOVA importances of reaching the best tenth (Watanabe et al. 2304.10255)."""
    y, c = designs["score"].to_numpy(float), table.log_cost(designs)
    if equal_cost:
        y = y - fit_spline(c, y)(c)
    distributions = {factor.name: factor.distribution() for factor in table.factors}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces studies, even in memory
    study = optuna.create_study(direction="minimize")
    optuna.logging.set_verbosity(verbosity)
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: _native(row[name]) for name in distributions},
                distributions=distributions,
                value=-float(score),
            )
            for row, score in zip(designs.to_dict("records"), y, strict=True)
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = optuna.importance.get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(target_quantile=TOP), normalize=True
        )
    return pd.Series(found).reindex(list(distributions)).fillna(0.0)


def _native(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
