"""Measure training on a GPU, part by part, under the trainer's own settings.

    export PYTHONPATH=.          # from a checkout, nothing has to be installed
    python tests/benchmarks/train_gpu.py --only graphs --json graphs.jsonl   (any number of parts)
    python tests/benchmarks/train_gpu.py --only steps --json steps.jsonl
    python tests/benchmarks/train_gpu.py --only workers --json workers.jsonl --mps
    python tests/benchmarks/train_gpu.py --only trials --json trials.jsonl
    python tests/benchmarks/train_gpu.py --dry-run   every part, tiny, to see that it works

Each part stops by itself before --minutes are over and writes every row at once, so that nothing
is lost when it is cut short. It needs torch (2.8 or later), NumPy, pandas, psutil and pydantic.
Networks have 8 residual blocks with squeeze-and-excitation, of three groupings and of the size
asked for. Batches are augmented as in a study, and everything runs as `train_one` runs it
(deterministic cuDNN, no TF32).

* graphs: whether a recorded step gives the bits of the step as it is, whether a training repeats
  and resumes bit for bit, and what recording gains.
* steps: the first step's seconds, records/s, milliseconds of the host and in all per step, the
  share of the device's limits, and what each choice behind the step is worth.
* workers: 1, 2, 4 and 6 processes on one GPU that begin together, with --mps under MPS, too.
* trials: whole trials by `train_one`, scoring included, and the hours of a study that follow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_parts
import gpu_workers
import torch

PARTS = {
    "graphs": gpu_parts.graphs,
    "steps": gpu_parts.steps,
    "workers": gpu_workers.workers,
    "trials": gpu_parts.trials,
}


@dataclass(slots=True)
class Bench:
    """What every part needs: device, sizes, a deadline, and where its rows go."""

    device: torch.device
    dry: bool
    mflop: tuple[float, ...]
    batch: tuple[int, ...]
    processes: tuple[int, ...]
    mps: bool
    seconds: float
    ends: float
    json: Path | None

    def row(self, **values: Any) -> None:
        """Print a row, and append it to the file before anything else can go wrong."""
        print("  " + "  ".join(f"{k} {_short(v)}" for k, v in values.items()), flush=True)
        if self.json is not None:
            with self.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")

    @property
    def over(self) -> bool:
        """Whether the part's time is up; says so once it is."""
        if time.monotonic() < self.ends:
            return False
        self.row(note="time is up; what follows was not measured")
        return True


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mflop", type=float, nargs="+", default=[30, 100, 300])
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 6])
    parser.add_argument("--mps", action="store_true", help="measure processes under MPS, too")
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    parser.add_argument("--minutes", type=float, default=7.5, help="per part")
    parser.add_argument("--json", type=Path, help="append every row to this file")
    parser.add_argument("--dry-run", action="store_true", help="tiny and on the CPU")
    options = parser.parse_args()
    if options.dry_run:
        options.device, options.mflop, options.batch = "cpu", [3.0], [8]
        options.processes, options.seconds = [2], 0.05
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("Expected a CUDA device, found none; try --dry-run.")
    for part in options.only:
        print(f"{part}:")
        bench = Bench(
            device,
            options.dry_run,
            tuple(options.mflop),
            tuple(options.batch),
            tuple(options.processes),
            options.mps,
            options.seconds,
            time.monotonic() + 60 * options.minutes,
            options.json,
        )
        bench.row(part=part, commit=_commit(), torch=torch.__version__, **gpu_parts.card(device))
        PARTS[part](bench)


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
