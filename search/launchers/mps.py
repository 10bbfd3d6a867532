"""NVIDIA's multi-process service: kernels of several workers run on a GPU at the same time.

Without it their kernels take turns. The service is started for the time of a launch where it is
installed and nobody else runs it; docs.nvidia.com/deploy/mps.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
USUAL_PIPES = Path("/tmp/nvidia-mps")
SECONDS = 60.0


@contextmanager
def shared_gpus(wanted: bool, say: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Run the service while workers share a GPU; yield the variables that they need for it.

    Where it cannot be run workers do without. It ends with the block, whatever ends that.
    """
    running = "CUDA_MPS_PIPE_DIRECTORY" in os.environ or (USUAL_PIPES / "control").exists()
    if not wanted or running or shutil.which(CONTROL) is None:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="ecgscale-mps-") as folder:
        pipes, logs = Path(folder) / "pipes", Path(folder) / "logs"
        pipes.mkdir()
        logs.mkdir()
        places = {"CUDA_MPS_PIPE_DIRECTORY": str(pipes), "CUDA_MPS_LOG_DIRECTORY": str(logs)}
        problem = _control(["-d"], places)
        if problem:
            say(f"workers share GPUs without NVIDIA's MPS, which does not start: {problem}")
            yield {}
            return
        try:
            yield places
        finally:
            problem = _control([], places, "quit\n")
            if problem:
                say(f"NVIDIA's MPS does not end: {problem}; end it with 'echo quit | {CONTROL}'")


def _control(options: list[str], places: dict[str, str], order: str = "") -> str:
    """Give the service's control an order; return what went wrong, if anything did."""
    try:
        subprocess.run(
            [CONTROL, *options],
            env={**os.environ, **places},
            input=order,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        return (error.stderr or error.stdout or f"exit code {error.returncode}").strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ""
