"""Workers in processes of their own, with a trainer that takes as long as a test wants."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from data_pipeline import open_store
from search.database.storage import open_storage
from search.training.metric_table import ATTRIBUTES, OBJECTIVE
from search.trials.queue import Limits
from search.worker import WorkerOptions, run_worker

EPOCHS = 3


@functools.cache
def context() -> Any:
    """Children fork from one process that has imported torch already."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["processes", "search.training.train", "data_pipeline.batches"])
    return made


def expected(architecture_hash: str, seed: int) -> float:
    """The score that the trainer below finds: a function of the trial alone."""
    return (int(architecture_hash[:8], 16) ^ seed) % 10_000 / 10_000


def slow_trainer(seconds: float) -> Callable[..., Any]:
    """Train nothing for some seconds, with epochs, checkpoints and interruptions."""

    def train(
        architecture: Any,
        train: Any,
        validation: Any,
        recipe: Any,
        seed: int,
        *,
        device: Any,
        on_epoch: Any,
        should_stop: Any,
        on_finish: Any,
        checkpoint: Path | None,
        scoring: Any,
    ) -> Any:
        from search.training.disk import write_whole
        from search.training.train import Interrupted, TrialScores

        score = expected(architecture.hash, seed)
        done = 0
        if checkpoint is not None and checkpoint.exists():
            done = json.loads(checkpoint.read_text())
        resumed = done
        for epoch in range(done, EPOCHS):
            until = time.monotonic() + seconds / EPOCHS
            while time.monotonic() < until:
                time.sleep(0.01)
                if should_stop():
                    if checkpoint is not None:
                        with suppress(OSError):  # as a real training does
                            write_whole(checkpoint, json.dumps(epoch).encode())
                    raise Interrupted
            on_epoch(epoch, score * (epoch + 1) / EPOCHS)
        classes = [
            {"class": name, "positives": 1, "f1": score, "auroc": float("nan"), "auprc": score}
            | {"ece": 0.0, "threshold": 0.5}
            for name in ("NSR", "AF")
        ]
        return TrialScores(
            values={**dict.fromkeys(ATTRIBUTES, 0.5), "ece": 0.1, OBJECTIVE.name: score},
            class_scores=classes,
            curve=[score * (epoch + 1) / EPOCHS for epoch in range(EPOCHS)],
            seconds=seconds,
            validation_seconds=0.0,
            records_per_second=100.0 + resumed,
            peak_memory_bytes=1,
            micro_batch=16,
            precision="fp32",
        )

    return train


def hanging_trainer(*_: Any, should_stop: Any, **__: Any) -> Any:
    """End one step, and then hang in a system call that nothing interrupts."""
    should_stop()
    while True:
        os.read(os.pipe()[0], 1)


def start_worker(
    where: str,
    study: str,
    store: Path,
    *,
    seconds: float | None = 0.1,
    grace_seconds: float = 2.0,
    patience_seconds: float = 600.0,
    trial_seconds: float | None = None,
    checkpoints: Path | None = None,
    log: Path | None = None,
) -> BaseProcess:
    """Start a worker process; without `seconds` its first step but one hangs."""
    options = WorkerOptions(
        checkpoints=checkpoints,
        limits=Limits(grace_seconds=grace_seconds, patience_seconds=patience_seconds),
        trial_seconds=trial_seconds,
    )
    process = context().Process(target=_work, args=(where, study, store, seconds, options, log))
    process.start()
    return process  # type: ignore[no-any-return]


def _work(
    where: str,
    study: str,
    store: Path,
    seconds: float | None,
    options: WorkerOptions,
    log: Path | None,
) -> None:
    def say(words: str) -> None:
        if log is not None:
            with log.open("a") as file:
                file.write(f"{os.getpid()} {time.time():.2f} {words}\n")

    try:
        code = run_worker(
            study,
            open_storage(where, patience_seconds=60),
            open_store(store),
            "cpu",
            options=options,
            train=hanging_trainer if seconds is None else slow_trainer(seconds),
            say=say,
        )
    except BaseException as error:
        say(f"{type(error).__name__}: {error}")
        raise
    raise SystemExit(code)
