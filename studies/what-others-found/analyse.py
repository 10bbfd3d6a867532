"""Two tests of why studies differ: the cost that was not held, and the training that was short.

    ecgscale load studies/ecg-cnn-2320/study.jsonl.gz
    python studies/what-others-found/analyse.py ecg-cnn-2320 --space ecg-cnn

Among networks with residual connections. First the effect of a choice with FLOPs held (as in the
report) and not held: the surrogate's mean difference over networks drawn independently, both within
3 to 300 MFLOP, whatever the choice costs; intervals by refits to resampled networks. Then the
effect of depth at equal FLOPs on the score after each epoch.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from analysis.stats.regression import natural_spline, spline_knots
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.surrogate import Data, fit_target
from analysis.trials.find import read_table
from analysis.trials.table import TrialTable
from models import Space, load_space
from models.pool import pool_of
from search.database.storage import Storage, open_storage
from search.reading.records import read_curves

CHOICES = {
    "expansion": (4.0, 0.25),
    "se_ratio": (0.25, 0.0),
    "depth": (16, 3),
    "kernel_size": (23, 3),
    "stages": (6, 3),
}
FLOPS = (3e6, 3e8)
REFITS, DRAWS = 200, 4000


def flops_of(space: Space, points: pd.DataFrame) -> np.ndarray:
    """Count the FLOPs of points of a space (n,)."""
    return np.array([space.resolve(row).cost().flops for row in points.to_dict("records")], float)


def not_at_equal_cost(table: TrialTable, space: Space) -> None:
    """Print what the surrogate expects of each choice when its FLOPs are not held."""
    drawn = pd.DataFrame(pool_of(space, DRAWS, flops_range=FLOPS, seed=4).values)
    drawn = drawn[drawn["residual"]].reset_index(drop=True)
    data, rng = Data.of(table), np.random.default_rng(0)
    weights = [np.bincount(rng.integers(0, len(data), len(data)), minlength=len(data))
               for _ in range(REFITS)]  # fmt: skip
    fits = [fit_target(QuadraticRidge(), "score", data, 0, one.astype(float)) for one in weights]
    whole = fit_target(QuadraticRidge(), "score", data, 0)
    print(
        "| choice | networks | FLOPs | as it comes, points | at equal FLOPs |\n" + "|---" * 5 + "|"
    )
    for name, (one, other) in CHOICES.items():
        pair = [drawn.assign(**{name: value}) for value in (one, other)]
        costs = [flops_of(space, points) for points in pair]
        within = np.all([(cost >= FLOPS[0]) & (cost <= FLOPS[1]) for cost in costs], axis=0)
        codes = [table.codes(points[within]) for points in pair]
        logs = [np.log(cost[within]) for cost in costs]

        def difference(fit, codes=codes, logs=logs) -> float:
            first, second = (fit.predict(x, c) for x, c in zip(codes, logs, strict=True))
            return 100 * float((first - second).mean())

        spread = 1.96 * np.std([difference(fit) for fit in fits], ddof=1)
        ratio = np.exp((logs[0] - logs[1]).mean())
        held, error = at_equal_cost(table, name, table.designs()["score"].to_numpy(), one, other)
        print(f"| {name} {one} against {other} | {within.sum()} | × {ratio:.1f} | "
              f"{difference(whole):+.1f} ± {spread:.1f} | {held:+.1f} ± {error:.1f} |")  # fmt: skip


def at_equal_cost(
    table: TrialTable, name: str, score: np.ndarray, one: float, other: float
) -> tuple[float, float]:
    """Regress a score on the code of a factor and a spline in ln FLOPs; points and half width."""
    designs = table.designs()
    codes = table.codes(designs)[:, table.factor_names.index(name)]
    ends = table.codes(designs.iloc[[0, 0]].assign(**{name: [one, other]}))
    step = float(np.subtract(*ends[:, table.factor_names.index(name)]))
    log_cost = table.log_cost(designs)
    known = np.isfinite(score)
    x = np.column_stack(
        [codes, np.ones(len(codes)), natural_spline(log_cost, spline_knots(log_cost))]
    )
    x, y = x[known], 100 * score[known]
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    rank = np.linalg.matrix_rank(x)
    variance = float(((y - x @ weights) ** 2).sum() / (len(y) - rank))
    error = np.sqrt(variance * np.linalg.pinv(x.T @ x)[0, 0])
    return float(weights[0] * step), float(1.96 * error * abs(step))


def by_epoch(table: TrialTable, storage: Storage) -> None:
    """Print the effect of depth at equal FLOPs after each epoch."""
    curves = read_curves(table.study.name, storage)
    curves = curves.merge(table.learned[["trial", "architecture_hash"]], on="trial")
    metric = next(c for c in curves if c not in ("trial", "epoch", "architecture_hash"))
    wide = curves.groupby(["architecture_hash", "epoch"])[metric].mean().unstack()
    wide = wide.reindex(table.designs()["architecture_hash"])
    one, other = CHOICES["depth"]
    print("\n| epoch | depth 16 against 3 at equal FLOPs, points |\n|---|---|")
    for epoch in wide:
        held, error = at_equal_cost(table, "depth", wide[epoch].to_numpy(float), one, other)
        print(f"| {epoch} | {held:+.1f} ± {error:.1f} |")


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--space", default="ecg-cnn")
    parser.add_argument("--storage")
    options = parser.parse_args()
    storage = open_storage(options.storage)
    table = read_table(options.study, storage, where="residual")
    not_at_equal_cost(table, load_space(options.space))
    by_epoch(table, storage)


if __name__ == "__main__":
    main()
