"""Hold our trainer against a plain one: reference CNNs must reach the same scores.

    python tests/benchmarks/train_reference.py STORE [--budget 30e6] [--epochs 6] [--seeds 0 1 2]

The plain trainer is written out below from torch alone: Conv1d twin, TensorDataset and DataLoader,
unfused AdamW, LambdaLR, binary cross-entropy, scikit-learn's AUROC. Both start from the same
weights per seed and follow the same schedule without augmentation; the order of the records is
each trainer's own. The last line compares the mean difference with the sd over seeds.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from data_pipeline import open_store
from data_pipeline.batches import ResidentRecords
from models import Architecture, ModelError
from models.build import build
from models.plain import as_conv1d
from models.references.budget import reference_within
from search.training.recipe import Recipe
from search.training.train import train_one

NAMES = ("resnet18", "xresnet1d18", "mobilenetv2", "resnet1d-wang")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--budget", type=float, default=3e7)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--names", nargs="*", default=list(NAMES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = open_store(options.store)
    train, validation = (
        ResidentRecords.from_store(store, store.rows(split), "cpu")
        for split in ("train", "validation")
    )
    recipe = Recipe(epochs=options.epochs, augment_lead_dropout=0.0, augment_mask=0.0)
    differences, spreads = [], []
    print(f"{'network':24} {'seed':>4} {'ours':>7} {'plain':>7} {'ours s':>7} {'plain s':>7}")
    for name in options.names:
        try:
            network = reference_within(name, options.budget, samples=store.samples)
        except ModelError as error:
            print(f"{name}: {error}")
            continue
        ours, plain = [], []
        for seed in options.seeds:
            start = time.perf_counter()
            ours.append(train_one(network, train, validation, recipe, seed).macro_auroc)
            middle = time.perf_counter()
            plain.append(plain_score(network, train, validation, recipe, seed))
            end = time.perf_counter()
            print(
                f"{network.name:24} {seed:4} {ours[-1]:7.4f} {plain[-1]:7.4f} "
                f"{middle - start:7.1f} {end - middle:7.1f}",
                flush=True,
            )
        differences += list(np.subtract(ours, plain))
        spreads += [np.var(ours, ddof=1), np.var(plain, ddof=1)]
    sd = math.sqrt(float(np.mean(spreads)))
    error = sd * math.sqrt(2 / len(differences))
    print(
        f"ours - plain: {np.mean(differences):+.4f} macro-AUROC, standard error {error:.4f} "
        f"(sd over seeds {sd:.4f}, {len(differences)} pairs)"
    )


def plain_score(
    architecture: Architecture,
    train: ResidentRecords,
    validation: ResidentRecords,
    recipe: Recipe,
    seed: int,
) -> float:
    """Train the Conv1d twin in a plain loop and return the macro-AUROC of the last epoch."""
    torch.manual_seed(seed)
    network = as_conv1d(build(architecture, outputs=train.labels.shape[1]))
    prevalence = train.labels.mean(0).clamp(1e-3, 1 - 1e-3)
    last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.copy_(torch.logit(prevalence))
    spared = [p for p in network.parameters() if p.ndim <= 1]
    decayed = [p for p in network.parameters() if p.ndim > 1]
    signals = train.signals.float() * train.step
    loader = DataLoader(TensorDataset(signals, train.labels), recipe.batch_size, shuffle=True)
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": recipe.weight_decay / len(loader)},
            {"params": spared, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
    )
    steps = recipe.epochs * len(loader)
    warm = max(1, round(recipe.warmup * steps))

    def rate(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        share = (step - warm) / max(1, steps - warm)
        low = recipe.final_learning_rate
        return low + (1 - low) * (1 + math.cos(math.pi * share)) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    network.train()
    for _ in range(recipe.epochs):
        for x, y in loader:
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(network(x), y).backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        outputs = torch.cat(
            [network(part.float() * validation.step) for part in validation.signals.split(64)]
        )
    truth = validation.labels.numpy()
    defined = (truth.sum(0) > 0) & (truth.sum(0) < len(truth))
    return float(roc_auc_score(truth[:, defined], outputs.numpy()[:, defined], average="macro"))


if __name__ == "__main__":
    main()
