"""Whether a method that needs no surrogate ranks the factors alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
from optuna.importance import PedAnovaImportanceEvaluator
from scipy import stats

from analysis.questions.importance.shap import Importance
from analysis.stats.refusal import Refusal
from analysis.stats.regression import fit_spline
from analysis.trials.factors import plain
from analysis.trials.table import TrialTable
from search.quiet import quiet_optuna

TOP = 0.1
FEWEST_ON_TOP = 5


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Importances of every factor by two methods, and Kendall's tau between their rankings.

    `importances` (factors × methods): "SHAP" (mean |SHAP| of the surrogate) and "PED-ANOVA" (how
    differently the best tenth is distributed; no surrogate, so it does not share its errors).
    """

    target: str
    importances: pd.DataFrame
    tau: float

    @property
    def firsts(self) -> dict[str, str]:
        """The factor that each method puts first."""
        return {str(method): str(own.idxmax()) for method, own in self.importances.items()}

    def to_frame(self) -> pd.DataFrame:
        """Return one row per factor with values and ranks, for the CSV."""
        ranks = self.importances.rank(ascending=False).add_suffix(" rank")
        return self.importances.join(ranks).rename_axis("factor").reset_index()


def agreement(table: TrialTable, explained: Importance) -> Agreement | Refusal:
    """Rank the factors by PED-ANOVA beside SHAP, for the same target."""
    designs = table.designs()
    top = int(np.ceil(TOP * len(designs)))
    if top < FEWEST_ON_TOP:
        return Refusal("importance.few_on_top", {"n": top, "needed": FEWEST_ON_TOP})
    shap = explained.values.abs().mean().reindex(list(table.factor_names))
    anova = _ped_anova(table, designs, explained.target == "equal cost")
    importances = pd.DataFrame({"SHAP": shap, "PED-ANOVA": anova})
    tau = float(stats.kendalltau(shap, anova).statistic)
    return Agreement(explained.target, importances, tau)


def _ped_anova(table: TrialTable, designs: pd.DataFrame, equal_cost: bool) -> pd.Series:
    """Return PED-ANOVA importances of reaching the best tenth (Watanabe et al. 2304.10255)."""
    y, c = designs["score"].to_numpy(float), table.log_cost(designs)
    if equal_cost:
        y = y - fit_spline(c, y)(c)
    distributions = {factor.name: factor.distribution() for factor in table.factors}
    with quiet_optuna():
        study = optuna.create_study(direction="minimize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: plain(row[name]) for name in distributions},
                    distributions=distributions,
                    value=-float(score),
                )
                for row, score in zip(designs.to_dict("records"), y, strict=True)
            ]
        )
        found = optuna.importance.get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(target_quantile=TOP), normalize=True
        )
    return pd.Series(found).reindex(list(distributions)).fillna(0.0)
