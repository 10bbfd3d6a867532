"""Which trained networks stay on a disk: all, or the best of each budget; and what that takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import text

from models.standalone import module_name
from search.confirm import budgets_within, read_confirmations
from search.study import Study

Keep = Literal["all", "best"]
BYTES_PER_PARAMETER = 4.1  # fp32, and the running statistics of the normalisation
BYTES_PER_FILE = 60_000  # architecture and card, the card to read, the code beside them

TRIALS = """
SELECT t.number, v.value,
    max(a.value_json) FILTER (WHERE a.key = 'role') AS role,
    max(a.value_json) FILTER (WHERE a.key = 'flops')::float8 AS flops,
    coalesce(max(a.value_json) FILTER (WHERE a.key = 'params')::float8, 0) AS params,
    max(a.value_json) FILTER (WHERE a.key = 'architecture_hash') AS hash,
    max(a.value_json) FILTER (WHERE a.key = 'recipe') AS recipe
FROM trials t JOIN trial_user_attributes a USING (trial_id)
LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0
    AND t.state::text = 'COMPLETE'
WHERE t.study_id = :study AND t.state::text <> 'FAIL'
    AND a.key IN ('role', 'flops', 'params', 'architecture_hash', 'recipe')
GROUP BY t.number, v.value ORDER BY t.number
"""


@dataclass(frozen=True, slots=True)
class Keepable:
    """A trial whose network may be kept; `score` is None until it is complete.

    It is kept if it is the best of any of its groups: of a budget that it meets, or, confirmed, of
    its network at its learning rate.
    """

    number: int
    score: float | None
    bytes: float
    groups: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class KeptNetworks:
    """The networks of a study in a folder that all its workers may share.

    "best" keeps the network with the best validation score of each usual budget, and of each
    searched network that is confirmed the best seed; the files of others are removed.
    """

    folder: Path
    keep: Keep
    study: Study

    def path(self, number: int) -> Path:
        """Name the file of a trial's network."""
        return self.folder / self.study.folder / f"{number}.safetensors"

    def wants(self, number: int, score: float) -> bool:
        """Tell whether a trial that ends with this score is to be kept."""
        if self.keep == "all":
            return True
        known = self._trials()
        now = [
            Keepable(number, score, one.bytes, one.groups) if one.number == number else one
            for one in known
        ]
        return number in best_numbers(now)

    def prune(self) -> None:
        """Remove the files of complete trials that others have beaten."""
        if self.keep == "all":
            return
        known = self._trials()
        best = best_numbers(known)
        for one in known:
            if one.score is not None and one.number not in best:
                for path in companions(self.path(one.number)):
                    with suppress(OSError):  # a disk that does not let us costs no trial
                        path.unlink(missing_ok=True)

    def kept(self) -> list[Path]:
        """List the files of the best trials, by number."""
        there = map(self.path, sorted(best_numbers(self._trials())))
        return [path for path in there if path.is_file()]

    def expected(self) -> tuple[int, float]:
        """Return how many networks there can be at most at the end, and their bytes."""
        known = self._trials()
        if self.keep == "all":
            return len(known), sum(one.bytes for one in known)
        largest: dict[Hashable, float] = {}
        for one in known:
            for group in one.groups:
                largest[group] = max(largest.get(group, 0.0), one.bytes)
        return len(largest), sum(largest.values())

    def describe(self) -> str:
        """Say in a sentence what will be kept where, and warn where the disk is too small."""
        count, needed = self.expected()
        there = next(
            path for path in (self.folder, *self.folder.resolve().parents) if path.exists()
        )
        free = shutil.disk_usage(there).free
        have = sum(path.stat().st_size for path in self._files())
        few = "" if needed - have < free else "; that is not enough: make room, or keep the best"
        which = "every network" if self.keep == "all" else "the best networks of each budget"
        return (
            f"{which} in {self.folder / self.study.folder}: at most {count}, about "
            f"{_size(needed)}; {_size(free)} are free{few}"
        )

    def _files(self) -> Iterator[Path]:
        return (self.folder / self.study.folder).glob("*")

    def _trials(self) -> list[Keepable]:
        """Read the study's trials that may be kept: all but controls and failed ones."""
        study = self.study
        with study.storage.connect() as connection:
            rows = connection.execute(text(TRIALS), {"study": study.study_id}).all()
        low, high = study.definition.sample.flops
        budgets = sorted({*budgets_within((low, high)), high})
        searched = {
            entry.architecture_hash
            for round_ in (read_confirmations(study) if self.keep == "best" else ())
            for entry in round_.entries
            if entry.group != "reference"
        }
        found = []
        for row in rows:
            role, hash_ = json.loads(row.role), json.loads(row.hash)
            groups: tuple[Hashable, ...] = tuple(b for b in budgets if row.flops <= b)
            groups = groups or ("above",)
            if role == "confirm":
                groups = ((hash_, row.recipe),) if hash_ in searched else ()
            if role != "control":
                size = row.params * BYTES_PER_PARAMETER + BYTES_PER_FILE
                found.append(Keepable(row.number, row.value, size, groups))
        return found


def best_numbers(trials: Iterable[Keepable]) -> set[int]:
    """Return the trials that are the best complete ones of a group, the first of equal ones."""
    best: dict[Hashable, Keepable] = {}
    for one in sorted(trials, key=lambda trial: trial.number):
        if one.score is None:
            continue
        for group in one.groups:
            rival = best.get(group)
            if rival is None or rival.score is None or one.score > rival.score:
                best[group] = one
    return {one.number for one in best.values()}


def companions(path: Path) -> tuple[Path, ...]:
    """Return the files of one kept network: itself, its card and its code."""
    return path, path.with_suffix(".md"), path.with_name(f"{module_name(path)}.py")


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
