"""Workers on Slurm: one array job from a script that survives preemption."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from search.database.storage import VARIABLE, Storage
from search.definition import require_name
from search.errors import StudyError

OPTION = re.compile(r"--[a-z][a-z-]*(=\S.*)?")

FORMS = (("memory", r"\d+[KMGT]?", "16G"), ("time", r"\d+([:-]\d+){0,3}", "1-0 or 12:00:00"))


@dataclass(frozen=True, slots=True)
class Resources:
    """What each worker is given; `time` is Slurm's, as in 1-0 for a day."""

    gpus: int = 1
    cpus: int = 4
    memory: str = "16G"
    time: str = "1-0"

    def options(self) -> tuple[str, ...]:
        """Return sbatch's options."""
        for name, form, example in FORMS:
            if not re.fullmatch(form, getattr(self, name)):
                raise StudyError(
                    f"expected --{name} as Slurm writes it, such as {example}, got "
                    f"{getattr(self, name)!r}: change it"
                )
        gpus = (f"--gres=gpu:{self.gpus}",) if self.gpus else ()
        return (
            *gpus,
            f"--cpus-per-task={self.cpus}",
            f"--mem={self.memory}",
            f"--time={self.time}",
        )


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """An array of workers; `options` are sbatch's own, such as "--partition=gpu"."""

    study: str
    workers: int
    command: tuple[str, ...]
    logs: Path
    options: tuple[str, ...] = Resources().options()
    notice_seconds: int = 120

    def script(self) -> str:
        """Return the batch script."""
        require_name(self.study)
        if self.workers < 1:
            raise StudyError(f"expected at least one worker, got {self.workers}")
        for option in self.options:
            if not OPTION.fullmatch(option):
                raise StudyError(
                    f"expected an option of sbatch such as --partition=gpu, got {option!r}"
                )
        if re.search(r"\s|%", str(self.logs)):
            raise StudyError(f"expected a log folder without spaces or '%', got {self.logs}")
        template = Template(files("search.launchers").joinpath("slurm.sh").read_text())
        return template.substitute(
            name=job_name(self.study),
            array=f"0-{self.workers - 1}",
            notice=self.notice_seconds,
            logs=self.logs,
            options="\n".join(f"#SBATCH {option}" for option in self.options),
            command=shlex.join(self.command),
        )


def require_shared(storage: Storage) -> None:
    """Refuse an embedded database: the nodes cannot reach it."""
    if storage.server is not None:
        raise StudyError(
            f"expected a database that other machines reach, got {storage.label}: "
            "give a server's URL with --storage"
        )


def submit(script: Path, where: str | None = None) -> str:
    """Hand a script to Slurm and return the id of the array job.

    The workers take the storage, `where` or else $ECGSCALE_STORAGE, and the place of a password
    file from the environment, never from the command line.
    """
    environment = {**os.environ, VARIABLE: where} if where else None
    command = ["sbatch", "--parsable", "--export=ALL", str(script)]
    return _slurm(command, environment=environment).strip().partition(";")[0]


def job_states(job: str) -> dict[str, int]:
    """Count the elements of an array by state; an ended job has none."""
    said = _slurm(["squeue", "--noheader", "--array", "--format=%T", f"--jobs={job}"], missing="")
    states = said.split()
    return {state: states.count(state) for state in sorted(set(states))}


def study_jobs(study: str) -> dict[str, dict[str, int]]:
    """Find one's own array jobs of a study: id to number of elements by state.

    A state that Slurm explains comes with its reason, as in "PENDING (Priority)".
    """
    name = f"--name={job_name(study)}"
    said = _slurm(["squeue", "--noheader", "--array", "--me", "--format=%F|%T|%r", name])
    jobs: dict[str, dict[str, int]] = {}
    for line in said.splitlines():
        job, state, reason = line.strip().split("|", 2)
        known = jobs.setdefault(job, {})
        explained = state if reason == "None" else f"{state} ({reason})"
        known[explained] = known.get(explained, 0) + 1
    return jobs


def job_name(study: str) -> str:
    """Return the name under which a study's jobs run."""
    return f"ecgscale-{study}"


def cancel(job: str) -> None:
    """End all elements; their trials are handed back."""
    _slurm(["scancel", job])


def _slurm(
    command: Sequence[str],
    missing: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    if shutil.which(command[0]) is None:
        raise StudyError(
            f"expected Slurm's {command[0]} on this machine, got none: run this on a login node"
        )
    done = subprocess.run(
        list(command), env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        if missing is not None and "Invalid job id" in done.stderr:
            return missing
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}, no message"]
        raise StudyError(f"{command[0]} refused: {lines[-1]}")
    return done.stdout
