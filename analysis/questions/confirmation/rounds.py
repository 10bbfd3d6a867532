"""The rounds of a confirmation: the first one, references brought in later, another study's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.page.quantities import short
from analysis.questions.confirmation.choose import (
    RIVALS,
    Chosen,
    choose_candidates,
    choose_references,
)
from analysis.questions.estimates import estimate
from analysis.questions.laws.shape import shape_laws
from analysis.trials.find import read_table
from models import Architecture
from search.confirm import (
    Candidate,
    budgets_within,
    read_confirmations,
    require_unconfirmed,
)
from search.errors import StudyError
from search.reading.records import read_trials
from search.reading.status import require_finished
from search.study import Study, open_study

TOP = 5  # searched networks per budget


def choose_first(
    study: Study,
    *,
    budgets: Sequence[float] = (),
    top: int = TOP,
    references: Sequence[str] = RIVALS,
    unfinished: bool = False,
    again: bool = False,
) -> Chosen:
    """Choose the candidates of each budget from the scores on validation records.

    Raises StudyError while planned trials are left, unless `unfinished`; and if the study has a
    confirmation, unless `again`, where its budgets are the default.
    """
    rounds = read_confirmations(study)
    if not again:
        require_unconfirmed(study, rounds)
    require_finished(study, unfinished)
    usual = rounds[0].budgets if rounds else budgets_within(study.definition.sample.flops)
    table = read_table(study.name, study.storage)
    return choose_candidates(
        table,
        budgets or usual,
        **study.shape,
        top=top,
        references=references,
        shrunken=estimate(table),
        laws=shape_laws(table),
    )


def choose_further_references(
    study: Study, *, budgets: Sequence[float] = (), references: Sequence[str] = RIVALS
) -> Chosen:
    """Choose references for the budgets of a study's confirmation, without those it has.

    A reference is fitted into its budget by rule, so one that is named late still counts; more
    seeds for one that takes part already would not.
    """
    rounds = read_confirmations(study)
    if not rounds:
        raise StudyError(
            f"expected {study.name} to have a confirmation that references can be brought "
            f"into, got none: run 'ecgscale confirm {study.name}'"
        )
    had = {(entry.budget, entry.architecture_hash) for one in rounds for entry in one.entries}
    chosen = choose_references(budgets or rounds[0].budgets, **study.shape, references=references)
    left = tuple(c for c in chosen.candidates if (c.budget, c.architecture.hash) not in had)
    if not left:
        raise StudyError(
            "expected a reference that is not in the confirmation yet, got none: name one "
            "with --reference, and its budget with --budget"
            + "".join(f"; {note}" for note in chosen.notes)
        )
    return replace(chosen, candidates=left)


def choose_like(
    study: Study,
    other: str,
    *,
    budgets: Sequence[float] = (),
    top: int | None = None,
    references: Sequence[str] = (),
) -> Chosen:
    """Take the candidates of another study's first confirmation: all, or those asked for.

    `top` keeps the first searched networks of each budget, `references` by name.
    """
    require_unconfirmed(study, read_confirmations(study))
    rounds = read_confirmations(open_study(other, study.storage))
    if not rounds:
        raise StudyError(
            f"expected {other} to have a confirmation, got none: run 'ecgscale confirm {other}'"
        )
    frame = read_trials(other, study.storage)
    networks = dict(zip(frame["architecture_hash"], frame["architecture"], strict=True))
    found: list[Candidate] = []
    for entry in rounds[0].entries:
        alike = [one for one in found if (one.budget, one.group) == (entry.budget, entry.group)]
        base = entry.name.partition("@")[0]
        if (
            (budgets and entry.budget not in budgets)
            or (top and entry.group == "searched" and len(alike) == top)
            or (references and entry.group == "reference" and base not in references)
        ):
            continue
        network = Architecture.from_json(networks[entry.architecture_hash])
        found.append(Candidate(network, entry.budget, entry.group, entry.name))
    if not found:
        there = ", ".join(short(budget) for budget in rounds[0].budgets)
        raise StudyError(
            f"expected --budget out of those that {other} confirmed, got none of them: there are "
            f"{there}"
        )
    return Chosen(tuple(found), ())
