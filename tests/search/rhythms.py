"""Small made-up records with a rhythm for every class, and what is trained on them in a second."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from data_pipeline.batches import ResidentRecords
from search.training.recipe import Recipe

SAMPLES, CLASSES = 128, 3
FACTORS = {
    "depth": 3,
    "stages": 3,
    "width": 16,
    "width_growth": 1.0,
    "kernel_size": 5,
    "stem_kernel": 3,
    "expansion": 1.0,
    "grouping": "dense",
    "residual": True,
    "se_ratio": 0.25,
}


def records(count: int, seed: int, device: str = "cpu") -> ResidentRecords:
    """Draw noise in which every class plants a rhythm of its own in two leads."""
    rng = np.random.default_rng(seed)
    labels = rng.random((count, CLASSES)) < [0.5, 0.3, 0.15]
    signals = rng.normal(size=(count, 12, SAMPLES))
    time = np.arange(SAMPLES) / SAMPLES
    for k in range(CLASSES):
        rhythm = np.sin(2 * np.pi * ((6 + 8 * k) * time + rng.random((count, 1))))
        signals[:, [k, 6 + k]] += 2 * (labels[:, k, None] * rhythm)[:, None]
    return ResidentRecords(
        signals=torch.from_numpy((signals * 1000).astype(np.int16)).to(device),
        labels=torch.from_numpy(labels.astype(np.float32)).to(device),
        step=0.001,
        sample_rate_hz=100.0,
        rows=np.arange(count),
        patients=np.arange(count),
    )


def scored(scores):
    """Everything of a result that must repeat exactly."""
    timed = {"seconds", "validation_seconds", "records_per_second", "peak_memory_bytes"}
    plain = {k: v for k, v in dataclasses.asdict(scores).items() if k not in timed}
    return repr(plain)  # repr, because NaN is not equal to itself


QUICK = Recipe(
    epochs=3,
    batch_size=16,
    learning_rate=3e-3,
    average_epochs=0.5,
    augment_gain=0.1,
    precision="fp32",
)


def linear_network(architecture, leads, outputs):
    """Build a network without batch normalisation, which no learning rate can bound."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(leads * SAMPLES, outputs))
