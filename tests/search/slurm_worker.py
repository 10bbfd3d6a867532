"""The worker of the Slurm tests: the real loop, a trainer that only waits."""

from __future__ import annotations

import sys
from pathlib import Path

from processes import slow_trainer

from data_pipeline import open_store
from search.database.storage import open_storage
from search.trials.queue import Limits
from search.worker import WorkerOptions, run_worker

if __name__ == "__main__":
    where, study, store, seconds, checkpoints = sys.argv[1:]
    options = WorkerOptions(checkpoints=Path(checkpoints), limits=Limits(grace_seconds=6.0))
    sys.exit(
        run_worker(
            study,
            open_storage(where),
            open_store(Path(store)),
            "cpu",
            options=options,
            train=slow_trainer(float(seconds)),
        )
    )
