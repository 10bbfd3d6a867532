"""What was found, in sentences for a reader who is no statistician, hedged by the gates."""

from __future__ import annotations

import numpy as np

from analysis.figures.importance import words
from analysis.quantities import quantity, score, short
from analysis.report.blocks import Block, Paragraph, Section
from analysis.report.leak import judge_leak
from analysis.report.results import Results
from analysis.report.text import interval, listed, plural, unit_of_cost

NEAR = 0.01


def findings_section(results: Results) -> Section:
    """Say the main results in plain sentences, each with its number and its hedge."""
    sentences = (
        *best_sentences(results),
        *compute_sentences(results),
        *factor_sentences(results),
    )
    blocks: list[Block] = [Paragraph(text, "lead") for text in sentences]
    verdict = judge_leak(results)
    blocks.append(Paragraph(verdict.text, verdict.kind))
    blocks.append(Paragraph(caution_sentence(results), "caution"))
    return Section("findings", "What was found", tuple(blocks))


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
        f"Of {plural(len(designs), 'randomly drawn network')}, the one that scored best on the "
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
    fitted = results.surrogates.get("score")
    if fitted is not None:
        alone = next(q for q in fitted.baselines if q.name == "cost alone").r2
        if alone > 0.02:
            sentences.append(
                f"The amount of compute alone predicts {100 * min(alone, 1):.0f} % of the "
                "differences between networks it has not seen."
            )
        else:
            sentences.append(
                "The amount of compute alone predicts nothing of the differences between "
                "networks it has not seen."
            )
    estimated = results.fronts.get((table.objective, table.cost))
    if estimated is not None:
        best = float(estimated.median[-1])
        enough = int(np.argmax(estimated.median >= best - NEAR))
        limit, dearest = float(estimated.grid_cost[enough]), float(estimated.grid_cost[-1])
        if dearest / limit >= 2:
            sentences.append(
                f"Within {short(limit)} {unit_of_cost(table)} the best network is estimated to "
                f"come within {NEAR:.2f} of the best there is at {short(dearest)}: beyond it, "
                f"{dearest / limit:.0f} times the compute buys less than that."
            )
        else:
            sentences.append(
                f"The estimated best score still rises at the upper end of the range "
                f"({short(dearest)} {unit_of_cost(table)})."
            )
    return [" ".join(sentences)] if sentences else []


def factor_sentences(results: Results) -> list[str]:
    """Name the choices that matter beyond doubt, or say that none could be told."""
    explained = results.importances.get(("equal cost", "all"))
    sentences = []
    if explained is not None and explained.refusal is None:
        important = [words(f.factor) for f in explained.factors if f.important]
        rest = len(explained.factors) - len(important)
        if important:
            sentences.append(
                f"Among networks of equal compute, {listed(important)} "
                f"{'matters' if len(important) == 1 else 'matter'} beyond what chance alone "
                f"produces; the other {plural(rest, 'factor')} could not be told from chance."
                if rest
                else f"Among networks of equal compute, all of {listed(important)} matter beyond "
                "what chance alone produces."
            )
        else:
            sentences.append("Among networks of equal compute, no factor stands out from chance.")
    else:
        sentences.append(
            "Which design choices matter at equal compute cannot be said from these trials: "
            + (matter_reason(results) or "the surrogate is missing")
            + "."
        )
    told = [c for c in results.comparisons if c.p_holm < 0.05]
    if told:
        best = [
            f"{words(c.factor)} (best {max(c.curves, key=lambda k: _mean(k.scores)).name})"
            for c in sorted(told, key=lambda c: c.p_holm)
        ]
        sentences.append(
            f"Without any model, score distributions at equal compute differ for {listed(best)}."
        )
    elif results.comparisons:
        sentences.append(
            "Without any model, no factor's values differ in their scores at equal compute "
            "after correction for the number of factors."
        )
    return [" ".join(sentences)]


def matter_reason(results: Results) -> str:
    """Return why importances at equal cost are missing, as part of a sentence."""
    fitted = results.surrogates.get("equal cost")
    reason = (fitted.refusal if fitted is not None else None) or next(
        (
            results.reasons[key]
            for key in ("importance for equal cost", "surrogate of equal cost")
            if key in results.reasons
        ),
        "",
    )
    return reason.rstrip(".")


def caution_sentence(results: Results) -> str:
    """Say what the numbers are not."""
    hosts = "one recipe and one split of the data"
    return (
        f"All scores are of validation records under {hosts}; the test records were not read. "
        "They compare networks with each other. They are not the performance to expect in "
        "another hospital, and nothing here is for use on patients."
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))
