"""Measure training on a GPU: records/s, share of its limits, workers per GPU, a whole study's time.

    python tests/benchmarks/train_gpu.py [--json FILE] [--mps]

One command, about ten minutes on an H100. For networks of 30, 100, 300 and 1000 MFLOP of each
grouping it trains on 8,192 random records that lie on the device and prints

* records/s of `search.training.run.Run.step` at several batch sizes,
* the share of the device's own bf16 matrix rate (3 x forward FLOPs) and of its own copy bandwidth
  (40 bytes per activation, the eager estimate), both limits measured here first,
* records/s of 1, 2 and 4 processes on the device together, and with --mps under MPS too,
* the projected time of 500 such networks x 88,253 records x 20 epochs.

`--device cpu --quick` runs the same code on a CPU, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from train_networks import GROUPINGS, network_of

from data_pipeline.batches import ResidentRecords, batches
from search.training.device import fast_precision, is_out_of_memory, synchronize
from search.training.recipe import Recipe
from search.training.run import Run, Trial

STUDY_NETWORKS, STUDY_RECORDS, STUDY_EPOCHS = 500, 88_253, 20
EAGER_BYTES_PER_ACTIVATION = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mflop", type=float, nargs="+", default=[30, 100, 300, 1000])
    parser.add_argument("--grouping", nargs="+", default=list(GROUPINGS), choices=GROUPINGS)
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=4.0, help="per measurement")
    parser.add_argument("--mps", action="store_true", help="measure the workers under MPS too")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--start-at", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("Expected a CUDA device, found none; try --device cpu --quick.")
    if options.quick:
        options.mflop, options.batch, options.workers = [3.0], [16], [1, 2]
        options.seconds = 1.0
    if options.start_at is not None:  # one of several workers: measure a common stretch of time
        _, rate = _rate(options.mflop[0], options.grouping[0], options.batch[0], device, options)
        print(json.dumps(rate))
        return

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    flop_limit, byte_limit = _limits(device, options.quick)
    print(
        f"{name}, torch {torch.__version__}: {flop_limit / 1e12:.3g} TFLOP/s in bf16 products, "
        f"{byte_limit / 1e9:.4g} GB/s copying (read + write)\n"
    )
    print("grouping   MFLOP  k acts  batch  records/s  compute  memory")
    results = []
    best: dict[tuple[float, str], tuple[int, float]] = {}
    for mflop in options.mflop:
        for grouping in options.grouping:
            for batch in options.batch:
                try:
                    cost, rate = _rate(mflop, grouping, batch, device, options)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    print(f"{grouping:10s} {mflop:5.0f} {'':7s} {batch:6d}  out of memory")
                    continue
                compute = 3 * cost.flops * rate / flop_limit
                memory = EAGER_BYTES_PER_ACTIVATION * cost.activations * rate / byte_limit
                print(
                    f"{grouping:10s} {cost.flops / 1e6:5.0f} {cost.activations / 1e3:7.0f} "
                    f"{batch:6d} {rate:10.0f} {compute:8.1%} {memory:7.1%}",
                    flush=True,
                )
                results.append(
                    {"grouping": grouping, "flops": cost.flops, "activations": cost.activations}
                    | {"batch": batch, "records_per_second": rate}
                    | {"compute_share": compute, "memory_share": memory}
                )
                if rate > best.get((mflop, grouping), (0, 0.0))[1]:
                    best[mflop, grouping] = batch, rate

    print(f"\nworkers on one device, batch {options.batch[0]}: records/s together")
    together = []
    for under_mps in [False, True] if options.mps else [False]:
        for mflop in options.mflop:
            for grouping in options.grouping:
                rates = _workers(mflop, grouping, options, under_mps)
                label = "MPS" if under_mps else "   "
                text = "  ".join(f"{n}: {rate:.0f}" for n, rate in rates.items())
                print(f"{label} {grouping:10s} {mflop:5.0f} MFLOP   {text}", flush=True)
                together.append(
                    {"mps": under_mps, "mflop": mflop, "grouping": grouping, "workers": rates}
                )

    passes = STUDY_RECORDS * STUDY_EPOCHS
    print(
        f"\n{STUDY_NETWORKS} networks x {STUDY_RECORDS} records x {STUDY_EPOCHS} epochs, training"
    )
    for mflop in options.mflop:
        own = [best[mflop, g][1] for g in options.grouping if (mflop, g) in best]
        hours = STUDY_NETWORKS * float(np.mean([passes / rate for rate in own])) / 3600
        print(f"  {mflop:5.0f} MFLOP, mean of the groupings, best batch: {hours:8.1f} device hours")
    if options.json:
        options.json.write_text(
            json.dumps({"device": name, "steps": results, "workers": together}, indent=1)
        )


def _rate(mflop, grouping, batch, device, options):  # type: ignore[no-untyped-def]
    """Return the cost of a network and the records/s of its training step."""
    architecture = network_of(mflop, grouping)
    records = _records(256 if options.quick else 8192, device)
    recipe = Recipe(epochs=100_000, batch_size=batch)
    precision = fast_precision(records.device)
    run = Run(Trial(architecture, records, records, recipe, 0, precision), batch, None)
    run.network.train()
    feed = _endless(records, batch)

    def steps(count: int) -> None:
        for signals, labels in islice(feed, count):
            run.step(signals, labels)
            if run.progress.step == run.steps_per_epoch:
                run.end_epoch(0.0)
        synchronize(device)

    steps(1 if options.quick else 5)
    if options.start_at is not None:
        time.sleep(max(options.start_at - time.time(), 0))
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < options.seconds:
        steps(2 if options.quick else 10)
        done += 2 if options.quick else 10
    return architecture.cost(), done * batch / (time.perf_counter() - start)


def _workers(mflop, grouping, options, under_mps):  # type: ignore[no-untyped-def]
    """Return the summed records/s of several processes that train side by side."""
    rates = {}
    with _mps() if under_mps else _nothing() as environment:
        for count in options.workers:
            command = [sys.executable, __file__, "--device", options.device]
            command += ["--mflop", str(mflop), "--grouping", grouping]
            command += ["--batch", str(options.batch[0])]
            # Workers wait for one moment, late enough for all of them to be ready.
            command += ["--seconds", str(2 * options.seconds)]
            command += ["--start-at", str(time.time() + (20 if options.quick else 40))]
            environ = os.environ | environment | {"OMP_NUM_THREADS": "1"}
            running = [
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
                for _ in range(count)
            ]
            outputs = [process.communicate()[0] for process in running]
            rates[count] = sum(float(output) for output in outputs)
    return rates


@contextmanager
def _mps() -> Iterator[dict[str, str]]:
    """Run the control daemon of NVIDIA's Multi-Process Service in a folder of its own."""
    if shutil.which("nvidia-cuda-mps-control") is None:
        sys.exit("Expected nvidia-cuda-mps-control on the PATH, found none; leave out --mps.")
    with tempfile.TemporaryDirectory() as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        environ = os.environ | own
        subprocess.run(["nvidia-cuda-mps-control", "-d"], env=environ, check=True)
        try:
            yield own
        finally:
            subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, env=environ)


