"""Tell whether a rule for the learning rate is as good as each network's own best rate.

    ecgscale trials rates --format csv > trials.csv
    python studies/rates/analyse.py trials.csv

A network's score is modelled as its own level and a parabola in the log of the rate whose peak
depends on what a rule may know of the network; the curvature is common. Every network is predicted
by a rule that was fitted on the other networks. The regret against the best of a network's own four
rates is above zero also for a perfect rule, because that best is chosen on noise: its distribution
is simulated with the fitted curves as the truth and the noise of seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

USUAL = 5e-3
SIMULATIONS = 2000
RULES: dict[str, tuple[str, ...]] = {
    "one rate for all": (),
    "by residual": ("residual",),
    "by residual, depth and width": ("residual", "depth", "width"),
}


def read(path: Path, score: str) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Return scores (networks × rates), what a rule may know, and the variance between seeds."""
    trials = pd.read_csv(path)
    trials = trials[(trials["state"] == "complete") & (trials["role"] == "reference")]
    changes = [json.loads(text) if isinstance(text, str) else {} for text in trials["recipe"]]
    rates = pd.Series([one.get("learning_rate", USUAL) for one in changes], trials.index)
    groups = trials[score].groupby([trials["architecture_hash"], rates])
    scores = groups.mean().unstack().dropna()
    freedom = int((groups.size() - 1).sum())
    twice = groups.var().fillna(0) * (groups.size() - 1)
    noise = float(twice.sum() / freedom) if freedom else np.nan
    first = trials.drop_duplicates("architecture_hash").set_index("architecture_hash")
    factors = pd.DataFrame(
        [json.loads(text)["factors"] for text in first.loc[scores.index, "architecture"]],
        scores.index,
    )
    known = pd.DataFrame(
        {
            "residual": factors["residual"].astype(float) - 0.5,
            "depth": np.log2(factors["depth"].astype(float)),
            "width": np.log2(factors["width"].astype(float)),
        }
    )
    return scores, known - known.mean(), noise


def fit(scores: np.ndarray, x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the weights of x, x × known and x² after the networks' levels are taken out.

    scores: (networks, rates). x: log rates, of mean zero. known: (networks, facts).
    """
    slopes = np.column_stack([np.ones(len(scores)), known])
    columns = np.concatenate(
        [slopes[:, None, :] * x[None, :, None], np.tile(x**2, (len(scores), 1))[:, :, None]], 2
    )
    columns -= columns.mean(axis=1, keepdims=True)
    target = scores - scores.mean(axis=1, keepdims=True)
    return np.linalg.lstsq(columns.reshape(-1, columns.shape[2]), target.ravel(), rcond=None)[0]


def peaks(weights: np.ndarray, x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the place in `x` of the rate nearest to every network's peak."""
    curves = curves_of(weights, x, known)
    return curves.argmax(axis=1)


def curves_of(weights: np.ndarray, x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the fitted curves (networks, rates), without the networks' levels."""
    slopes = np.column_stack([np.ones(len(known)), known]) @ weights[:-1]
    return slopes[:, None] * x + weights[-1] * x**2


def by_rule(scores: np.ndarray, x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return every network's score at the rate that a rule fitted on the others gives it."""
    found = np.empty(len(scores))
    for left_out in range(len(scores)):
        others = np.arange(len(scores)) != left_out
        weights = fit(scores[others], x, known[others])
        found[left_out] = scores[left_out, peaks(weights, x, known[[left_out]])[0]]
    return found


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=Path)
    parser.add_argument("--score", default="macro_auroc")
    options = parser.parse_args()
    table, facts, noise = read(options.trials, options.score)
    scores, rates = 100 * table.to_numpy(), table.columns.to_numpy(float)
    x = np.log(rates) - np.log(rates).mean()
    best = scores.max(axis=1)
    print(f"{options.score}, points, {len(scores)} networks\n")
    print("| rate | mean | networks whose best it is |\n|---|---|---|")
    for place, rate in enumerate(rates):
        count = int((scores.argmax(axis=1) == place).sum())
        print(f"| {rate:g} | {scores[:, place].mean():.2f} | {count} |")
    rng = np.random.default_rng(0)
    print("\n| rule, fitted on the other networks | mean | regret | of a perfect rule | p |")
    print("|---|---|---|---|---|")
    for name, columns in RULES.items():
        known = facts[list(columns)].to_numpy()
        weights = fit(scores, x, known)
        curves = curves_of(weights, x, known)
        rest = scores - curves
        rest -= rest.mean(axis=1, keepdims=True)
        freedom = rest.size - len(rest) - len(weights)
        # Without second seeds the noise is what the curves leave, which is too much for a bad rule.
        sd = np.sqrt(1e4 * noise if np.isfinite(noise) else (rest**2).sum() / freedom)
        drawn = curves + rng.normal(0, sd, (SIMULATIONS, *curves.shape))
        at_peak = np.take_along_axis(drawn, curves.argmax(axis=1)[None, :, None], 2)[..., 0]
        perfect = (drawn.max(axis=2) - at_peak).mean(axis=1)
        regret = float((best - by_rule(scores, x, known)).mean())
        p = (1 + int((perfect >= regret).sum())) / (1 + SIMULATIONS)
        mean = best.mean() - regret
        print(f"| {name} | {mean:.2f} | {regret:.2f} | {perfect.mean():.2f} | {p:.3f} |")
    print("\nA small p says that the rule falls short of the networks' own best rates by more than")
    print("choosing the best of four on noise explains.")


if __name__ == "__main__":
    main()
