"""Studies with a planted truth: laws, effects, nulls and noise that the analysis must find.

The truth is additive in the error at equal FLOPs:

    error = floor + amplitude · (C / 1e8)^−exponent · (1 + shape penalty) + effects + interactions

with noise of sd `noise · (C / 1e8)^noise_trend` per seed. Some runs may learn nothing, scores may
be cut at a plateau and rounded, and the cost may be a product of factors.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.stats.noise import Noise, noise
from analysis.stats.shrinkage import Shrunken, cost_trend_prior, shrink
from analysis.trials.factors import FactorInfo, codes
from analysis.trials.table import StudyFacts, TrialTable, from_frame

FACTORS = (
    FactorInfo("depth", "int", log=True, low=3, high=24),
    FactorInfo("stages", "int", low=3, high=6),
    FactorInfo("width", "int", log=True, low=16, high=128),
    FactorInfo("width_growth", "float", low=1.0, high=2.5),
    FactorInfo("kernel_size", "choice", choices=(3, 5, 7, 11, 15, 23)),
    FactorInfo("stem_kernel", "choice", choices=(3, 7, 15)),
    FactorInfo("expansion", "choice", choices=(0.25, 0.5, 1.0, 2.0, 4.0)),
    FactorInfo("grouping", "choice", choices=("dense", "group16", "depthwise")),
    FactorInfo("residual", "choice", choices=(False, True)),
    FactorInfo("se_ratio", "choice", choices=(0.0, 0.0625, 0.25)),
)
NAMES = tuple(factor.name for factor in FACTORS)
REFERENCE_FLOPS = 1e8


@dataclass(frozen=True)
class Truth:
    """What is planted.

    effects: change of the *error* per step of a factor's centred code (a step: one choice, or
        one doubling), at equal FLOPs. interactions: the same for products of two codes.
    shape: per factor (best value at 1e8 FLOPs, exponent p, curvature): the best value at C is
        value · (C/1e8)^p, and a factor of e away from it costs `curvature` relative error.
    collapse: chance that a run learns nothing (score 0 to 0.1), in networks that meet `only_where`.
    plateau: no score is above it, and all are rounded to hundredths.
    """

    floor: float = 0.35
    amplitude: float = 0.05
    exponent: float = 0.25
    effects: dict[str, float] = field(default_factory=dict)
    interactions: dict[tuple[str, str], float] = field(default_factory=dict)
    shape: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    noise: float = 0.006
    noise_trend: float = 0.0
    collapse: float = 0.0
    only_where: str = ""
    plateau: float | None = None


PLANTED = Truth(
    effects={"residual": -0.020, "kernel_size": -0.006, "se_ratio": -0.004, "grouping": 0.008},
    interactions={("residual", "depth"): -0.008},
)
FLOPS_ONLY = Truth()
NOTHING = Truth(amplitude=0.0)
LAW = Truth(amplitude=0.1, shape={"width": (48.0, 0.30, 0.25), "depth": (9.0, 0.25, 0.25)})


def propose(rng: np.random.Generator, count: int, correlated: bool = False) -> pd.DataFrame:
    """Draw factors independently; `correlated` ties the kernel size to the depth."""
    depth = np.exp(rng.uniform(np.log(2.5), np.log(24.5), count)).round().clip(3, 24).astype(int)
    width = 8 * np.exp(rng.uniform(np.log(15 / 8), np.log(132 / 8), count)).round().astype(int)
    kernels = np.array([3, 5, 7, 11, 15, 23])
    kernel = rng.choice(kernels, count)
    if correlated:
        rank = np.clip(np.log(depth / 3) / np.log(8) * 6 + rng.normal(0, 1, count), 0, 5.9)
        kernel = kernels[rank.astype(int)]
    return pd.DataFrame(
        {
            "depth": depth,
            "stages": rng.integers(3, 7, count),
            "width": width.clip(16, 128),
            "width_growth": rng.uniform(1.0, 2.5, count),
            "kernel_size": kernel,
            "stem_kernel": rng.choice([3, 7, 15], count),
            "expansion": rng.choice([0.25, 0.5, 1.0, 2.0, 4.0], count),
            "grouping": rng.choice(np.array(["dense", "group16", "depthwise"], object), count),
            "residual": rng.random(count) < 0.5,
            "se_ratio": rng.choice([0.0, 0.0625, 0.25], count),
        }
    )


def flops(designs: pd.DataFrame, samples: int = 1000) -> np.ndarray:
    """Count FLOPs of a bottleneck network with these factors, roughly (n,)."""
    depth, stages = designs["depth"].to_numpy(float), designs["stages"].to_numpy(int)
    kernel, expansion = designs["kernel_size"].to_numpy(float), designs["expansion"].to_numpy(float)
    total = 2.0 * 12 * designs["stem_kernel"].to_numpy(float) * designs["width"] * samples / 2
    group = designs["grouping"].map({"dense": 1e9, "group16": 16, "depthwise": 1}).to_numpy()
    for stage in range(6):
        width = designs["width"] * designs["width_growth"] ** stage
        inner = np.maximum(8.0, expansion * width)
        length = samples / 2 ** (stage + 1)
        block = 2 * length * (2 * width * inner + kernel * inner * np.minimum(group, inner))
        total = total + np.where(stage < stages, np.maximum(1, depth / stages) * block, 0.0)
    return np.asarray(total, dtype=float)


def product_flops(designs: pd.DataFrame) -> np.ndarray:
    """Count FLOPs as depth · width² · kernel size, exactly (n,)."""
    return np.asarray(200.0 * designs["depth"] * designs["width"] ** 2 * designs["kernel_size"])


def draw(
    rng: np.random.Generator,
    count: int,
    flops_range: tuple[float, float] = (3e6, 1e9),
    bins: int = 10,
    correlated: bool = False,
    product: bool = False,
) -> pd.DataFrame:
    """Draw distinct designs with equal counts in equal-width bins of ln FLOPs."""
    pool = propose(rng, 200 * count + 20_000, correlated).drop_duplicates(ignore_index=True)
    pool["flops"] = product_flops(pool) if product else flops(pool)
    edges = np.linspace(*np.log(flops_range), bins + 1)
    pool["bin"] = np.digitize(np.log(pool["flops"]), edges) - 1
    wanted = np.bincount(np.arange(count) % bins, minlength=bins)
    parts = [pool[pool["bin"] == b].head(wanted[b]) for b in range(bins)]
    assert [len(part) for part in parts] == list(wanted), "too few proposals in a bin"
    return pd.concat(parts).sample(frac=1, random_state=rng).reset_index(drop=True)


def centred_codes(designs: pd.DataFrame) -> np.ndarray:
    """Code the factors and centre each on the middle of its range (n, factors)."""
    middle = [
        factor.code([factor.low, factor.high]).mean()
        if factor.kind != "choice"
        else factor.code(factor.choices).mean()
        for factor in FACTORS
    ]
    return codes(FACTORS, designs) - np.array(middle)


def true_error(designs: pd.DataFrame, truth: Truth) -> np.ndarray:
    """Return the error without noise (n,)."""
    relative = designs["flops"].to_numpy(float) / REFERENCE_FLOPS
    z = dict(zip(NAMES, centred_codes(designs).T, strict=True))
    penalty = np.zeros(len(designs))
    for name, (best, exponent, curvature) in truth.shape.items():
        away = np.log(designs[name].to_numpy(float) / (best * relative**exponent))
        penalty += curvature * away**2
    error = truth.floor + truth.amplitude * relative**-truth.exponent * (1 + penalty)
    for name, effect in truth.effects.items():
        error = error + effect * z[name]
    for (first, second), effect in truth.interactions.items():
        error = error + effect * z[first] * z[second]
    return np.asarray(error)


def simulate(
    truth: Truth = PLANTED,
    *,
    architectures: int = 500,
    replicates: tuple[int, int] = (24, 3),
    controls: int = 0,
    failures: int = 0,
    waiting: int = 0,
    references: int = 0,
    flops_range: tuple[float, float] = (3e6, 1e9),
    correlated: bool = False,
    product: bool = False,
    seed: int = 0,
) -> TrialTable:
    """Simulate a study: `replicates` = (architectures that get more seeds, seeds in all)."""
    rng = np.random.default_rng(seed)
    designs = draw(rng, architectures, flops_range, correlated=correlated, product=product)
    again = designs.iloc[np.linspace(0, architectures - 1, replicates[0]).astype(int)]
    parts = [designs.assign(role="sample", seed=0)]
    parts += [again.assign(role="replicate", seed=s) for s in range(1, replicates[1])]
    parts += [designs.head(controls).assign(role="control", seed=0)]
    parts += [designs.tail(references).assign(role="reference", seed=0)]
    parts += [designs.head(waiting).assign(role="confirm", seed=9)]
    frame = pd.concat(parts, ignore_index=True)
    n = len(frame)
    noise = truth.noise * (frame["flops"] / REFERENCE_FLOPS) ** truth.noise_trend
    score = 1 - true_error(frame, truth) + rng.normal(0, 1, n) * noise
    score = score if truth.plateau is None else np.minimum(score, truth.plateau).round(2)
    knows_nothing = (frame["role"] == "control").to_numpy()
    score = np.where(knows_nothing, rng.normal(0.05, 0.01, n), score)
    if truth.collapse:
        may = frame.eval(truth.only_where).to_numpy(bool) if truth.only_where else np.full(n, True)
        fell = may & ~knows_nothing & (rng.random(n) < truth.collapse)
        score, knows_nothing = np.where(fell, rng.uniform(0, 0.1, n), score), knows_nothing | fell
    frame["macro_f1"] = np.clip(score, 0.0, 1.0)
    frame["macro_auroc"] = np.where(
        knows_nothing,
        rng.normal(0.5, 0.01, n),
        1 - (1 - frame["macro_f1"]) * 0.25 + rng.normal(0, 0.002, n),
    )
    frame["macro_auprc"] = np.clip(frame["macro_f1"] - 0.02 + rng.normal(0, 0.003, n), 0, 1)
    frame["challenge_score"] = np.clip(frame["macro_f1"] * 1.2 - 0.1, 0, 1)
    frame["ece"] = np.abs(rng.normal(0.02, 0.004, n))
    frame["params"] = (frame["flops"] / 300 * rng.uniform(0.5, 2.0, n)).astype(int)
    frame["activations"] = (frame["flops"] ** 0.7 * rng.uniform(0.7, 1.4, n)).astype(int)
    frame["flops"] = frame["flops"].astype(int)
    frame["seconds"] = 4 + frame["flops"] / 4e7
    frame["records_per_second"] = 2e4 / frame["seconds"]
    frame["peak_memory_bytes"] = frame["activations"] * 900
    frame["architecture"] = [
        json.dumps(row) for row in frame[list(NAMES)].astype(object).to_dict("records")
    ]
    frame["architecture_hash"] = [
        hashlib.sha256(text.encode()).hexdigest()[:16] for text in frame["architecture"]
    ]
    frame["state"] = np.where(frame["role"] == "confirm", "waiting", "complete")
    frame["failure"] = None
    broken = rng.choice(np.flatnonzero(frame["role"] == "sample"), failures, replace=False)
    frame.loc[broken, ["state", "failure"]] = ["failed", "diverged: the loss became infinite"]
    unscored = frame["state"] != "complete"
    frame.loc[unscored, ["macro_f1", "macro_auroc", "macro_auprc", "challenge_score"]] = np.nan
    started = pd.Timestamp("2030-01-01") + pd.to_timedelta(np.arange(n), unit="min")
    frame = frame.assign(trial=np.arange(n), number=np.arange(n), device="cpu", host="simulated")
    frame = frame.assign(git_commit="0" * 40, recipe_hash="recipe", data_hash="data")
    frame = frame.assign(started=started, finished=started + pd.Timedelta(minutes=1))
    facts = StudyFacts(
        "simulated",
        planned=n,
        definition={"name": "simulated", "space": "ecg-cnn", "seed": seed},
        data={"synthetic": True, "records": 731, "labels": {"NSR": 250, "AF": 90, "SB": 120}},
    )
    return from_frame(frame.drop(columns="bin"), factors=FACTORS, study=facts)


def by_cost(table: TrialTable) -> Shrunken:
    """Shrink towards the cost alone, which is quick: which prior is best is tested elsewhere."""
    designs, measured = table.designs(), noise(table)
    assert isinstance(measured, Noise)
    cost, score = designs["flops"].to_numpy(float), designs["score"].to_numpy(float)
    prior = cost_trend_prior(cost, score)
    freedom = measured.degrees_of_freedom
    variance = measured.sd_at(cost) ** 2
    return shrink(score, designs["repeats"], variance, prior, noise_freedom=freedom)