@contextmanager
def _nothing() -> Iterator[dict[str, str]]:
    yield {}


def _limits(device: torch.device, quick: bool) -> tuple[float, float]:
    """Return measured FLOP/s of a large bf16 product and bytes/s of a large copy."""
    size = 256 if quick else 8192
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(2**22 if quick else 2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product = _fastest(lambda: a @ b, device)
    copy = _fastest(lambda: target.copy_(source), device)
    return 2 * size**3 / product, 2 * source.numel() / copy


def _fastest(work, device: torch.device, repeats: int = 10) -> float:  # type: ignore[no-untyped-def]
    times = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times)


def _records(count: int, device: torch.device) -> ResidentRecords:
    rng = np.random.default_rng(0)
    signals = torch.from_numpy(rng.integers(-3000, 3000, (count, 12, 1000), dtype=np.int16))
    labels = torch.from_numpy((rng.random((count, 26)) < 0.1).astype(np.float32))
    rows = np.arange(count)
    return ResidentRecords(signals.to(device), labels.to(device), 0.001, 100.0, rows, rows)


def _endless(records: ResidentRecords, size: int):  # type: ignore[no-untyped-def]
    for epoch in cycle(range(1_000_000)):
        for batch in batches(records, batch_size=size, seed=0, epoch=epoch, shuffle=True):
            if len(batch[0]) == size:
                yield batch


if __name__ == "__main__":
    main()
