"""Preparing: ours against a plain loop of wfdb and SciPy with the same output, side by side.

    python tests/benchmarks/data_prepare.py [--records 1000] [--rounds 5]

Prints CPU milliseconds per record of both on one core, medians of interleaved rounds, and their
ratio. Goal: at least 5.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import wfdb
from scipy import signal
from threadpoolctl import threadpool_limits

from data_pipeline import PrepareOptions, Store, prepare_store
from data_pipeline.labels import encode
from data_pipeline.synthetic import synthesize


def plain_loop(raw: Path, out: Path) -> np.ndarray:
    """What a careful person writes in an afternoon: design once, one record after the other."""
    sections = signal.butter(3, [0.5, 40], "bandpass", fs=100, output="sos")
    signals, labels = [], []
    for path in sorted(raw.rglob("*.hea")):
        record = wfdb.rdrecord(str(path.with_suffix("")))
        values = signal.resample_poly(record.p_signal.T, 1, 5, axis=1, padtype="mean")
        values = signal.sosfiltfilt(sections, values, axis=1, padlen=200)
        values = values - values.mean(axis=1, keepdims=True)
        values /= values.std(axis=1, keepdims=True)
        signals.append(np.clip(np.rint(values * 1000), -32767, 32767).astype(np.int16))
        comments = dict(comment.split(": ", 1) for comment in record.comments)
        labels.append(encode(comments["Dx"].split(",")))
    stacked = np.stack(signals)
    np.save(out / "signals.npy", stacked)
    np.save(out / "labels.npy", np.stack(labels))
    return stacked


def ours(raw: Path, out: Path) -> Store:
    return prepare_store(raw, out, PrepareOptions(), jobs=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    with threadpool_limits(1), tempfile.TemporaryDirectory() as scratch:
        raw, out = Path(scratch) / "raw", Path(scratch) / "out"
        synthesize(raw, records=arguments.records)
        for turn in range(arguments.rounds + 1):
            out.mkdir()
            start = time.process_time()
            expected = plain_loop(raw, out)
            middle = time.process_time()
            store = ours(raw, out / "store")
            end = time.process_time()
            difference = int(np.abs(store.signals.astype(int) - expected).max())
            shutil.rmtree(out)
            # The first round warms imports, caches and the disk.
            if turn:
                times["plain"].append((middle - start) / arguments.records * 1e3)
                times["ours"].append((end - middle) / arguments.records * 1e3)
    plain, own = (float(np.median(times[name])) for name in ("plain", "ours"))
    print(f"records {arguments.records}, rounds {arguments.rounds}, one core, CPU time")
    print(f"plain loop  {plain:.3f} ms/record")
    print(f"prepare     {own:.3f} ms/record")
    print(f"ratio       {plain / own:.2f}   largest difference {difference} quantisation steps")
    return 0 if plain / own >= 5 and difference <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
