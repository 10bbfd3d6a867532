"""Scale: peak memory of `prepare` at two sizes, and opening a store of 88,000 records.

    python tests/benchmarks/data_scale.py [--sizes 2000 40000] [--jobs 1]

Goals: below 1 GiB, at most 2 KiB more for each further record (its row in the table of records is
kept in memory, its signals are not), open in below 1 s.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from data_pipeline import PrepareOptions, open_store, prepare_store
from data_pipeline.quirks import Draft, write_draft
from data_pipeline.store import content_hash, file_digest
from data_pipeline.synthetic import synthesize

LABELS = ("164889003", "426783006", "59118001", "426177001", "39732003")


def write_many(raw: Path, count: int) -> None:
    """Write distinct records quickly: correlated noise, rolled by another distance each."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(0, 15, (12, 60_000)), axis=1)
    base = (walk - walk.mean(axis=1, keepdims=True)).clip(-9000, 9000).astype(np.int16)
    for number in range(count):
        folder = raw / f"g{number // 1000}"
        folder.mkdir(parents=True, exist_ok=True)
        start = number * 1.3 % 1 * 50_000 + number % 7
        stored = np.roll(base[:, int(start) : int(start) + 5000], number % 12, axis=0).copy()
        stored[:, number % 5000] += 500 + number // 5000
        draft = Draft(f"S{number:06d}", stored, 500, LABELS[number % 5], "50", "Male")
        write_draft(folder, draft)


def prepare_and_tell(raw: str, out: str, jobs: str) -> None:
    store = prepare_store(Path(raw), Path(out), PrepareOptions(), jobs=int(jobs))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"records": len(store), "mib": (own + child * (int(jobs) > 1)) / 1024}))


def peak(count: int, jobs: int, scratch: Path) -> float:
    raw, out = scratch / "raw", scratch / f"store{count}"
    write_many(raw, count)
    command = [sys.executable, __file__, "--prepare", str(raw), str(out), str(jobs)]
    start = time.monotonic()
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    seconds = time.monotonic() - start
    print(f"{count:>7,} records  {told['mib']:6.0f} MiB  {seconds:6.1f} s  {told['records']} kept")
    return float(told["mib"])


def stretched(scratch: Path, count: int) -> Path:
    """Make a store of many records out of one of few; its signals are a hole in the disk."""
    synthesize(scratch / "few", records=400)
    store = prepare_store(scratch / "few", scratch / "big", PrepareOptions())
    path, index = store.path, np.arange(count) % len(store)
    records = store.records.iloc[index].reset_index(drop=True)
    records["record"] = [f"S{i:06d}" for i in range(count)]
    records.to_csv(path / "records.csv", index=False)
    np.save(path / "labels.npy", store.labels[index])
    shape = (count, *store.signals.shape[1:])
    manifest = store.manifest
    del store
    with (path / "signals.npy").open("wb") as stream:
        header = {"descr": "<i2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        os.ftruncate(stream.fileno(), stream.tell() + 2 * int(np.prod(shape)))
    manifest["content"]["shape"] = list(shape)
    manifest["hash"] = content_hash(manifest["content"])
    manifest["files"] = {name: file_digest(path / name) for name in manifest["files"]}
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def main() -> int:
    if sys.argv[1:2] == ["--prepare"]:
        prepare_and_tell(*sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=[2000, 40_000])
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = stretched(Path(scratch) / "open", 88_000)
        open_store(path)
        start = time.process_time()
        open_store(path)
        opening = time.process_time() - start
        print(f" 88,000 records  open in {opening:.2f} s (CPU)")
        small, large = (peak(n, arguments.jobs, Path(scratch)) for n in sorted(arguments.sizes))
    few, many = sorted(arguments.sizes)
    print(f"growth {1024 * (large - small) / (many - few):.2f} KiB per further record")
    return 0 if opening < 1 and large < 1024 and large < 1.1 * small else 1


if __name__ == "__main__":
    sys.exit(main())
