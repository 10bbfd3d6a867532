"""What a question is, and what its answer is computed from: each thing once, when asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from analysis.errors import AnalysisError
from analysis.page.quantities import Unit, difference
from analysis.stats.refusal import Refusal
from analysis.trials.table import SEARCHED, TrialTable
from data_pipeline.labels import ABBREVIATIONS, CLASSES

if TYPE_CHECKING:
    from analysis.page.blocks import Section
    from search.cohort import Cohort, HeldOutEcgs
    from search.reading.records import Confirmed

Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a question has to say at the top of the page: a title, and plain sentences."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One chapter of the report: its blocks and, where it has one, its finding.

    `section` and `finding` take a context and ask it for the results they need.
    """

    name: str
    section: Callable[[Context], Section]
    finding: Callable[[Context], Finding] | None = None
    without_networks: bool = False  # whether it has something to say before a network is trained


@dataclass(slots=True, eq=False)
class Context:
    """A table and what goes with it, and every result that was computed from them.

    Args:
        table: The trials.
        seed: Seed of every permutation, bootstrap and posterior draw.
        bootstraps: Refits per interval of an importance.
        facts: Rows for the page's header; `synthetic` overrides what the table says.
        curves: Validation score by epoch: trial, epoch, value.
        class_scores: Scores by class: trial, class, positives, f1, auroc, auprc.
        confirmed: What was confirmed on test records.
        cohort: Who and what the study is of.
        ecgs: The test ECGs, to draw some.
        other: A study of another design space to compare with at equal FLOPs.
        progress: Called with the name of each result before it is computed.
    """

    table: TrialTable
    seed: int = 0
    bootstraps: int = 200
    facts: Mapping[str, Any] = field(default_factory=dict)
    curves: pd.DataFrame | None = None
    class_scores: pd.DataFrame | None = None
    confirmed: Confirmed | None = None
    cohort: Cohort | None = None
    ecgs: HeldOutEcgs | None = None
    other: TrialTable | None = None
    progress: Callable[[str], None] | None = None
    results: dict[Callable[[Context], Any], Any] = field(default_factory=dict)

    @property
    def designs(self) -> pd.DataFrame:
        """The randomly drawn architectures, one row each; empty before one is trained."""
        # Without a complete trial there are no columns to average either.
        return pd.DataFrame() if self.table.complete(SEARCHED).empty else self.table.designs()

    @property
    def synthetic(self) -> bool:
        """Whether the ECGs were made up."""
        return bool(self.facts.get("synthetic", self.table.study.synthetic))

    @property
    def names(self) -> Mapping[str, str]:
        """Full names of the diagnoses by abbreviation; of classes of unknown origin none."""
        if self.cohort is not None:
            return self.cohort.names
        labels = self.table.study.data.get("labels")
        if not isinstance(labels, Mapping) or not set(labels) <= set(ABBREVIATIONS):
            return {}
        return {one.abbreviation: one.name for one in CLASSES}

    @property
    def unit(self) -> Unit:
        """How differences of the objective are written."""
        return difference(self.table.objective, self.table.maximize)

    def of(self, compute: Callable[[Context], Result | Refusal]) -> Result | Refusal:
        """Return a result, computed when it is first asked for, or why there is none.

        An unforeseen error costs the page this result and no other.
        """
        if compute not in self.results:
            if self.progress is not None:
                self.progress(compute.__name__.replace("_", " "))
            self.results[compute] = self._attempt(compute)
        found: Result | Refusal = self.results[compute]
        return found

    def known(self, compute: Callable[[Context], Result | Refusal]) -> Result | None:
        """Return a result, or None where there is none."""
        found = self.of(compute)
        return None if isinstance(found, Refusal) else found

    def refusals(self) -> dict[str, Refusal]:
        """Return what was asked for and refused, by its name."""
        return {
            compute.__name__.replace("_", " "): found
            for compute, found in self.results.items()
            if isinstance(found, Refusal)
        }

    def _attempt(self, compute: Callable[[Context], Result | Refusal]) -> Result | Refusal:
        try:
            return compute(self)
        except AnalysisError as error:
            return Refusal("report.error", {"text": str(error)})
        except Exception as error:
            log.warning("'%s' failed", compute.__name__, exc_info=True)
            return Refusal("report.broken", {"kind": type(error).__name__, "text": str(error)})
