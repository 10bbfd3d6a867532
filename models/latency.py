"""Measured latency: what FLOPs do not tell."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.errors import ModelError
from models.shape import DEFAULT


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one forward pass: the median and the middle 80 % of `repeats` passes."""

    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int
    batch: int
    device: str
    threads: int


def measure_latency(
    network: nn.Module,
    *,
    samples: int = DEFAULT.samples,
    leads: int = DEFAULT.leads,
    batch: int = 1,
    device: str = "cpu",
    threads: int = 1,
    repeats: int = 50,
    warm_up: int = 5,
) -> Latency:
    """Time forward passes of a network (fold its batch norms first, as deployed networks have).

    On CPU with `threads` threads, restored afterwards; on CUDA each pass is synchronised. The
    network comes back on the device and in the mode it had.
    """
    if batch < 1 or repeats < 1 or threads < 1:
        raise ModelError(
            f"expected at least one record, repeat and thread, got {batch}, {repeats}, {threads}"
        )
    home = next(network.parameters()).device
    training, before = network.training, torch.get_num_threads()
    target = torch.device(device)
    x = torch.randn(batch, leads, samples, device=target)
    times = []
    try:
        torch.set_num_threads(threads)
        network.to(target).eval()
        with torch.inference_mode():
            for _ in range(warm_up + repeats):
                start = time.perf_counter()
                network(x)
                if target.type == "cuda":
                    torch.cuda.synchronize(target)
                times.append(1e3 * (time.perf_counter() - start))
    finally:
        torch.set_num_threads(before)
        network.to(home).train(training)
    low, median, high = np.quantile(times[warm_up:], (0.1, 0.5, 0.9))
    label = device_label(device, threads)
    return Latency(float(median), float(low), float(high), repeats, batch, label, threads)


def device_label(device: str, threads: int) -> str:
    """Name what a latency was measured on: the card, or the processor and its threads."""
    target = torch.device(device)
    if target.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(target)}"
    return f"cpu {_processor()}, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    """Name the processor; Linux tells it in /proc only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
