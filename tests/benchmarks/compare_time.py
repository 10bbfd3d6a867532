"""Time what a comparison on the test records costs, at the size of the whole Challenge.

    python tests/benchmarks/compare_time.py [--records 17650] [--runs 180] [--draws 1000]

Prints CPU seconds and the peak memory of scoring every run in every draw of patients, and of the
table of one network's scores per class and source. Outputs are random: the cost does not depend on
how good they are.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import pandas as pd

from analysis.questions.confirmation.resampling import Predictions, score_networks
from analysis.questions.diagnoses.numbers import DRAWS
from analysis.stats.patients import corrected_limits
from analysis.use.scores import Evaluated, score_evaluated

SOURCES = 6
CLASSES = 26


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=17650)
    parser.add_argument("--runs", type=int, default=180, help="4 budgets x 15 networks x 3 seeds")
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = (options.records, CLASSES)
    labels = rng.random(shape) < np.geomspace(0.002, 0.3, CLASSES)
    patients = rng.integers(0, int(0.9 * options.records), options.records)
    cuts = np.full(CLASSES, 0.5)
    runs = {
        f"network {n}": [Predictions(_outputs(rng, labels), cuts) for _ in range(3)]
        for n in range(options.runs // 3)
    }
    print(f"{options.records} records, {options.runs} runs, {options.draws} draws of patients")
    start = time.process_time()
    score_networks(labels, patients, runs, rng, draws=options.draws)
    print(f"all runs in all draws: {time.process_time() - start:.0f} s of CPU")
    sources = pd.Categorical.from_codes(
        rng.integers(0, SOURCES, options.records), [f"source {n}" for n in range(SOURCES)]
    )
    names = tuple(f"class {n}" for n in range(CLASSES))
    own = {"network 0": runs["network 0"]}
    groups = pd.DataFrame({"source": sources})
    evaluated = Evaluated(labels.astype(np.uint8), patients, groups, names, names, own)
    start = time.process_time()
    score_evaluated(evaluated, rng, draws=DRAWS, limits=corrected_limits)
    print(f"one network by class and source: {time.process_time() - start:.0f} s of CPU")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def _outputs(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    return (0.3 * labels + 0.7 * rng.random(labels.shape)).astype(np.float32)


if __name__ == "__main__":
    main()
