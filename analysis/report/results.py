"""All numbers of a report, computed once; a part that cannot be computed leaves its reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.errors import AnalysisError
from analysis.questions.budgets.recommend import Recommendation
from analysis.questions.confirmation.results import Comparison
from analysis.questions.distributions.curves import MatchedComparison
from analysis.questions.distributions.likely_best import LikelyBest
from analysis.questions.distributions.spaces import SpacesComparison
from analysis.questions.effects.interactions import Interactions
from analysis.questions.effects.main import Effects
from analysis.questions.fronts.pareto import EstimatedFront, Shrunken
from analysis.questions.importance.agreement import Agreement
from analysis.questions.importance.ale import Ale
from analysis.questions.importance.shap import Importance, Subset
from analysis.questions.importance.ties import Design
from analysis.questions.laws.error import ErrorLaw
from analysis.questions.laws.monotone import Monotone, Trend
from analysis.questions.laws.scaled import Scaled
from analysis.questions.laws.shape import ShapeLaw
from analysis.questions.power.needs import Power
from analysis.questions.trust.failures import Failures
from analysis.stats.noise import Noise
from analysis.surrogates.surrogate import Surrogate, Target
from analysis.trials.table import TrialTable

Floats = NDArray[np.float64]
P = ParamSpec("P")
Result = TypeVar("Result")
TARGETS: tuple[Target, ...] = ("score", "equal cost")

log = logging.getLogger(__name__)

NOT_COMPUTED = "This part could not be computed"
FRONT_COSTS = ("flops", "params", "activations", "latency_ms")


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """Hypervolume of the observed front against the number of networks trained."""

    sizes: NDArray[np.int64]
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What was computed from a table; `reasons` says for each missing part why."""

    table: TrialTable
    designs: pd.DataFrame
    seed: int
    bootstraps: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    curves: pd.DataFrame | None = None
    class_scores: pd.DataFrame | None = None
    design: Design | None = None
    failures: Failures | None = None
    noise: Noise | None = None
    effects: Effects | None = None
    interactions: Interactions | None = None
    monotone: Monotone | None = None
    trends: tuple[Trend, ...] = ()
    surrogates: Mapping[Target, Surrogate] = field(default_factory=dict)
    importances: Mapping[tuple[Target, Subset], Importance] = field(default_factory=dict)
    agreements: Mapping[Target, Agreement] = field(default_factory=dict)
    ale: tuple[Ale, ...] = ()
    error_law: ErrorLaw | None = None
    shape_laws: tuple[ShapeLaw, ...] = ()
    scaled: Mapping[float, Scaled] = field(default_factory=dict)
    power: Power | None = None
    comparisons: tuple[MatchedComparison, ...] = ()
    likely_best: tuple[LikelyBest, ...] = ()
    shrunken: Shrunken | None = None
    fronts: Mapping[tuple[str, str], EstimatedFront] = field(default_factory=dict)
    growth: Growth | None = None
    recommendations: tuple[Recommendation, ...] = ()
    rivals: Comparison | None = None
    spaces: SpacesComparison | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether the ECGs were made up."""
        return bool(self.facts.get("synthetic", self.table.study.synthetic))


class Parts:
    """Compute parts one after another and keep the reason of each that cannot be."""

    def __init__(self, progress: Callable[[str], None] | None) -> None:
        self.reasons: dict[str, str] = {}
        self._progress = progress

    def attempt(
        self, name: str, make: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result | None:
        """Return the result or None; an unforeseen error must not cost the rest of the page."""
        if self._progress is not None:
            self._progress(name)
        try:
            return make(*args, **kwargs)
        except AnalysisError as error:
            self.reasons[name] = str(error)
        except Exception as error:
            log.warning("Part '%s' of the report failed", name, exc_info=True)
            self.reasons[name] = f"{NOT_COMPUTED} ({type(error).__name__}: {error})."
        return None
