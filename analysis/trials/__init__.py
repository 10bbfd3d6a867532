"""What was measured: one row per trial, with what is needed to read it."""

from analysis.trials.factors import FactorInfo, Level
from analysis.trials.table import SEARCHED, StudyFacts, TrialTable, from_frame, from_optuna

__all__ = [
    "SEARCHED",
    "FactorInfo",
    "Level",
    "StudyFacts",
    "TrialTable",
    "from_frame",
    "from_optuna",
]
