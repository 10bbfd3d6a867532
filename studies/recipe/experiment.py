"""Compare training recipes on validation records; the numbers of README.md come from here.

    python studies/recipe/experiment.py run STORE trials.csv [--seeds 0 1 2] [--only NAME ...]
    python studies/recipe/experiment.py table trials.csv

Every variant trains the same networks with the same seeds. Runs that stand in the file are not
repeated, so that an interrupted experiment goes on. The test records are never read.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import pandas as pd

PLAIN = {
    "batch_size": 64,
    "learning_rate": 1e-3,
    "warmup": 0.0,
    "final_learning_rate": 1.0,
    "weight_decay": 0.01,  # torch's default
    "gradient_clip": 1e6,
    "prior_bias": False,
    "threshold_slack": 0.0,
}
# Every field, so that new defaults of Recipe leave these recipes as they were.
BASE = {
    "epochs": 20,
    "batch_size": 32,
    "learning_rate": 5e-3,
    "warmup": 0.1,
    "final_learning_rate": 0.01,
    "weight_decay": 0.05,
    "weight_decay_per": "step",
    "gradient_clip": 1.0,
    "loss": "bce",
    "positive_weight_power": 0.0,
    "positive_weight_limit": 20.0,
    "focus_negative": 4.0,
    "focus_positive": 1.0,
    "probability_shift": 0.05,
    "prior_bias": True,
    "average_epochs": 0.0,
    "threshold_slack": 0.5,
    "precision": "auto",
    "augment_crop_samples": None,
    "augment_gain": 0.0,
    "augment_noise": 0.0,
    "augment_wander": 0.0,
    "augment_lead_dropout": 0.0,
    "augment_mask": 0.0,
    "augment_warp": 0.0,
}
GENTLE = {"augment_gain": 0.1, "augment_noise": 0.05, "augment_wander": 0.1}
HIDING = {"augment_mask": 0.2, "augment_lead_dropout": 0.1}
VARIANTS: dict[str, dict[str, object]] = {
    "plain (AdamW 1e-3, BCE, no schedule)": PLAIN,
    "base": {},
    "plain, batch 32": PLAIN | {"batch_size": 32},
    "learning rate 2e-3": {"learning_rate": 2e-3},
    "learning rate 1e-2": {"learning_rate": 1e-2},
    "batch 64": {"batch_size": 64},
    "positives weigh √(neg/pos)": {"positive_weight_power": 0.5},
    "asymmetric loss": {"loss": "asymmetric"},
    "augment: gain, noise, wander": GENTLE,
    "augment: mask, lead dropout": HIDING,
    "augment: both": GENTLE | HIDING,
    "augment: mask, lead dropout, batch 64": HIDING | {"batch_size": 64},
    "augment: mask, lead dropout, twice as much": {
        "augment_mask": 0.4,
        "augment_lead_dropout": 0.2,
    },
    "augment: warp 0.05": {"augment_warp": 0.05},
    "augment: crop 8 s": {"augment_crop_samples": 800},
    "averaged weights, 1 epoch": {"average_epochs": 1.0},
    "no schedule": {"warmup": 0.0, "final_learning_rate": 1.0},
    "10 epochs": {"epochs": 10},
    "weight decay 0.2": {"weight_decay": 0.2},
    "start at 0, not at prevalence": {"prior_bias": False},
    "batch 16": {"batch_size": 16},
}
_COMMON = {"stages": 4, "width_growth": 1.4, "stem_kernel": 7}
NETWORKS: dict[str, dict[str, object]] = {
    "dense": _COMMON
    | {"depth": 4, "width": 16, "kernel_size": 7, "expansion": 0.5}
    | {"grouping": "dense", "residual": True, "se_ratio": 0.0},
    "group16": _COMMON
    | {"depth": 4, "width": 24, "kernel_size": 5, "expansion": 1.0}
    | {"grouping": "group16", "residual": False, "se_ratio": 0.25},
    "depthwise": _COMMON
    | {"depth": 4, "width": 16, "kernel_size": 15, "expansion": 2.0}
    | {"grouping": "depthwise", "residual": True, "se_ratio": 0.25},
}
SCORES = ("macro_f1", "macro_auroc", "macro_auprc", "challenge_score", "ece")


def run(
    store_path: Path, out: Path, seeds: list[int], only: list[str], networks: list[str]
) -> None:
    """Train what the file lacks, seed by seed, and append each trial to it."""
    import torch

    from data_pipeline import open_store
    from data_pipeline.batches import ResidentRecords
    from models import load_space
    from search.training.recipe import Recipe
    from search.training.train import Diverged, train_one

    torch.set_num_threads(1)
    store = open_store(store_path)
    train, validation = (
        ResidentRecords.from_store(store, store.rows(split), "cpu")
        for split in ("train", "validation")
    )
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "-C", here, "describe", "--always"], capture_output=True, text=True
    ).stdout.strip()
    done = pd.read_csv(out) if out.exists() else pd.DataFrame()
    space = load_space("ecg-cnn")
    for seed in seeds:
        for variant in only or VARIANTS:
            recipe = Recipe.from_dict(BASE | VARIANTS[variant])
            for name in networks:
                key = {"recipe_hash": recipe.hash, "network": name, "seed": seed}
                if len(done) and (done[list(key)] == list(key.values())).all(axis=1).any():
                    continue
                architecture = space.resolve(NETWORKS[name])
                row = {"variant": variant} | key | {"commit": commit, "data_hash": store.hash[:16]}
                row["flops"] = architecture.cost(samples=store.samples).flops
                try:
                    scores = train_one(architecture, train, validation, recipe, seed)
                except Diverged as error:
                    row["failure"] = str(error)
                else:
                    row |= {score: getattr(scores, score) for score in SCORES}
                    row |= {"seconds": scores.seconds, "curve": json.dumps(scores.curve)}
                done = pd.concat([done, pd.DataFrame([row])], ignore_index=True)
                done.to_csv(out, index=False, float_format="%.6g")
            print(table(done[done["variant"] == variant]).splitlines()[-1], flush=True)


def table(trials: pd.DataFrame) -> str:
    """Return a Markdown table: mean over networks and seeds, and sd over seeds of that mean."""
    lines = ["| variant | seeds | macro-F1 | macro-AUROC | macro-AUPRC | Challenge | ECE | s |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for variant in [v for v in VARIANTS if v in set(trials["variant"])]:
        own = trials[trials["variant"] == variant]
        by_seed = own.groupby("seed")[[*SCORES, "seconds"]].mean()
        cells = [
            f"{by_seed[s].mean():.3f} ± {by_seed[s].std():.3f}" if len(by_seed) > 1
            else f"{by_seed[s].mean():.3f}"
            for s in SCORES
        ]  # fmt: skip
        cells.append(f"{by_seed['seconds'].mean():.1f}")
        lines.append(f"| {variant} | {len(by_seed)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the experiment or print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("store", type=Path)
    running.add_argument("out", type=Path)
    running.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    running.add_argument("--only", nargs="+", default=[], choices=list(VARIANTS))
    running.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    commands.add_parser("table").add_argument("trials", type=Path)
    options = parser.parse_args()
    if options.command == "run":
        run(options.store, options.out, options.seeds, options.only, options.networks)
    else:
        print(table(pd.read_csv(options.trials)))


if __name__ == "__main__":
    main()
