"""Options of a worker that every command which places workers takes, too."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Keep(StrEnum):
    """Which networks stay on the disk."""

    all = "all"
    best = "best"


class LogFormat(StrEnum):
    """How workers say what happens."""

    text = "text"
    json = "json"


# As in search.trials.queue.Limits, which takes a second to import.
LEASE_SECONDS, PATIENCE_SECONDS = 180.0, 600.0
A_WEEK = 604_800


PerGpuOption = Annotated[
    str,
    typer.Option(
        help="Workers that share one GPU; auto: as many as its memory and the cores take, at most "
        "six. An instance of a divided GPU (MIG) takes one.",
        metavar="N|auto",
    ),
]
MOST_PER_GPU = 100


def read_per_gpu(text: str) -> int | None:
    """Read --per-gpu; None is auto."""
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= MOST_PER_GPU:
        raise typer.BadParameter(
            f"expected auto or a whole number from 1 to {MOST_PER_GPU}, got {text[:40]!r}",
            param_hint="'--per-gpu'",
        )
    return int(text)


@dataclass(frozen=True, slots=True)
class WorkerArguments:
    """What the user gave; `options` is how a worker is told."""

    weights: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Folder for trained networks, which workers may share: for `predict`, `evaluate` "
            "and `export`. Default: none is kept; by `run`: OUT/networks.",
            show_default=False,
        ),
    ] = None
    keep: Annotated[
        Keep | None,
        typer.Option(
            help="all (the default; of `run`: best), or best: of each usual budget (10M, 30M, "
            "100M, 300M, 1G FLOPs and the study's upper end) the one with the best validation "
            "score, and of each searched network that is confirmed the best seed. The files of "
            "others are removed.",
            show_default=False,
        ),
    ] = None
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="NETWORK",
            help="Where the network of the recipe's `init` lies, if not where the study was "
            "created; it has to have the same content.",
            show_default=False,
        ),
    ] = None
    emulate: Annotated[
        bool,
        typer.Option(
            "--emulate",
            help="Train in the study's precision also where the device only emulates it, many "
            "times slower.",
        ),
    ] = False
    trial_seconds: Annotated[
        float | None,
        typer.Option(
            min=1, max=A_WEEK, help="A trial that takes longer fails, also one that hangs."
        ),
    ] = None
    lease_seconds: Annotated[
        float,
        typer.Option(
            min=10,
            max=A_WEEK,
            help="Seconds without a heartbeat after which other workers take the trial over.",
        ),
    ] = LEASE_SECONDS
    patience_seconds: Annotated[
        float,
        typer.Option(
            min=10,
            max=A_WEEK,
            help="Seconds that one step may take (the first one three times as long); then the "
            "worker counts as hung, its trial goes to another, and its process ends with 75.",
        ),
    ] = PATIENCE_SECONDS
    log: Annotated[
        LogFormat, typer.Option(help="Sentences, or one JSON line per event (times in UTC).")
    ] = LogFormat.text

    def require_folder(self) -> None:
        """Refuse a choice of networks to keep without a place for them."""
        from search.errors import StudyError

        if self.keep is not None and self.weights is None:
            raise StudyError(
                f"expected --weights with a folder beside --keep {self.keep.value}, got none: give "
                "one"
            )

    def options(self, *, absolute: bool = False) -> tuple[str, ...]:
        """Return what differs from a worker's own choice, as options of `ecgscale worker`."""
        self.require_folder()
        given = {"weights": self.weights, "init": self.init}
        own = {"lease": LEASE_SECONDS, "patience": PATIENCE_SECONDS, "trial": None}
        asked = {name: getattr(self, f"{name}_seconds") for name in own}
        paths = {name: path for name, path in given.items() if path is not None}
        return (
            *(f"--{name}={path.resolve() if absolute else path}" for name, path in paths.items()),
            *((f"--keep={self.keep.value}",) if self.keep else ()),
            *(f"--{name}-seconds={asked[name]:g}" for name in own if asked[name] != own[name]),
            *(("--emulate",) if self.emulate else ()),
            *((f"--log={self.log.value}",) if self.log is not LogFormat.text else ()),
        )
