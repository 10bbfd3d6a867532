"""Report: time and memory of the analysis and the page.

    python tests/benchmarks/report_time.py [--trials 500] [--bootstraps 200] [--truth law|steps]
        [--parts]

Prints seconds, CPU seconds and peak memory, with `--parts` those of every part. Goals: 500 trials
with 200 bootstraps in under 120 s on two cores and under 1 GiB, 5,000 trials in under 10 minutes;
held against CPU seconds, which are what a quiet machine takes, as all but nothing runs in parallel
(set OMP_NUM_THREADS=1 on a busy one).
"law" is smooth, so the quadratic surrogate wins; "steps" has jumps that only trees follow, and
TreeSHAP in 200 refits is the most expensive there is. Parts that others need are computed within
them: the seconds of a part are those until the next one begins.
"""

import argparse
import resource
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from analysis.questions.context import Context
from analysis.questions.estimates import SURROGATES
from analysis.report.write import write_page
from analysis.trials.table import TrialTable
from tests.analysis.simulate import LAW, PLANTED, simulate

GOALS = {500: (120, 1024), 5000: (600, 1024)}  # trials: seconds, MiB


def jumping(table: TrialTable) -> TrialTable:
    """Add jumps of the score that no quadratic follows."""
    frame = table.frame
    jump = np.where((frame["depth"] > 7) ^ (frame["kernel_size"].isin([5, 11])), 0.03, 0.0)
    jump = jump + np.where((frame["width"] > 40) ^ (frame["stages"] == 4), 0.02, 0.0)
    frame["macro_f1"] = (frame["macro_f1"] - jump).clip(0, 1)
    return table


def main() -> None:
    """Simulate a study, write its report, and hold time and memory against the goals."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--bootstraps", type=int, default=200)
    parser.add_argument("--truth", choices=("law", "steps"), default="law")
    parser.add_argument("--parts", action="store_true")
    options = parser.parse_args()
    truth = LAW if options.truth == "law" else PLANTED
    table = simulate(truth, architectures=options.trials, controls=3, failures=12, seed=1)
    if options.truth == "steps":
        table = jumping(table)
    wall, cpu = time.perf_counter(), time.process_time()
    marks: list[tuple[str, float, float]] = []
    context = Context(
        table,
        bootstraps=options.bootstraps,
        progress=lambda part: marks.append((part, time.perf_counter(), time.process_time())),
    )
    with tempfile.TemporaryDirectory() as folder:
        write_page(context, Path(folder))
    seconds, used = time.perf_counter() - wall, time.process_time() - cpu
    marks.append(("", time.perf_counter(), time.process_time()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.parts:
        for (part, start, cpu_start), (_, end, cpu_end) in pairwise(marks):
            if cpu_end - cpu_start > 0.5:
                print(f"  {part:<42} {end - start:7.1f} s {cpu_end - cpu_start:7.1f} CPU s")
    fitted = {target: context.known(compute) for target, compute in SURROGATES.items()}
    models = ", ".join(f"{t}: {s.model.name}" for t, s in fitted.items() if s is not None)
    print(
        f"{options.trials} networks, {options.bootstraps} bootstraps ({models}): {seconds:.0f} s, "
        f"{used:.0f} CPU s, {peak:.0f} MiB at peak"
    )
    if options.trials in GOALS:
        limit, memory = GOALS[options.trials]
        met = used < limit and peak < memory
        print(f"goal: under {limit} CPU s and {memory} MiB – {'met' if met else 'missed'}")


if __name__ == "__main__":
    main()
