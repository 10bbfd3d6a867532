"""Tell what every part is worth, from the trials of the dissection.

    ecgscale trials dissection --format csv > trials.csv
    python studies/dissection/analyse.py trials.csv

An effect is the mean of the factorial networks with our part minus that of those with
xresnet1d50's: the balance of the design makes it the average over the forms of all other parts.
"Alone" is what one exchange does to xresnet1d50, and to ours (there from ours to xresnet1d50's
part, with the sign turned, so that all columns mean the same). Errors are of seeds alone: the sd
within networks is pooled over all that were trained more than once. Points are hundredths.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from networks import FACTORIAL as COUNT
from networks import PARTS, patterns
from scipy import stats

from analysis.stats.interval import TAILS
from analysis.stats.regression import holm

SCORES = ("macro_f1", "macro_auroc", "macro_auprc")
FACTORIAL = patterns()[:COUNT]
CORNERS = FACTORIAL[:2]


def read(path: Path) -> pd.DataFrame:
    """Return the complete trials of the dissection's networks with their patterns."""
    trials = pd.read_csv(path)
    trials = trials[trials["state"] == "complete"].copy()
    trials["pattern"] = [json.loads(text)["name"] for text in trials["architecture"]]
    return trials[trials["pattern"].isin(patterns())]


def seed_noise(scores: pd.Series) -> tuple[float, int]:
    """Return the pooled variance between seeds of scores by pattern, and its degrees of freedom."""
    groups = scores.groupby(level="pattern")
    freedom = int((groups.size() - 1).sum())
    if freedom < 1:
        raise SystemExit("expected a network with two seeds at least: train on")
    return float(((groups.size() - 1) * groups.var().fillna(0)).sum() / freedom), freedom


def effects(scores: pd.Series) -> pd.DataFrame:
    """Return one row per part: effect, half width, adjusted p, and both single exchanges."""
    variance, freedom = seed_noise(scores)
    means, counts = scores.groupby(level="pattern").mean(), scores.groupby(level="pattern").size()
    quantile = float(stats.t.ppf(TAILS[1], freedom))
    rows = []
    for place, part in enumerate(PARTS):
        signs = np.array([1 if one[place] == "o" else -1 for one in FACTORIAL])
        effect = float(signs @ means.reindex(FACTORIAL)) / 8
        error = np.sqrt(variance * (1 / counts.reindex(FACTORIAL)).sum()) / 8
        row = {"part": part, "effect": effect, "half": quantile * error}
        row["p"] = 2 * float(stats.t.sf(abs(effect / error), freedom))
        for corner, letter in zip(CORNERS, "ox", strict=True):
            single = corner[:place] + letter + corner[place + 1 :]
            sign = 1 if letter == "o" else -1
            row[f"in {corner[0]}"] = sign * (means.get(single, np.nan) - means.get(corner, np.nan))
            spread = sum(1 / counts.get(name, np.nan) for name in (single, corner))
            row[f"half in {corner[0]}"] = quantile * np.sqrt(variance * spread)
        rows.append(row)
    table = pd.DataFrame(rows)
    table["p"] = holm(table["p"].to_numpy())
    return table


def lack_of_fit(scores: pd.Series) -> float:
    """Return the p-value of the factorial networks' means being sums of the parts' effects."""
    variance, freedom = seed_noise(scores)
    groups = scores[scores.index.isin(FACTORIAL)].groupby(level="pattern")
    means, counts = groups.mean(), groups.size()
    design = np.array([[1, *(1 if c == "o" else -1 for c in one)] for one in means.index])
    root = np.sqrt(counts.to_numpy(float))
    fit = np.linalg.lstsq(design * root[:, None], means * root, rcond=None)[0]
    misfit = float((counts * (means - design @ fit) ** 2).sum())
    left = len(means) - design.shape[1]
    return float(stats.f.sf(misfit / left / variance, left, freedom))


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=Path)
    trials = read(parser.parse_args().trials)
    print(f"{len(trials)} trials of {trials['pattern'].nunique()} networks\n")
    for score in SCORES:
        scores = 100 * trials.set_index("pattern")[score]
        variance, freedom = seed_noise(scores)
        print(f"**{score}**, points; sd between seeds {variance**0.5:.2f} ({freedom} degrees of")
        print(f"freedom); sums of effects fit: p = {lack_of_fit(scores):.2g}\n")
        print("| part: ours against xresnet1d50's | effect | p (Holm) | in xresnet1d50 | in ours |")
        print("|---|---|---|---|---|")
        for row in effects(scores).to_dict("records"):
            cells = [f"{row['effect']:+.1f} ± {row['half']:.1f}", f"{row['p']:.2g}"]
            cells += [f"{row[f'in {c}']:+.1f} ± {row[f'half in {c}']:.1f}" for c in "xo"]
            print(f"| {row['part']} | {' | '.join(cells)} |".replace("+nan ± nan", "–"))
        print("\n| network | seeds | mean |\n|---|---|---|")
        groups = scores.groupby(level="pattern").agg(["size", "mean"])
        for pattern, row in groups.sort_values("mean", ascending=False).iterrows():
            print(f"| `{pattern}` | {row['size']:.0f} | {row['mean']:.1f} |")
        print()


if __name__ == "__main__":
    main()
