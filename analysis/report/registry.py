"""The questions of the report, in the order of its chapters: a new one is one line here."""

from __future__ import annotations

from analysis.questions.budgets import section as budgets
from analysis.questions.confirmation import section as confirmation
from analysis.questions.context import Question
from analysis.questions.distributions import section as distributions
from analysis.questions.effects import section as effects
from analysis.questions.fronts import section as fronts
from analysis.questions.importance import section as importance
from analysis.questions.laws import section as laws
from analysis.questions.power import section as power
from analysis.questions.trust import section as trust
from analysis.questions.trust import training

QUESTIONS = (
    Question("budgets", budgets.section, fronts.best_network),
    Question("fronts", fronts.section, fronts.finding),
    Question("confirmation", confirmation.section, confirmation.finding),
    Question("effects", effects.section, effects.finding),
    Question("laws", laws.section, laws.finding),
    Question("importance", importance.section),
    Question("power", power.section),
    Question("distributions", distributions.section),
    Question("trust", trust.section, without_networks=True),
    Question("training", training.section, without_networks=True),
)
