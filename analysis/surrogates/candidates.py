"""Models that may stand in for training: each fits, predicts and explains itself exactly."""

from __future__ import annotations

from analysis.surrogates.candidate import Candidate, Fitted, explain
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.trees import FEWER, Trees

__all__ = ["CANDIDATES", "Candidate", "Fitted", "QuadraticRidge", "Trees", "explain"]

CANDIDATES: tuple[Candidate, ...] = (
    QuadraticRidge(),
    Trees("gradient boosting"),
    Trees("extra trees", FEWER),  # TreeSHAP is slow on whole forests
    Trees("random forest", FEWER),
)
