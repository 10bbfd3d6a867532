"""The published study once more, by statsmodels and pandas alone: nothing of ours is imported.

Splines, designs and corrections are those of statsmodels and patsy, so agreement is in what is
concluded. `python tests/analysis/reference/plain.py` prints it all.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.stats.multitest import multipletests

TRIALS = Path(__file__).parents[3] / "studies/ecg-cnn-2320/report/tables/trials.csv"
COST = "cr(log_flops, df=4, constraints='center')"
# Each factor as a term; numbers spaced by ratios as logarithms, all numbers with their square.
TERMS = {
    "depth": "log_depth + I(log_depth**2)",
    "stages": "stages + I(stages**2)",
    "width": "log_width + I(log_width**2)",
    "width_growth": "width_growth + I(width_growth**2)",
    "kernel_size": "log_kernel_size + I(log_kernel_size**2)",
    "stem_kernel": "log_stem_kernel",
    "expansion": "log_expansion + I(log_expansion**2)",
    "grouping": "C(grouping)",
    "residual": "residual",
    "se_ratio": "se_rank",
}
KINDS = ("dense", "depthwise")


def free(each: pd.DataFrame, varied: tuple[str, ...]) -> list[str]:
    """Name the factors that hardly go with the cost: they sharpen the others' estimates."""
    fits = {name: smf.ols(f"log_flops ~ {TERMS[name]}", each).fit() for name in varied}
    return [name for name, fit in fits.items() if fit.rsquared_adj < 0.02]


def networks(frame: pd.DataFrame) -> pd.DataFrame:
    """Average the seeds of every randomly drawn network: one row each."""
    drawn = frame[frame["role"].isin(["sample", "replicate"])]
    numbers = ["macro_f1", "macro_auroc", "flops", "depth", "stages", "width", "width_growth"]
    numbers += ["kernel_size", "stem_kernel", "expansion", "se_ratio"]
    grouped = drawn.groupby("architecture_hash")
    each = grouped[numbers].mean().join(grouped["grouping"].first())
    each["residual"] = (grouped["residual"].first().astype(str) == "True").astype(float)
    for name in ("flops", "depth", "width", "kernel_size", "stem_kernel", "expansion"):
        each[f"log_{name}"] = np.log2(each[name])
    each["se_rank"] = each["se_ratio"].rank(method="dense")
    return each.reset_index()


def noise_sd(frame: pd.DataFrame) -> float:
    """Pool the standard deviation between seeds over the networks that have several."""
    drawn = frame[frame["role"].isin(["sample", "replicate"])]
    again = drawn[drawn.duplicated("architecture_hash", keep=False)]
    return float(np.sqrt(smf.ols("macro_f1 ~ C(architecture_hash)", again).fit().scale))


def effects(each: pd.DataFrame, varied: tuple[str, ...] = tuple(TERMS)) -> pd.DataFrame:
    """Estimate each factor's effect at equal cost: p of the factor, and points end to end."""
    rows, beside_cost = [], free(each, varied)
    for name in varied:
        beside = [TERMS[other] for other in beside_cost if other != name]
        formula = " + ".join([f"macro_f1 ~ {COST}", *beside])
        full = smf.ols(f"{formula} + {TERMS[name]}", each).fit(cov_type="HC3", use_t=True)
        rows.append((name, _p(full, TERMS[name]), 100 * _ends(full, each, name)))
    return pd.DataFrame(rows, columns=["factor", "p", "points"]).set_index("factor")


def interactions(each: pd.DataFrame) -> pd.Series:
    """Test the product of every pair of factors; p-values by pair, Holm-adjusted."""
    p, beside_cost = {}, free(each, tuple(TERMS))
    for first, second in combinations(TERMS, 2):
        beside = [TERMS[other] for other in beside_cost if other not in (first, second)]
        straight = [TERMS[name].partition(" + ")[0] for name in (first, second)]
        products = f"{straight[0]}:{straight[1]}"
        parts = [f"macro_f1 ~ {COST}", *beside, TERMS[first], TERMS[second], products]
        fit = smf.ols(" + ".join(parts), each).fit(cov_type="HC3", use_t=True)
        names = [name for name in fit.model.exog_names if ":" in name]
        p[first, second] = _wald(fit, names)
    found = pd.Series(p)
    return pd.Series(multipletests(found, method="holm")[1], found.index).sort_values()


