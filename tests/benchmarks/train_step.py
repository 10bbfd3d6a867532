"""Compare our training step with a plain pipeline, side by side, and say what each trick brings.

    python tests/benchmarks/train_step.py [STORE] [--device cpu] [--batch 64] [--rounds 3]

The plain pipeline is what the original study and most peers do: one file per record, DataLoader
with workers, fp32 Conv1d, AdamW as it comes, scikit-learn's metrics of every batch. Then one trick
after the other is added until our step stands there. All rungs train the same network on the same
records with the same batch size, interleaved over several rounds. As in a study, as many trainings
as there are cores run at once, and their records/s add up: loader processes are not free. The table
gives the median round and the gain over the plain pipeline. A last line checks that the Conv1d twin
computes the same outputs as our network. Run it on a machine with nothing else to do.

The ceiling is what the processors would reach if a step (three forward passes' arithmetic) ran as
fast as large fp32 matrix products do and everything else cost nothing. `--compile` adds our network
under torch.compile with plain fp32 steps; compiling takes minutes and is not timed.

Without STORE it uses random records. "tricks" that the device lacks (bf16 on a CPU without
AVX-512-BF16 or AMX) are left out, and the table says so.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import f1_score, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from train_networks import GROUPINGS, network_of

from data_pipeline import open_store
from data_pipeline.batches import ResidentRecords, batches
from models.build import build
from models.plain import as_conv1d
from search.training.device import fast_precision, synchronize
from search.training.recipe import Recipe
from search.training.run import Run, Trial

RECIPE = Recipe(epochs=1000, average_epochs=0.0)


class OneFilePerRecord(Dataset):  # type: ignore[type-arg]
    """Float32 records, each in a file of its own, scaled when read."""

    def __init__(self, folder: Path, records: ResidentRecords) -> None:
        self.folder, self.labels = folder, records.labels.cpu().numpy()
        for i, signal in enumerate(records.signals.cpu().numpy()):
            np.save(folder / f"{i}.npy", signal.astype(np.float32) * records.step)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        signal = np.load(self.folder / f"{index}.npy")
        mean, sd = signal.mean(1, keepdims=True), signal.std(1, keepdims=True)
        return (signal - mean) / (sd + 1e-6), self.labels[index]


class PlainStep:
    """A step with chosen tricks; with all of them it is `search.training.run.Run.step`."""

    def __init__(self, network: nn.Module, device: torch.device, *, fused: bool, scores: bool):
        self.network, self.device, self.scores = network, device, scores
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=1e-3, weight_decay=0.05, fused=fused or None
        )

    def __call__(self, signals: Tensor, labels: Tensor) -> None:
        signals, labels = signals.to(self.device), labels.to(self.device)
        self.optimizer.zero_grad()
        logits = self.network(signals)
        F.binary_cross_entropy_with_logits(logits, labels).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        if self.scores:
            truth = labels.cpu().numpy()
            chances = logits.detach().float().sigmoid().cpu().numpy()
            f1_score(truth, chances > 0.5, average="macro", zero_division=0)
            both = (truth.min(0) == 0) & (truth.max(0) == 1)
            roc_auc_score(truth[:, both], chances[:, both], average="macro")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", nargs="?", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--loaders", type=int, default=2, help="DataLoader processes of each")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="per rung and round")
    parser.add_argument("--mflop", type=float, nargs="*", default=[30.0, 100.0])
    parser.add_argument("--grouping", nargs="*", default=list(GROUPINGS), choices=GROUPINGS)
    parser.add_argument("--compile", action="store_true", help="add a rung with torch.compile")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{options.processes} trainings at once with {options.threads} thread(s) each, "
        f"{options.device}, torch {torch.__version__}, batch {options.batch}, {options.loaders} "
        f"loader processes for each plain pipeline; records/s of all together, median of "
        f"{options.rounds} rounds"
    )
    results = []
    for mflop in options.mflop:
        for grouping in options.grouping:
            results.append(_compare(mflop, grouping, options))
            if options.json:
                options.json.write_text(json.dumps(results, indent=1))


def _compare(mflop: float, grouping: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure all rungs in several processes at once, and print their table."""
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(options.processes)
    with ProcessPoolExecutor(
        options.processes, spawn, initializer=_share, initargs=(together,)
    ) as pool:
        waiting = [
            pool.submit(_measure, mflop, grouping, options) for _ in range(options.processes)
        ]
        shares = [each.result() for each in waiting]
    rates = {
        name: [sum(rounds) for rounds in zip(*(share[name] for share in shares), strict=True)]
        for name in shares[0]
    }
    medians = {name: statistics.median(values) for name, values in rates.items()}
    peak = medians.pop(PEAK)
    plain = before = next(iter(medians.values()))
    architecture = network_of(mflop, grouping)
    cost = architecture.cost()
    print(
        f"\n{grouping}, {cost.flops / 1e6:.0f} MFLOP, {cost.params / 1e3:.0f} k parameters, "
        f"{cost.activations / 1e3:.0f} k activations"
    )
    for name, rate in medians.items():
        spread = (max(rates[name]) - min(rates[name])) / rate
        print(
            f"  {name:52s} {rate:8.0f}  x{rate / plain:5.2f} of plain  x{rate / before:5.2f} of the"
            f" rung before  (rounds spread {spread:.0%})"
        )
        before = rate
    ceiling = peak / (3 * cost.flops)
    print(
        f"  ceiling: {ceiling:.0f} records/s at the {peak / 1e9:.0f} GFLOP/s of matrix products; "
        f"3 x plain would take {3 * plain / ceiling:.0%} of it"
    )
    if fast_precision(torch.device(options.device)) == "fp32":
        print("  bf16: this device has no fast bf16; fp32 is what precision 'auto' takes")
    return {
        "mflop": cost.flops / 1e6,
        "grouping": grouping,
        "activations": cost.activations,
        "records_per_second": medians,
        "gain": max(rate for name, rate in medians.items() if name.startswith(OURS)) / plain,
        "ceiling": ceiling,
    }


