"""What a device can do, and how much memory a trial took on it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import psutil
import torch

from search.machine import MEMORY_SHARE_VARIABLE

Precision = Literal["fp32", "bf16"]

# What torch, cuDNN, cuBLAS and the driver say, in parts that have stayed the same over versions.
NO_MEMORY = (
    "can't allocate memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "ALLOCATION_FAILED",  # cuDNN 9: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED and others
)
UNSUPPORTED = (
    "unable to find an engine",
    "Unable to find a valid cuDNN algorithm",
    "NOT_SUPPORTED",
)
BROKEN = ("CUDA error", "CUDA driver error", "cuDNN error", "CUDNN_STATUS_", "CUBLAS_STATUS_")

# Settings of oneDNN that let it use instructions for bf16; a lower one makes it emulate them.
ISAS_WITH_BF16 = ("BF16", "FP16", "AMX", "AVX10", "DEFAULT")


def fast_precision(device: torch.device) -> Precision:
    """Return the precision in which a device trains fastest.

    That is bf16 on GPUs that have it and on CPUs with AMX or AVX-512 instructions for it (1.2 to
    2.8 times faster there), as far as the environment lets oneDNN use them; other devices emulate
    it several times slower than fp32.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "DEFAULT"))
    allowed = any(name in limit.upper() for name in ISAS_WITH_BF16)
    return "bf16" if allowed and (able.get("amx_bf16") or able.get("avx512_bf16")) else "fp32"


def resolve_precision(device: torch.device, precision: str) -> Precision:
    """Return a recipe's precision, where "auto" is the device's fastest."""
    if precision == "auto":
        return fast_precision(device)
    return "bf16" if precision == "bf16" else "fp32"


@contextmanager
def reproducible(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch and ask for deterministic convolutions; put everything back afterwards."""
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        # Without TF32, so that fp32 means the same everywhere; where speed counts it is bf16.
        torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ),
    ):
        torch.manual_seed(seed)
        yield


def synchronize(device: torch.device) -> None:
    """Wait for the device, so that a clock read next is honest."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Unsupported(RuntimeError):
    """The device has no way to compute a layer of this network, however small the batch."""

    @classmethod
    def of(cls, device: torch.device, records: int, error: Exception) -> Unsupported:
        """Say what cuDNN has no algorithm for, with how many records at once."""
        return cls(
            f"Expected a network that {device} can compute, got one with a layer that cuDNN has "
            f"no algorithm for, also with {records} records at once: {error}"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that the device's memory was not enough."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _says(error, NO_MEMORY)


def is_unsupported(error: BaseException) -> bool:
    """Tell whether cuDNN found no way to compute a layer; often for want of memory to work in."""
    return _says(error, UNSUPPORTED) and not is_out_of_memory(error)


def is_broken(error: BaseException) -> bool:
    """Tell whether an error means that this process can use its GPU no more."""
    said = isinstance(error, torch.AcceleratorError) or _says(error, BROKEN)
    return said and not is_out_of_memory(error) and not is_unsupported(error)


def _says(error: BaseException, parts: tuple[str, ...]) -> bool:
    return isinstance(error, RuntimeError) and any(part in str(error) for part in parts)


def memory_share() -> float:
    """Return the share of a GPU's memory that this process may take, as its launcher said."""
    return float(os.environ.get(MEMORY_SHARE_VARIABLE, 1))


def bound_memory(device: torch.device) -> None:
    """Keep this process to its share of the GPU: it then fails alone, not its neighbours."""
    if device.type == "cuda" and memory_share() < 1:
        torch.cuda.set_per_process_memory_fraction(memory_share(), device)


def total_memory_bytes(device: torch.device) -> int:
    """Return all memory of the device that this process may take, whoever holds it now."""
    if device.type == "cuda":
        return int(memory_share() * torch.cuda.mem_get_info(device)[1])
    return int(psutil.virtual_memory().total)


def free_memory_bytes(device: torch.device) -> int:
    """Return the memory that new tensors can have, torch's own reserve included."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        used = torch.cuda.memory_allocated(device)
        reserve = torch.cuda.memory_reserved(device) - used
        return min(free + reserve, total_memory_bytes(device) - used)
    return int(psutil.virtual_memory().available)


def is_shared(device: torch.device) -> bool:
    """Say whether others may hold memory of the device for a while that a trial counts on."""
    return device.type == "cuda"


def release_memory(device: torch.device) -> None:
    """Give memory that torch keeps in reserve back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring the peak anew; on CPUs other than Linux the peak is the process's."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory in use since the reset: tensors on CUDA, the whole process on CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return 1024 * int(found[1])
    import resource  # not on Windows
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
