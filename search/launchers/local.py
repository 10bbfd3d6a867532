"""Workers on this machine: one process per slot of a GPU, or per core; replaced when they die."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from models.memory import training_memory
from search.database.storage import Storage, Unreachable
from search.errors import StudyError
from search.launchers.gpus import Gpu
from search.launchers.mps import shared_gpus
from search.launchers.secret import worker_environment
from search.machine import MEMORY_SHARE_VARIABLE, PARENT_VARIABLE, stopping_signals
from search.reading.status import StudyStatus, read_status
from search.study import Study
from search.trials.stored import planned_trials
from search.worker import INTERRUPTED

CONFIGURATION_ERROR = 2
QUICK_DEATH_SECONDS = 30.0
QUICK_DEATHS = 5
SECONDS_TO_STOP = 60.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one worker: its GPU (None on the processor), its share of that, its cores."""

    number: int
    gpu: str | None
    cores: tuple[int, ...]
    pinned: bool
    memory_share: float | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables that keep a worker to its place."""
        threads = str(len(self.cores))
        values = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if self.memory_share is not None:
            values[MEMORY_SHARE_VARIABLE] = f"{self.memory_share:.4f}"
        return values | {"CUDA_VISIBLE_DEVICES": self.gpu or ""}


def plan_slots(
    *,
    gpus: Sequence[Gpu] = (),
    per_gpu: int = 1,
    workers: int | None = None,
    cores: Sequence[int] | None = None,
) -> tuple[Slot, ...]:
    """Share GPUs and cores out: `per_gpu` workers on each GPU, else one worker per core.

    An instance of a divided GPU takes one worker. Fewer `workers` than that are spread over the
    GPUs; more are an error. Each gets an equal run of cores of its own, next to its GPU where that
    is known; where there are fewer cores than workers, one thread each and no pinning.
    """
    if per_gpu < 1 or (workers is not None and workers < 1):
        raise StudyError("expected at least one worker per GPU and in all, got less: raise it")
    have = list(cores if cores is not None else available_cores())
    places: list[Gpu | None] = [
        gpu for turn in range(per_gpu) for gpu in gpus if turn == 0 or not gpu.is_instance
    ]
    if workers is not None and places and workers > len(places):
        raise StudyError(
            f"expected at most {len(places)} workers, {per_gpu} on each GPU, got {workers}: give "
            "a larger --per-gpu"
        )
    if not places:
        places = [None] * (workers or len(have))
    elif workers is not None:
        places = places[:workers]
    near = _cores_near(places, have)
    return tuple(
        Slot(
            number,
            None if gpu is None else gpu.name,
            near[number] or (have[number % len(have)],),
            pinned=bool(near[number]),
            memory_share=None if gpu is None else gpu.share(places.count(gpu)),
        )
        for number, gpu in enumerate(places)
    )


def _cores_near(places: Sequence[Gpu | None], have: Sequence[int]) -> list[tuple[int, ...]]:
    """Divide the cores that are next to the same GPUs among their workers; none if too few."""
    sets = [tuple(core for core in have if gpu and core in gpu.cores) for gpu in places]
    overlap = any(set(a) & set(b) for a in sets for b in sets if a != b)
    if overlap or not all(sets):  # somebody could be anywhere
        sets = [tuple(have)] * len(places)
    shares: list[tuple[int, ...]] = []
    for number, cores in enumerate(sets):
        share = len(cores) // sets.count(cores)
        place = sets[:number].count(cores)
        shares.append(cores[place * share : (place + 1) * share])
    return shares


def worker_bytes(study: Study) -> int:
    """Estimate what a worker takes of a GPU: all records, and a step of the largest network."""
    from search.training.train import MEMORY_SLACK

    shape = study.shape
    records: int = sum(study.data["splits"].values())
    with study.storage.connect() as connection:
        trials = planned_trials(connection, study.study_id)
    networks = {trial.architecture.hash: trial.architecture for trial in trials}
    steps = (
        training_memory(network, batch=study.definition.recipe.batch_size, **shape).peak_bytes
        for network in networks.values()
    )
    return records * shape.leads * shape.samples * 2 + int(MEMORY_SLACK * max(steps))


def available_cores() -> list[int]:
    """List the cores this process may use."""
    with suppress(AttributeError):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def worker_command(
    study: str, data: Path, checkpoints: Path | None, *, more: Sequence[str] = ()
) -> list[str]:
    """Build the command of one worker; the storage goes by environment, never by command line.

    `more` are further options of `ecgscale worker`.
    """
    command = [sys.executable, "-u", "-m", "ecgscale", "worker", study, "--data", str(data)]
    return [*command, *(["--checkpoints", str(checkpoints)] if checkpoints else []), *more]


def launch_local(
    study: str,
    storage: Storage,
    command: Sequence[str],
    slots: Sequence[Slot],
    *,
    logs: Path,
    on_status: Callable[[StudyStatus], None] | None = None,
    every_seconds: float = 10.0,
    say: Callable[[str], None] = print,
) -> int:
    """Keep one worker per slot until the study is done; return 0, or 75 when told to stop.

    Raises StudyError when a worker says that something is set up wrongly, or dies at once again
    and again.
    """
    logs.mkdir(parents=True, exist_ok=True)

    def look() -> StudyStatus:
        return read_status(study, storage)

    sharing = any(slot.memory_share is not None for slot in slots)
    with (
        stopping_signals() as stop,
        worker_environment(storage) as environment,
        shared_gpus(sharing, say) as service,
    ):
        crew = [Place(slot, command, {**environment, **service}, logs) for slot in slots]
        try:
            for place in crew:
                place.start()
            told = time.monotonic()
            while any(not place.done for place in crew):
                for place in crew:
                    place.look_after(say)
                if on_status and time.monotonic() - told >= every_seconds:
                    with suppress(Unreachable):  # told to stop while the database was away
                        on_status(storage.patiently(look, stop=stop, say=say))
                    told = time.monotonic()
                if stop.wait(0.2):
                    return INTERRUPTED
            return 0
        finally:
            for place in crew:
                place.terminate()
            deadline = time.monotonic() + SECONDS_TO_STOP
            for place in crew:
                place.wait(deadline)


@dataclass(slots=True)
class Place:
    """A slot with its worker."""

    slot: Slot
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    logs: Path
    process: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    quick_deaths: int = 0
    done: bool = False

    @property
    def log(self) -> Path:
        """What the workers of this slot say."""
        return self.logs / f"worker-{self.slot.number}.log"

    def start(self) -> None:
        """Start a worker."""
        environment: Mapping[str, str] = {
            **self.environment,
            **self.slot.environment,
            PARENT_VARIABLE: str(os.getpid()),
        }
        with self.log.open("ab") as log:
            # Its own session: Ctrl-C comes once, from us.
            self.process = subprocess.Popen(
                self.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.born = time.monotonic()
        if self.slot.pinned and hasattr(os, "sched_setaffinity"):
            with suppress(OSError):
                os.sched_setaffinity(self.process.pid, self.slot.cores)

    def look_after(self, say: Callable[[str], None]) -> None:
        """Replace a worker that died; give up on one that cannot work."""
        code = None if self.done or self.process is None else self.process.poll()
        if code is None:
            return
        if code == 0:
            self.done = True
            return
        if code == CONFIGURATION_ERROR:
            raise StudyError(f"worker {self.slot.number} could not start: {self._last_words()}")
        quick = time.monotonic() - self.born < QUICK_DEATH_SECONDS
        self.quick_deaths = self.quick_deaths + 1 if quick else 0
        if self.quick_deaths >= QUICK_DEATHS:
            raise StudyError(
                f"expected workers that live, got {QUICK_DEATHS} in a row that died within "
                f"{QUICK_DEATH_SECONDS:g} s (exit code {code}): read {self.log}"
            )
        say(f"worker {self.slot.number} ended with {code}; starting another")
        self.start()

    def terminate(self) -> None:
        """Ask the worker to hand its trial back."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for the worker to end, and end it at the deadline."""
        if self.process is None:
            return
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1] if said else f"read {self.log}"
