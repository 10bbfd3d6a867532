"""The parts of train_gpu.py."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from train_networks import GROUPINGS, network_of

from data_pipeline.batches import ResidentRecords, batches
from models import Architecture
from models.modules import Network
from search.training import device as devices
from search.training.graph import StepGraph
from search.training.recipe import Recipe
from search.training.run import Run, Trial
from search.training.train import Interrupted, train_one

if TYPE_CHECKING:
    from train_gpu import Bench

STUDY_NETWORKS, STUDY_RECORDS, STUDY_EPOCHS, STUDY_TRAIN_SHARE = 500, 88_253, 20, 0.6
BYTES_PER_ACTIVATION = 40  # moved by an eager step
OUTPUTS = 26


def card(device: torch.device) -> dict[str, Any]:
    """Name the device and measure its limits: bf16 products in FLOP/s, copies in bytes/s."""
    cuda = device.type == "cuda"
    size, length = (8192, 2**30) if cuda else (256, 2**20)
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(length, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return {
        "device": torch.cuda.get_device_name(device) if cuda else "CPU",
        "flop_limit": 2 * size**3 / _fastest(lambda: a @ b, device),
        "byte_limit": 2 * length / _fastest(lambda: target.copy_(source), device),
    }


def _fastest(work: Callable[[], Any], device: torch.device) -> float:
    times = []
    for _ in range(10):
        devices.synchronize(device)
        start = time.perf_counter()
        work()
        devices.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times)


def records_on(device: torch.device, count: int, dry: bool, seed: int = 0) -> ResidentRecords:
    """Draw records of 12 x 1000 on the device; a few short ones for a dry run."""
    rng = np.random.default_rng(seed)
    count, samples = (64, 200) if dry else (count, 1000)
    signals = torch.from_numpy(rng.integers(-3000, 3000, (count, 12, samples), dtype=np.int16))
    labels = torch.from_numpy((rng.random((count, OUTPUTS)) < 0.1).astype(np.float32))
    rows = np.arange(count)
    return ResidentRecords(signals.to(device), labels.to(device), 0.001, 100.0, rows, rows)


class Steps:
    """A training without end, to take steps of."""

    def __init__(
        self,
        architecture: Architecture,
        records: ResidentRecords,
        batch: int,
        *,
        precision: str | None = None,
        graph: StepGraph | None = None,
    ) -> None:
        recipe = Recipe(epochs=10_000, batch_size=batch)
        chosen = devices.resolve_precision(records.device, precision or "auto")
        torch.manual_seed(0)
        self.run = Run(Trial(architecture, records, records, recipe, 0, chosen), batch, None, graph)
        self.run.network.train()
        self._feed = self._batches(batch)

    def _batches(self, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        recipe, records = self.run.trial.recipe, self.run.trial.train
        for epoch in range(recipe.epochs):
            for fed in batches(
                records,
                batch_size=batch,
                seed=0,
                epoch=epoch,
                shuffle=True,
                augment=recipe.augment_options(),
            ):
                if len(fed[0]) == batch:
                    yield fed

    def take(self, count: int) -> None:
        """Take steps; the outputs of an epoch are let go."""
        for _ in range(count):
            self.run.step(*next(self._feed))
            if self.run.progress.step == self.run.steps_per_epoch:
                self.run.end_epoch(0.0)

    def measure(self, seconds: float) -> dict[str, float]:
        """Return records/s and milliseconds per step: of the host alone, and until all is done."""
        device, batch = self.run.device, self.run.trial.recipe.batch_size
        self.take(5)
        devices.synchronize(device)
        start, hosts, count = time.perf_counter(), 0.0, 0
        while time.perf_counter() - start < seconds:
            before = time.perf_counter()
            self.take(10)
            hosts += time.perf_counter() - before
            devices.synchronize(device)
            count += 10
        total = time.perf_counter() - start
        return {
            "records_per_second": count * batch / total,
            "host_ms": 1e3 * hosts / count,
            "step_ms": 1e3 * total / count,
        }


def cases(bench: Bench) -> Iterator[tuple[str, Architecture]]:
    for mflop in bench.mflop:
        for grouping in _groupings(bench):
            if bench.over:
                return
            yield grouping, network_of(mflop, grouping)


def _groupings(bench: Bench) -> tuple[str, ...]:
    return GROUPINGS[-1:] if bench.dry else GROUPINGS


def _graph(bench: Bench) -> StepGraph | None:
    return StepGraph() if bench.device.type == "cuda" else None


def size(architecture: Architecture) -> dict[str, float]:
    cost = architecture.cost()
    return {"mflop": cost.flops / 1e6, "kilo_activations": cost.activations / 1e3}


# ---- Graphs ---- #


def graphs(bench: Bench) -> None:
    """Compare recorded steps with steps as they are, in bits and in time."""
    records, batch = records_on(bench.device, 8192, bench.dry), bench.batch[0]
    for grouping, architecture in cases(bench):
        with devices.reproducible(0, bench.device):
            one, again, recorded = (
                Steps(architecture, records, batch, graph=graph)
                for graph in (None, None, _graph(bench))
            )
            for steps in (one, again, recorded):
                steps.take(12)
            rates = {
                name: steps.measure(bench.seconds)["records_per_second"]
                for name, steps in (("eager", one), ("graph", recorded))
            }
            same = {"repeats": _same(Steps, architecture, records, batch, None, None)}
            same["graph_equals_eager"] = _same(
                Steps, architecture, records, batch, None, _graph(bench)
            )
            same["resumes"] = _resumes(bench, architecture)
        bench.row(
            grouping=grouping,
            **size(architecture),
            batch=batch,
            **same,
            **rates,
            gain=rates["graph"] / rates["eager"],
        )


def _same(
    make: type[Steps],
    architecture: Architecture,
    records: ResidentRecords,
    batch: int,
    first: StepGraph | None,
    second: StepGraph | None,
) -> bool:
    """Whether two trainings of 12 steps end in the same bits."""
    states = []
    for graph in (first, second):
        steps = make(architecture, records, batch, graph=graph)
        steps.take(12)
        states.append([value.clone() for value in steps.run.network.state_dict().values()])
    return all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def _resumes(bench: Bench, architecture: Architecture) -> bool:
    """Whether a trial that was stopped and resumed scores as one that was not, bit for bit."""
    train, validation = (records_on(bench.device, 512, bench.dry, seed) for seed in (1, 2))
    recipe = Recipe(epochs=2, batch_size=bench.batch[0])
    whole = train_one(architecture, train, validation, recipe, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.checkpoint"
        asked = iter(range(1_000_000))
        try:
            train_one(
                architecture,
                train,
                validation,
                recipe,
                0,
                should_stop=lambda: next(asked) == 3,
                checkpoint=path,
            )
        except Interrupted:
            resumed = train_one(architecture, train, validation, recipe, 0, checkpoint=path)
            return repr(resumed.class_scores) == repr(whole.class_scores)
    return False


# ---- Steps ---- #


def steps(bench: Bench) -> None:
    """Measure the step at several sizes, then what each choice behind it is worth."""
    limits = card(bench.device)
    records = records_on(bench.device, 8192, bench.dry)
    for batch in bench.batch:
        for grouping, architecture in cases(bench):
            with devices.reproducible(0, bench.device):
                start = time.perf_counter()
                try:
                    taken = Steps(architecture, records, batch)
                    taken.take(1)
                    devices.synchronize(bench.device)
                    first = time.perf_counter() - start
                    speed = taken.measure(bench.seconds)
                except (RuntimeError, MemoryError) as error:
                    if not devices.is_out_of_memory(error):
                        raise
                    bench.row(grouping=grouping, batch=batch, note="out of memory")
                    continue
            cost, rate = architecture.cost(), speed["records_per_second"]
            bench.row(
                grouping=grouping,
                **size(architecture),
                batch=batch,
                first_step_seconds=first,
                **speed,
                compute_share=3 * cost.flops * rate / limits["flop_limit"],
                memory_share=BYTES_PER_ACTIVATION * cost.activations * rate / limits["byte_limit"],
            )
    for name, precision, change in _ablations(bench.device):
        for grouping in _groupings(bench):
            if bench.over:
                return
            architecture = network_of(bench.mflop[min(1, len(bench.mflop) - 1)], grouping)
            with devices.reproducible(0, bench.device), change():
                taken = Steps(architecture, records, bench.batch[0], precision=precision)
                speed = taken.measure(bench.seconds)
            bench.row(grouping=grouping, **size(architecture), choice=name, **speed)


def _ablations(
    device: torch.device,
) -> list[tuple[str, str | None, Callable[[], AbstractContextManager[Any]]]]:
    found: list[tuple[str, str | None, Callable[[], AbstractContextManager[Any]]]] = [
        ("as it is", None, nullcontext),
        ("contiguous", None, _contiguous),
        ("fp32", "fp32", nullcontext),
    ]
    if device.type == "cuda":
        found += [("fp32 with TF32", "fp32", _tf32), ("cuDNN may choose", None, _choosing)]
        try:
            with _native_depthwise():
                found.append(("torch's own depthwise kernel", None, _native_depthwise))
        except TypeError:  # a torch that has no such flag
            pass
    return found


@contextmanager
def _contiguous() -> Iterator[None]:
    """Leave channels_last out."""
    forward = Network.forward

    def plain(self: Network, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(x.unsqueeze(2))
        return logits

    Network.forward = plain  # type: ignore[method-assign]
    try:
        yield
    finally:
        Network.forward = forward  # type: ignore[method-assign]


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=True):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _choosing() -> AbstractContextManager[Any]:
    return torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False)


def _native_depthwise() -> AbstractContextManager[Any]:
    return torch.backends.cudnn.flags(  # type: ignore[call-arg]
        enabled=True, deterministic=True, allow_tf32=False, depthwise_kernel="native"
    )


# ---- Trials ---- #


def trials(bench: Bench) -> None:
    """Run whole trials, and project a study: its hours on this device, one worker."""
    train = records_on(bench.device, 16_384, bench.dry, 1)
    validation = records_on(bench.device, 4096, bench.dry, 2)
    recipe = replace(Recipe(), epochs=2, batch_size=bench.batch[0])
    passes = STUDY_RECORDS * STUDY_TRAIN_SHARE * STUDY_EPOCHS
    for grouping, architecture in cases(bench):
        scores = train_one(architecture, train, validation, recipe, 0)
        scoring = scores.validation_seconds / (scores.seconds - scores.validation_seconds)
        seconds = passes / scores.records_per_second * (1 + scoring)
        bench.row(
            grouping=grouping,
            **size(architecture),
            batch=recipe.batch_size,
            precision=scores.precision,
            records_per_second=scores.records_per_second,
            scoring_share=scoring,
            peak_memory_gb=scores.peak_memory_bytes / 1e9,
            study_hours=STUDY_NETWORKS * seconds / 3600,
            study=f"{STUDY_NETWORKS} such networks x {STUDY_TRAIN_SHARE:g} of {STUDY_RECORDS} "
            f"records x {STUDY_EPOCHS} epochs, one worker",
        )
