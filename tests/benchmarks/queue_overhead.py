"""What a trial costs beside its training: milliseconds and SQL statements, ours and plain Optuna's.

    python tests/benchmarks/queue_overhead.py [--sizes 500 5000 20000] [--workers 1 8 32] [--out F]

Ours: claim, a report after each of 20 epochs, finish with 15 attributes and 26 classes.
Plain: `study.optimize` with a random sampler, the same factors, 20 reports and 15 attributes.
Every worker is a process; each has done one trial before the clock starts (Optuna's first one loads
the whole study, told apart). Goal: flat in the number of trials of the study.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from filled_study import (
    ATTRIBUTES,
    CLASS_SCORES,
    CURVE,
    filled_study,
    scratch_database,
    write_result,
)
from sqlalchemy import Engine, event

from search.database.storage import open_storage
from search.study import open_study
from search.trials.queue import Queue, WorkerName

# Plain Optuna keeps the whole study in every process, about this much; more than there is, no run.
PLAIN_MIB, PLAIN_MIB_PER_TRIAL, MOST_MIB = 85, 0.085, 8000
TRIALS = 64  # per measurement, shared by the workers
FEWEST = 4  # per worker


def ours(where: str, name: str) -> tuple[Engine, Callable[[], None]]:
    storage = open_storage(where)
    queue = Queue(storage, open_study(name, storage).study_id)
    who = WorkerName("bench", "here", "cpu")

    def trial() -> None:
        claim = queue.claim(who)
        assert claim is not None
        for epoch, score in enumerate(CURVE, start=1):
            assert queue.report(claim, epoch, score)
        assert queue.finish(claim, 0.5, ATTRIBUTES, CURVE, CLASS_SCORES)

    return storage.engine, trial


def plain(where: str, name: str) -> tuple[Engine, Callable[[], None]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened = open_storage(where)
    rdb = opened.optuna()
    distributions = dict(_factors(opened, name.removeprefix("plain-")))
    study = optuna.load_study(
        study_name=name, storage=rdb, sampler=optuna.samplers.RandomSampler(seed=None)
    )

    def objective(trial: optuna.Trial) -> float:
        for key, distribution in distributions.items():
            trial._suggest(key, distribution)
        for epoch, score in enumerate(CURVE):
            trial.report(score, epoch)
        for key, value in ATTRIBUTES.items():
            trial.set_user_attr(key, value)
        return 0.5

    return rdb.engine, lambda: study.optimize(objective, n_trials=1)


def _factors(storage: Any, name: str) -> dict[str, Any]:
    from search.reading.records import StudyReader

    return StudyReader(name, storage).distributions()


def work(how: str, where: str, name: str, trials: int) -> None:
    """Be one worker: one trial, then wait for the word, then the others."""
    engine, trial = {"ours": ours, "plain": plain}[how](where, name)
    counted = {"statements": 0, "transactions": 0}

    @event.listens_for(engine, "before_cursor_execute")
    def statement(*_: object) -> None:
        counted["statements"] += 1

    @event.listens_for(engine, "commit")
    def commit(*_: object) -> None:
        counted["transactions"] += 1

    started = time.perf_counter()
    trial()
    first = time.perf_counter() - started
    print("ready", flush=True)
    sys.stdin.readline()
    counted.update(statements=0, transactions=0)
    cpu, started = time.process_time(), time.perf_counter()
    for _ in range(trials):
        trial()
    told = {"first_seconds": first, "seconds": time.perf_counter() - started}
    told |= {"cpu_seconds": time.process_time() - cpu, "trials": trials} | counted
    print(json.dumps(told), flush=True)


def measure(how: str, where: str, name: str, workers: int) -> dict[str, float]:
    trials = max(TRIALS // workers, FEWEST)
    command = [sys.executable, __file__, "--work", how, where, name, str(trials)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    crew = [subprocess.Popen(command, **pipes) for _ in range(workers)]  # type: ignore[call-overload]
    for process in crew:
        assert process.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for process in crew:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate()[0]) for process in crew]
    seconds = time.perf_counter() - started
    done = sum(one["trials"] for one in told)
    return {
        "ms_per_trial": 1e3 * sum(one["seconds"] for one in told) / done,
        "cpu_ms_per_trial": 1e3 * sum(one["cpu_seconds"] for one in told) / done,
        "statements_per_trial": sum(one["statements"] for one in told) / done,
        "transactions_per_trial": sum(one["transactions"] for one in told) / done,
        "trials_per_second": done / seconds,
        "first_trial_seconds": max(one["first_seconds"] for one in told),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 5_000, 20_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        how, where, name, trials = options.work
        work(how, where, name, int(trials))
        return
    rows: list[dict[str, Any]] = []
    print(
        f"{'trials':>7} {'workers':>7} {'':6} {'ms/trial':>9} {'CPU ms':>7} {'SQL':>5} {'1st s':>6}"
    )
    with scratch_database() as (storage, store):
        for size in options.sizes:
            spare = sum(max(TRIALS, (FEWEST + 1) * n + n) + n for n in options.workers)
            name = f"of-{size}"
            filled_study(name, storage, store, complete=size, waiting=spare)
            filled_study(f"plain-{name}", storage, store, complete=size, waiting=0)
            for workers in options.workers:
                for how, of in (("ours", name), ("plain", f"plain-{name}")):
                    if how == "plain" and (
                        workers * (PLAIN_MIB + PLAIN_MIB_PER_TRIAL * size) > MOST_MIB
                    ):
                        continue
                    row = measure(how, storage.label, of, workers)
                    rows.append({"trials": size, "workers": workers, "how": how, **row})
                    print(
                        f"{size:>7,} {workers:>7} {how:6} {row['ms_per_trial']:>9.1f} "
                        f"{row['cpu_ms_per_trial']:>7.1f} {row['statements_per_trial']:>5.0f} "
                        f"{row['first_trial_seconds']:>6.2f}",
                        flush=True,
                    )
    if options.out:
        write_result(options.out, {"benchmark": "queue_overhead", "rows": rows})


if __name__ == "__main__":
    main()
