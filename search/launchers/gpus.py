"""The GPUs of this machine, as nvidia-smi tells of them, and how many workers each can take."""

from __future__ import annotations

import csv
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# What CUDA and cuDNN take of a GPU's memory before the first tensor, per process.
CONTEXT_BYTES = 600 * 2**20
MOST_PER_GPU = 6  # beyond, launching kernels is no longer what limits
ROOM = 0.95  # of the memory is planned with
QUERY = ("uuid", "pci.bus_id", "memory.free", "memory.total")
DEVICES = Path("/sys/bus/pci/devices")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or an instance of one that is divided (MIG).

    name: as CUDA_VISIBLE_DEVICES takes it. cores: those next to it, none where unknown.
    free_bytes and total_bytes: of memory, 0 where unknown.
    """

    name: str
    free_bytes: int = 0
    total_bytes: int = 0
    cores: tuple[int, ...] = ()
    is_instance: bool = False

    def share(self, workers: int) -> float | None:
        """Return what each of some workers may take for tensors, as a share of the memory."""
        if workers == 1:
            return None
        context = CONTEXT_BYTES / self.total_bytes if self.total_bytes else 1 - ROOM
        return max(1 / workers - context, 0.01)


def visible_gpus() -> list[Gpu]:
    """List what this process may use; without nvidia-smi only their names are known."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    allowed = None if given is None else [one.strip() for one in given.split(",") if one.strip()]
    count = torch.cuda.device_count()
    if count == 0:
        return []
    listed = _ask("-L")
    if listed is None:
        return [Gpu(name) for name in (allowed or map(str, range(count)))][:count]
    facts, found = _facts(), list[Gpu]()
    for number, (uuid, instances) in enumerate(parse_list(listed)):
        whole = facts.get(uuid, Gpu(uuid))
        parts = [Gpu(name, cores=whole.cores, is_instance=True) for name in instances]
        for gpu in parts or [whole]:
            if allowed is None or any(_names(gpu.name, number, one) for one in allowed):
                found.append(gpu)
    return found


def parse_list(text: str) -> list[tuple[str, list[str]]]:
    """Read `nvidia-smi -L`: the UUID of each GPU and those of its MIG instances."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        match = re.search(r"\(UUID: (?P<uuid>[^)]+)\)", line)
        if match is None:
            continue
        if line.lstrip().startswith("MIG"):
            found[-1][1].append(match["uuid"])
        else:
            found.append((match["uuid"], []))
    return found


def workers_per_gpu(gpus: Sequence[Gpu], worker_bytes: int, cores: int) -> int:
    """Return how many workers of a size every GPU takes, at least one; an instance takes one."""
    if not gpus or any(gpu.is_instance for gpu in gpus):
        return 1
    each = CONTEXT_BYTES + worker_bytes
    by_memory = min(int(ROOM * gpu.free_bytes / each) for gpu in gpus)
    return max(1, min(by_memory, MOST_PER_GPU, cores // len(gpus)))


def _facts() -> dict[str, Gpu]:
    """Ask for memory and place of every GPU, by UUID."""
    text = _ask(f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits")
    found: dict[str, Gpu] = {}
    for row in csv.reader((text or "").splitlines(), skipinitialspace=True):
        if len(row) == len(QUERY):
            uuid, place, free, total = row
            found[uuid] = Gpu(uuid, _mebibytes(free), _mebibytes(total), local_cores(place))
    return found


def local_cores(bus_id: str) -> tuple[int, ...]:
    """Return the cores next to a PCI device such as 00000000:3B:00.0; none where unknown."""
    domain, _, rest = bus_id.lower().partition(":")
    try:
        text = (DEVICES / f"{domain[-4:]}:{rest}" / "local_cpulist").read_text().strip()
    except OSError:
        return ()
    cores: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return tuple(cores)


def _mebibytes(text: str) -> int:
    return int(text) * 2**20 if text.isdigit() else 0  # "[N/A]"


def _names(name: str, number: int, given: str) -> bool:
    """Tell whether an entry of CUDA_VISIBLE_DEVICES, a number or the start of a UUID, means it."""
    return given == str(number) or (not given.isdigit() and name.startswith(given))


def _ask(*arguments: str) -> str | None:
    """Run nvidia-smi; None where there is none, or where it fails."""
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
