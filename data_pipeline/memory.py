"""Whether a record fits into memory, asked before it is read."""

from __future__ import annotations

from pathlib import Path

from data_pipeline.filters import LOWEST_RATE_HZ
from data_pipeline.headers import Header
from data_pipeline.preprocessing import Rejected

_SMALL = 2**28
"""Bytes that nobody asks about."""
_LEADS, _FLOAT = 12, 8
_COPIES = 4
"""Arrays of a record's size that exist at once, before and after resampling."""


def require_memory(header: Header, target_hz: int) -> None:
    """Exclude a record that would need more memory than is free.

    Raises:
        Rejected: it does; without this, the kernel would kill the process.
    """
    per_frame = max((line.samples_per_frame for line in header.signals), default=1)
    samples = (header.samples or 0) * per_frame
    rate = max(header.sample_rate_hz * per_frame, LOWEST_RATE_HZ)
    wanted = _COPIES * _LEADS * _FLOAT * samples * (1 + target_hz / rate)
    if wanted > _SMALL and wanted > (free := free_bytes()):
        raise Rejected("no memory", f"needs {wanted / 2**30:.1f} GiB, {free / 2**30:.1f} are free")


def free_bytes() -> float:
    """Return the memory that is free on this machine or in this container."""
    limits = [float("inf")]
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        limits += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
        used = int(Path("/sys/fs/cgroup/memory.current").read_text("ascii"))
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")) - used)
    except (OSError, ValueError):
        pass  # no such limit here
    return max(min(limits), 0.0)
