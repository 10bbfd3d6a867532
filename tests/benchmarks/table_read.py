"""Reading a study of 10,000 trials: our table against Optuna's `trials_dataframe()`.

    python tests/benchmarks/table_read.py [--trials 10000] [--out FILE]

Each in a fresh process; seconds after the imports, and the memory that it added. Goal: a second.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from filled_study import filled_study, scratch_database, write_result

NAME = "read"


def read(how: str, where: str) -> None:
    import optuna
    import pandas as pd

    from search.database.storage import open_storage
    from search.reading.records import read_class_scores, read_curves, read_trials

    storage = open_storage(where)
    readers = {
        "read_trials": lambda: read_trials(NAME, storage),
        "read_curves": lambda: read_curves(NAME, storage),
        "read_class_scores": lambda: read_class_scores(NAME, storage),
        "trials_dataframe": lambda: optuna.load_study(
            study_name=NAME, storage=storage.optuna()
        ).trials_dataframe(),
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    frame: pd.DataFrame = readers[how]()
    seconds = time.perf_counter() - started
    mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"how": how, "seconds": seconds, "mib": mib, "shape": frame.shape}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read(*options.read)
        return
    rows = []
    with scratch_database() as (storage, store):
        filled_study(NAME, storage, store, complete=options.trials, waiting=1)
        for how in ("read_trials", "read_curves", "read_class_scores", "trials_dataframe"):
            command = [sys.executable, __file__, "--read", how, storage.label]
            told = [
                json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
                for _ in range(options.repeats)
            ]
            row = min(told, key=lambda one: one["seconds"])
            rows.append(row)
            print(
                f"{how:18} {row['seconds']:6.2f} s {row['mib']:6.0f} MiB  "
                f"{row['shape'][0]:,} × {row['shape'][1]}",
                flush=True,
            )
    if options.out:
        write_result(
            options.out, {"benchmark": "table_read", "trials": options.trials, "rows": rows}
        )


if __name__ == "__main__":
    main()
