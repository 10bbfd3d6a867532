"""What was found, in sentences for a reader who is no statistician, hedged by the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.page.blocks import Block, Paragraph, Section
from analysis.page.quantities import quantity, score, short, words
from analysis.page.text import interval, listed, networks, plural, unit_of_cost
from analysis.questions.confirmation.sentences import main_sentences
from analysis.questions.effects.pairs import within_sentence
from analysis.questions.effects.section import (
    detectable,
    difference_of,
    effects_reason,
    measured,
)
from analysis.questions.laws.error import ErrorLaw
from analysis.questions.laws.shape import ShapeLaw
from analysis.questions.trust.leak import judge_leak
from analysis.report.results import Results
from analysis.stats.gates import Gate

NEAR = 0.01
MOST_NAMED = 4
# What a failed check of a law means to somebody who wants to build a network.
PLAIN = {
    "there is a best shape and no saddle or edge": "no best shape stands out",
    "the best shape lies within what was sampled": "the best shape would lie outside what was "
    "tried",
    "shape matters at equal cost": "at equal compute, shape makes no difference that could be told "
    "from chance",
    "the costs span at least 1.5 decades": "the networks are too alike in compute",
    "stable without the cheapest or the most expensive tenth": "the answer changes when the "
    "smallest or the largest networks are left out",
    "shape helps to predict unseen architectures": "shape does not help to predict networks that "
    "were left out",
    "the exponents add up to no more than the cost": "the fitted growth is more than the compute "
    "allows",
    "the law predicts unseen architectures better than a constant": "compute does not help to "
    "predict networks that were left out",
    "the exponent is bounded on both sides": "its speed cannot be pinned down",
    "fitted to the cheaper four fifths it predicts the rest no worse than their last level": "a "
    "rule fitted to the smaller networks does not hold for the largest",
}


def findings_section(results: Results) -> Section:
    """Say the main results in plain sentences, each with its number and its hedge."""
    found = (
        Finding("The best network", best_sentences(results)),
        Finding("What compute buys", compute_sentences(results)),
        Finding("What helps", factor_sentences(results)),
        Finding("How to scale", scaling_sentences(results)),
        Finding("Against reference architectures", rival_sentences(results)),
    )
    blocks: list[Block] = [
        Paragraph(" ".join(each.sentences), "lead", each.title) for each in found if each.sentences
    ]
    if results.table.study.ours:
        verdict = judge_leak(results)
        blocks.append(Paragraph(verdict.text, verdict.kind))
    blocks.append(Paragraph(caution_sentence(results), "caution"))
    return Section("findings", "What was found", tuple(blocks))


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: what it is about, and the sentences."""

    title: str
    sentences: list[str]


def best_sentences(results: Results) -> list[str]:
    """Name the best network, and what its score is worth after allowing for luck."""
    table, designs = results.table, results.designs
    place = int(np.argmax(designs["score"].to_numpy()))
    row = designs.iloc[place]
    name = quantity(table.objective).name
    others = "".join(
        f", {quantity(m).name} {score(float(row[m]))}"
        for m in ("macro_auroc", "challenge_score")
        if m in table.metrics and m != table.objective and np.isfinite(row[m])
    )
    text = (
        f"Of {networks(table, len(designs))}, the one that scored best on the "
        f"validation records reached {name} {score(float(row[table.objective]))}{others} with "
        f"{short(float(row[table.cost]))} {unit_of_cost(table)}."
    )
    if results.shrunken is None or not table.maximize:
        return [
            f"{text} The best of many is partly lucky; how lucky is not known here, as no "
            "network was trained with several seeds."
        ]
    mean, margin = results.shrunken.mean, 1.96 * np.sqrt(results.shrunken.variance)
    text += (
        f" Allowing for luck – the best of many is partly lucky – its {name} is expected to be "
        f"{score(float(mean[place]))} "
        f"({interval(float(mean[place] - margin[place]), float(mean[place] + margin[place]))})."
    )
    return [text]


def compute_sentences(results: Results) -> list[str]:
    """Say what compute buys, and from where on it buys little."""
    table, sentences = results.table, []
    law, rise = results.error_law, results.monotone
    if law is not None and law.refusal is None:
        sentences.append(compute_law_sentence(law, results))
    elif law is not None and law.gates:
        sentences.append(
            "A rule for how the score grows with compute could not be established: "
            f"{listed(plain_reasons(law.gates))}."
        )
    estimated = results.fronts.get((table.objective, table.cost))
    if estimated is not None:
        best = float(estimated.median[-1])
        enough = int(np.argmax(estimated.median >= best - NEAR))
        limit, dearest = float(estimated.grid_cost[enough]), float(estimated.grid_cost[-1])
        if dearest / limit >= 2:
            sentences.append(
                f"A network of {short(limit)} {unit_of_cost(table)} is estimated to come within "
                f"{NEAR:.2f} of the best there is at {short(dearest)}: {dearest / limit:.0f} times "
                "the compute buys less than that."
            )
        else:
            sentences.append(
                f"The best score still rises at the upper end of the range "
                f"({short(dearest)} {unit_of_cost(table)})."
            )
    elif rise is not None and rise.refusal is None and not rise.rises:
        sentences.append("More compute does not help throughout.")
    return sentences