PEAK = "matrix products"
OURS = "our step"
TOGETHER: list[Barrier] = []


def _share(together: Barrier) -> None:
    """Keep the barrier of all processes; it can only be handed over when a process starts."""
    TOGETHER.append(together)


def _measure(mflop: float, grouping: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return this process's records/s of each rung and round."""
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    records = _records(options.store, device)
    with tempfile.TemporaryDirectory() as folder:
        rungs = _rungs(mflop, grouping, records, Path(folder), options)
        rates: dict[str, list[float]] = {name: [] for name in [*rungs, PEAK]}
        for feed, step in rungs.values():  # warm up caches, loader processes and allocator
            for signals, labels in islice(feed, 2):
                step(signals, labels)
        for _ in range(options.rounds):
            for name, (feed, step) in rungs.items():
                TOGETHER[0].wait()
                start, seen = time.perf_counter(), 0
                while time.perf_counter() - start < options.seconds:
                    signals, labels = next(feed)
                    step(signals, labels)
                    synchronize(device)
                    seen += len(signals)
                rates[name].append(seen / (time.perf_counter() - start))
            TOGETHER[0].wait()
            rates[PEAK].append(_matrix_products(device))
    return rates


def _matrix_products(device: torch.device, size: int = 2048, seconds: float = 1.0) -> float:
    """Return the FLOP/s of large fp32 matrix products."""
    left, right = torch.randn(2, size, size, device=device)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        left @ right
        synchronize(device)
        done += 1
    return 2 * size**3 * done / (time.perf_counter() - start)


def _rungs(
    mflop: float,
    grouping: str,
    records: ResidentRecords,
    folder: Path,
    options: argparse.Namespace,
) -> dict[str, tuple[Iterator[tuple[Tensor, Tensor]], Callable[[Tensor, Tensor], None]]]:
    """Return each rung's batches and step, the plain pipeline first, our own step last."""
    device, architecture = records.device, network_of(mflop, grouping)
    torch.manual_seed(0)
    network = build(architecture, outputs=records.labels.shape[1]).to(device)
    twin = as_conv1d(network)
    difference = _difference(network, twin, records)
    assert difference < 1e-3, f"the Conv1d twin computes something else: {difference}"
    loader = DataLoader(
        OneFilePerRecord(folder, records),
        batch_size=options.batch,
        shuffle=True,
        drop_last=True,
        num_workers=options.loaders,
        persistent_workers=options.loaders > 0,
        pin_memory=device.type == "cuda",
    )

    def one_dimensional(*, fused: bool, scores: bool) -> PlainStep:
        return PlainStep(copy.deepcopy(twin), device, fused=fused, scores=scores)

    resident = _resident(records, options.batch)
    rungs = {
        "plain: files, DataLoader, Conv1d, per-batch metrics": (
            _endless(loader),
            one_dimensional(fused=False, scores=True),
        ),
        "metrics on whole folds": (_endless(loader), one_dimensional(fused=False, scores=False)),
        "records resident as int16": (resident, one_dimensional(fused=False, scores=False)),
        "fused AdamW": (resident, one_dimensional(fused=True, scores=False)),
        "Conv2d in channels_last": (
            resident,
            PlainStep(copy.deepcopy(network), device, fused=True, scores=False),
        ),
    }
    fast = fast_precision(device) == "bf16"
    kinds = {f"{OURS} (fp32)": "fp32"}
    if fast:
        kinds |= {f"{OURS} (bf16, depthwise fp32)": "bf16"}
    for name, precision in kinds.items():
        recipe = Recipe.from_dict(
            RECIPE.to_dict() | {"precision": precision, "batch_size": options.batch}
        )
        trial = Trial(architecture, records, records, recipe, 0, precision)
        run = Run(trial, options.batch, None)
        rungs[name] = (resident, _forgetful(run))
    if options.compile:
        compiled = torch.compile(copy.deepcopy(network))
        rungs["Conv2d in channels_last under torch.compile"] = (
            resident,
            PlainStep(compiled, device, fused=True, scores=False),
        )
    return rungs


def _records(store: Path | None, device: torch.device) -> ResidentRecords:
    if store is not None:
        opened = open_store(store)
        return ResidentRecords.from_store(opened, opened.rows("train"), device)
    rng = np.random.default_rng(0)
    count = 1024
    return ResidentRecords(
        signals=torch.from_numpy(rng.integers(-3000, 3000, (count, 12, 1000), dtype=np.int16)).to(
            device
        ),
        labels=(torch.from_numpy(rng.random((count, 26))) < 0.1).float().to(device),
        step=0.001,
        sample_rate_hz=100.0,
        rows=np.arange(count),
        patients=np.arange(count),
    )


def _difference(network: nn.Module, twin: nn.Module, records: ResidentRecords) -> float:
    signals, _ = next(batches(records, batch_size=16, seed=0, epoch=0, shuffle=False))
    with torch.inference_mode():
        difference = network.eval()(signals) - twin.eval()(signals)
    network.train()
    twin.train()
    return float(difference.abs().max())


def _resident(records: ResidentRecords, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for epoch in cycle(range(1_000_000)):
        for batch in batches(records, batch_size=size, seed=0, epoch=epoch, shuffle=True):
            if len(batch[0]) == size:
                yield batch


def _endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


def _forgetful(run: Run):  # type: ignore[no-untyped-def]
    """Return the run's step without the growing list of outputs that an epoch's end would clear."""
    run.network.train()

    def step(signals: Tensor, labels: Tensor) -> None:
        run.step(signals, labels)
        if run.progress.step == run.steps_per_epoch:
            run.end_epoch(0.0)

    return step


if __name__ == "__main__":
    main()
