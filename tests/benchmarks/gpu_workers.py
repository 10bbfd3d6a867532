"""Processes that share one device: a part of train_gpu.py, and what each of them does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from gpu_parts import Steps, cases, records_on, size
from train_networks import network_of

from models import Architecture
from search.training import device as devices
from search.training.graph import StepGraph

if TYPE_CHECKING:
    from train_gpu import Bench


def workers(bench: Bench) -> None:
    """Measure processes that share the device, with and without MPS and recorded steps."""
    recorded = [False, True] if bench.device.type == "cuda" else [False]
    for under_mps in [False, True] if bench.mps else [False]:
        with ExitStack() as stack:
            own = stack.enter_context(_mps()) if under_mps else {}
            for grouping, architecture in cases(bench):
                for graph in recorded:
                    rates = {
                        str(count): _together(bench, grouping, architecture, count, own, graph)
                        for count in bench.processes
                    }
                    bench.row(
                        grouping=grouping,
                        **size(architecture),
                        mps=under_mps,
                        graph=graph,
                        records_per_second=rates,
                    )


def _together(
    bench: Bench,
    grouping: str,
    architecture: Architecture,
    count: int,
    environment: dict[str, str],
    graph: bool,
) -> float:
    """Return the summed records/s of `count` processes; all begin when the last is ready."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(bench.device), grouping, str(architecture.cost().flops / 1e6)]
        arguments += [str(bench.batch[0]), str(bench.seconds), folder, str(count)]
        command = [sys.executable, __file__, *arguments, str(int(graph)), str(int(bench.dry))]
        running = [
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | environment | {"OMP_NUM_THREADS": "1"},
            )
            for _ in range(count)
        ]
        outputs = [process.communicate(timeout=300)[0] for process in running]
    return sum(float(output.splitlines()[-1]) for output in outputs)


def _one_of_many() -> None:
    """Be one of the processes: get ready, wait for the others, measure."""
    device, grouping, mflop, batch, seconds, folder, others, graph, dry = sys.argv[1:]
    here = torch.device(device)
    architecture = network_of(float(mflop), grouping)
    with devices.reproducible(0, here):
        recording = StepGraph() if graph == "1" else None
        records = records_on(here, 8192, dry == "1")
        taken = Steps(architecture, records, int(batch), graph=recording)
        taken.take(6)
        devices.synchronize(here)
        Path(folder, str(os.getpid())).touch()
        while len(list(Path(folder).iterdir())) < int(others):
            time.sleep(0.01)
        print(taken.measure(float(seconds))["records_per_second"])


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


if __name__ == "__main__":
    _one_of_many()