def compute_law_sentence(law: ErrorLaw, results: Results) -> str:
    """Say the error law by what ten times the compute does within the range tried."""
    table, cost = results.table, results.designs[results.table.cost]
    low, high = float(cost.min()), float(cost.max())
    start = float(np.sqrt(low * high / 10)) if high > 10 * low else low
    end = min(10 * start, high)
    before, after = table.from_error(law.error_at(np.array([start, end])))
    name = quantity(table.objective).name
    text = (
        f"{end / start:.0f} times the compute takes the {name} that the best tenth of networks "
        f"reach from {score(float(before))} (at {short(start)} {unit_of_cost(table)}) to "
        f"{score(float(after))}."
    )
    if law.floor_supported:
        limit, *ends = table.from_error(np.array([law.floor, law.floor_low, law.floor_high]))
        text += (
            f" If that goes on, no amount of it leads beyond {score(float(limit))} "
            f"({interval(float(min(ends)), float(max(ends)))})."
        )
    return text


def factor_sentences(results: Results) -> list[str]:
    """Name the choices that change the score at equal compute, with how much, or say none does."""
    found, unit = results.effects, difference_of(results)
    if found is None or found.refusal is not None or not found.effects:
        return [f"Which choices help cannot be said yet. {effects_reason(results)}"]
    told = [effect for effect in found.effects if effect.settled]
    if not told:
        return [
            "Among networks of equal compute no design choice changes the score beyond doubt; a "
            f"change of about {detectable(found, unit)} would most likely have been seen."
        ]
    parts = []
    for effect in told[:MOST_NAMED]:
        written, compared = measured(effect, unit)
        parts.append(f"{words(effect.factor)} ({compared}) {written}")
    more = len(told) - len(parts)
    rest = len(found.effects) - len(told)
    sentences = [
        f"Among networks of equal compute, these choices change the {unit.name}: {listed(parts)}"
        + (f", and {plural(more, 'further one')}" if more > 0 else "")
        + "."
        + (
            f" The effects of the other {plural(rest, 'choice')} could not be told from chance."
            if rest
            else ""
        )
    ]
    if results.interactions is not None and results.interactions.settled:
        pair = within_sentence(results.interactions.settled[0], unit)
        sentences.append(f"One depends on another: {pair}.")
    sentences += second_opinion(results, {effect.factor for effect in told})
    return sentences


def second_opinion(results: Results, told: set[str]) -> list[str]:
    """Say whether the importances at equal cost single out the same factors."""
    explained = results.importances.get(("equal cost", "all"))
    if explained is None or explained.refusal is not None:
        return []
    important = {factor.factor for factor in explained.factors if factor.important}
    if important == told:
        return ["A second method (SHAP values of a surrogate model) singles out the same choices."]
    only = [words(f.factor) for f in explained.factors if f.factor in important - told]
    missed = [words(f.factor) for f in explained.factors if f.factor in told - important]
    parts = [f"adds {listed(only)}"] if only else []
    parts += [f"does not confirm {listed(missed)}"] if missed else []
    return [f"A second method (SHAP values of a surrogate model) {' but '.join(parts)}."]


def scaling_sentences(results: Results) -> list[str]:
    """Say how the best depth and width grow with compute, or that no such rule was found."""
    standing = [law for law in results.shape_laws if law.refusal is None]
    if standing:
        return [
            "With ten times the compute, "
            + listed(
                [
                    f"the best {words(e.factor)} becomes {10**e.exponent:.1f} times as large "
                    f"(95 % interval {10**e.low:.1f} to {10**e.high:.1f})"
                    for law in standing
                    for e in law.exponents
                ]
            )
            + "."
        ]
    if not results.shape_laws:
        return []
    law = results.shape_laws[0]
    names = listed([words(name) for name in law.factors])
    reasons = plain_reasons(law.gates) if law.gates else [_too_few(law)]
    return [
        f"How {names} should grow with compute cannot be read from these networks: "
        f"{listed(reasons)}. A line through the best of them would mostly show how they were drawn."
    ]


def rival_sentences(results: Results) -> list[str]:
    """Count the pairs of searched and reference networks that the test records settle."""
    return [] if results.rivals is None else main_sentences(results.rivals)


def _too_few(law: ShapeLaw) -> str:
    """Say why a law was not even fitted."""
    reason = str(law.refusal).partition(": ")[2]
    return "there are " + reason.replace("architectures", "of them").replace(", ", ", and ", 1)


def plain_reasons(gates: Sequence[Gate]) -> list[str]:
    """Say in plain words which checks of a law failed."""
    return [PLAIN.get(gate.name, gate.name) for gate in gates if not gate.passed]


def caution_sentence(results: Results) -> str:
    """Say what the numbers are not."""
    if not results.table.study.ours:
        return (
            "How these trials were drawn and scored is not known to this report. Effects and "
            "importances hold for choices drawn at random, and the best of many scores is "
            "flattered by having been chosen."
        )
    hosts = "one recipe and one split of the data"
    but = (
        "; the test records were not read"
        if results.rivals is None
        else ", but for those of the confirmation, which alone read the test records"
    )
    return (
        f"All scores are of validation records under {hosts}{but}. "
        "They compare networks with each other. They are not the performance to expect in "
        "another hospital, and nothing here is for use on patients."
    )