def growth(each: pd.DataFrame, quantile: float = 0.1) -> tuple[float, float]:
    """Follow the error of the best tenth: its exponent as a power of the cost, its tenfold fall."""
    error, c = 1 - each["macro_f1"], sm.add_constant(np.log(each["flops"]))
    exponent = -sm.QuantReg(np.log(error), c).fit(q=quantile).params.iloc[1]
    fall = -sm.QuantReg(error, c).fit(q=quantile).params.iloc[1] * np.log(10)
    return float(exponent), float(fall)


def curvature(each: pd.DataFrame) -> np.ndarray:
    """Return the eigenvalues of the error's curvature in log depth and log width.

    A best shape needs both above zero.
    """
    error = "I(1 - macro_f1)"
    others = " + ".join(t for name, t in TERMS.items() if name not in ("depth", "width"))
    straight = "log_depth + log_width + (log_depth + log_width):log_flops"
    bent = "I(log_depth**2) + I(log_width**2) + log_depth:log_width"
    fit = smf.ols(f"{error} ~ {COST} + {others} + {straight} + {bent}", each).fit()
    a, b, ab = (
        fit.params[name]
        for name in ("I(log_depth ** 2)", "I(log_width ** 2)", "log_depth:log_width")
    )
    return np.asarray(np.linalg.eigvalsh([[a, ab / 2], [ab / 2, b]]))


def contrasts(frame: pd.DataFrame, pairs: pd.DataFrame, score: str) -> pd.DataFrame:
    """Compare confirmed networks by their seeds' test scores, in points.

    `pairs` has the columns first and second (architecture hashes); one regression on the network
    gives all means and the variance between seeds.
    """
    fit = smf.ols(f"{score} ~ 0 + architecture_hash", frame[frame["role"] == "confirm"]).fit()
    rows = []
    for first, second in pairs[["first", "second"]].itertuples(index=False):
        weights = pd.Series(0.0, fit.params.index)
        weights[f"architecture_hash[{first}]"] += 1
        weights[f"architecture_hash[{second}]"] -= 1
        test = fit.t_test(weights.to_numpy())
        rows.append((100 * float(test.effect[0]), 100 * float(test.sd[0, 0]), float(test.pvalue)))
    return pd.DataFrame(rows, columns=["estimate", "se", "p"])


def _p(fit: Any, term: str) -> float:
    pieces = [piece.replace("**", " ** ") for piece in term.split(" + ")]
    return _wald(fit, [n for n in fit.model.exog_names if any(n.startswith(p) for p in pieces)])


def _wald(fit: Any, names: list[str]) -> float:
    rows = np.eye(len(fit.params))[[fit.model.exog_names.index(name) for name in names]]
    rows = rows[np.linalg.norm(rows, axis=1) > 0]
    return float(fit.wald_test(rows, use_f=True, scalar=True).pvalue)


def _ends(fit: Any, each: pd.DataFrame, name: str) -> float:
    """Predict at the 90th less at the 10th percentile of a factor; depthwise less dense."""
    column = {"se_ratio": "se_rank"}.get(name, name)
    column = f"log_{name}" if f"log_{name}" in each else column
    low, high = KINDS
    if column != "grouping":
        low, high = each[column].quantile([0.1, 0.9], interpolation="nearest")
    both = [fit.predict(each.assign(**{column: value})).mean() for value in (low, high)]
    return float(both[1] - both[0])


def main() -> None:
    """Print everything."""
    frame = pd.read_csv(sys.argv[1] if len(sys.argv) > 1 else TRIALS)
    each = networks(frame)
    print("noise", noise_sd(frame))
    print(effects(each))
    others = tuple(name for name in TERMS if name != "residual")
    for at in (1.0, 0.0):
        print("residual", at, effects(each[each["residual"] == at], others), sep="\n")
    print(interactions(each).head(8))
    print("exponent, tenfold fall", growth(each))
    print("curvature", curvature(each), curvature(each[each["residual"] == 1].copy()))


if __name__ == "__main__":
    main()
