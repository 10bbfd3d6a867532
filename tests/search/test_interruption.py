"""A worker told to stop at a random step; another goes on; nothing of the result differs."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import define
from safetensors.torch import load_file

from search.database.storage import Storage
from search.reading.records import read_class_scores, read_curves, read_trials
from search.study import create_study
from search.training.metric_table import metrics_of
from search.training.run import Run
from search.training.train import train_one
from search.worker import WorkerOptions, run_worker

SCORES = [metric.name for metric in metrics_of()]
EPOCHS, BATCH = 3, 8


def results(study) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores, curve and class scores of trial 0, as bits."""
    frames = (
        read_trials(study.name, study.storage)[SCORES],
        read_curves(study.name, study.storage)["macro_f1"],
        read_class_scores(study.name, study.storage)[["f1", "auroc", "auprc", "threshold"]],
    )
    return tuple(frame.to_numpy(dtype=np.float64) for frame in frames)  # type: ignore[return-value]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.rglob("*.safetensors")
    return load_file(file)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]
)
def test_interrupted_at_a_random_step_and_resumed_is_the_same_bit_for_bit(
    storage: Storage, store, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
):
    torch.set_num_threads(1)
    changes: dict[str, Any] = {
        "seed": seed,
        "sample": {"architectures": 1, "flops": [1e6, 1e7], "bins": 1},
        "recipe": {"epochs": EPOCHS, "batch_size": BATCH, "average_epochs": 1.0},
    }
    steps = EPOCHS * -(-len(store.rows("train")) // BATCH)
    asked, done, points = 0, 0, [-1]
    true_step = Run.step

    def step(run: Run, *batch: Any) -> None:
        nonlocal done
        done += 1
        true_step(run, *batch)

    monkeypatch.setattr(Run, "step", step)

    def interrupted(*rest: Any, should_stop: Any, **named: Any) -> Any:
        def counting() -> bool:
            nonlocal asked
            asked += 1
            if asked in points:
                os.kill(os.getpid(), signal.SIGTERM)
            return bool(should_stop())

        return train_one(*rest, should_stop=counting, **named)

    def run(name: str, train: Any) -> tuple[Any, list[int]]:
        study = create_study(define(**changes), store, storage)
        options = WorkerOptions(checkpoints=tmp_path / "kept", weights=tmp_path / name)
        codes = []
        while not codes or codes[-1] == 75:
            codes.append(
                run_worker(
                    *(study.name, storage, store, "cpu"),
                    options=options,
                    train=train,
                    say=lambda _: None,
                )
            )
        return study, codes

    whole, codes = run("whole", interrupted)
    assert codes == [0]
    # Asked after every step and before every batch that is scored; one point among the last of
    # these. Not after the last: nothing is left to interrupt then.
    points = [random.Random(seed).randrange(1, asked - 4), asked - 1]
    asked, done = 0, 0
    parts, codes = run("parts", interrupted)
    assert codes == [75, 75, 0]
    assert done == steps, "no step was done twice or left out"
    for one, other in zip(results(whole), results(parts), strict=True):
        np.testing.assert_array_equal(one, other)
    kept, again = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)
