"""Whether methods with other assumptions rank the factors alike."""

from __future__ import annotations

from itertools import combinations

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    GridBlock,
    Heading,
    Paragraph,
    Section,
)
from analysis.page.quantities import words
from analysis.page.text import listed
from analysis.questions.effects.figures import accumulated_effect
from analysis.questions.effects.section import difference_of
from analysis.questions.importance.agreement import Agreement
from analysis.questions.power.figures import rankings
from analysis.report.results import TARGETS, Results
from analysis.surrogates.surrogate import Target

QUESTION: dict[Target, str] = {
    "score": "For the score as it is",
    "equal cost": "Among networks of equal compute",
}


def agreement_section(results: Results) -> Section:
    """Draw the rankings of three methods, say their agreement, and show ALE."""
    blocks: list[Block] = [
        Paragraph(
            "Three methods with other assumptions rank the factors: SHAP splits the surrogate's "
            "predictions, permutation asks how much worse they become when a factor is shuffled, "
            "PED-ANOVA (Optuna's default) needs no surrogate and looks at how differently the best "
            "tenth of the networks is distributed. Where they disagree, none should be relied on "
            "alone; the effects at equal cost above are the arbiter."
        )
    ]
    for target in TARGETS:
        blocks += _rankings(results, target)
    if not results.agreements:
        blocks.append(
            Paragraph(
                "There is nothing to compare: no surrogate is adequate, so SHAP and permutation "
                "importances would not mean anything.",
                "refusal",
            )
        )
    blocks += _ale(results)
    return Section("agreement", "Do the methods agree?", tuple(blocks))


def agreement_sentence(found: Agreement) -> str:
    """Say Kendall's tau of every pair of methods and whether they name the same first factor."""
    tau = found.taus.to_numpy(float)
    methods = list(found.taus.columns)
    taus = ", ".join(
        f"{methods[i]} and {methods[j]} τ = {tau[i, j]:.2f}".replace(" -", " −")
        for i, j in combinations(range(len(methods)), 2)
    )
    names = list(found.importances.index)
    firsts = {
        str(method): words(names[int(values.to_numpy().argmax())])
        for method, values in found.importances.items()
    }
    if len(set(firsts.values())) == 1:
        verdict = f"All name {next(iter(firsts.values()))} first."
    else:
        verdict = (
            "They do not name the same factor first: "
            + listed([f"{method}: {name}" for method, name in firsts.items()])
            + "."
        )
    return f"Agreement of the rankings (1 is the same order, 0 none): {taus}. {verdict}"


def _rankings(results: Results, target: Target) -> list[Block]:
    found = results.agreements.get(target)
    if found is None:
        reason = results.reasons.get(f"agreement on {target}")
        return [Paragraph(reason, "refusal")] if reason else []
    key = target.replace(" ", "_")
    blocks: list[Block] = [
        Heading(QUESTION[target]),
        FigureBlock(
            f"agreement_{key}",
            "The same factors by three methods.",
            "Each method's importances as shares of their sum, as their units differ; order by the "
            "mean share.",
            rankings(found),
        ),
        Paragraph(agreement_sentence(found)),
    ]
    if found.refusal is not None:
        blocks.append(Paragraph(f"{found.refusal}.", "refusal"))
    return blocks


def _ale(results: Results) -> list[Block]:
    if not results.ale:
        return []
    table, unit = results.table, difference_of(results)
    panels = tuple(
        FigureBlock(
            f"ale_{found.factor}",
            words(found.factor),
            "",
            accumulated_effect(found, table.factor(found.factor), unit),
        )
        for found in results.ale
    )
    grid = GridBlock(
        "ale",
        "Accumulated local effects at equal compute.",
        f"What the surrogate says of each value of the {len(panels)} "
        "most important factors, asked only of combinations that the design holds (Apley and Zhu "
        f"2020); bands are 95 % over {results.ale[0].bootstraps} refits.",
        panels,
    )
    return [Details("Effect of each value, robust to tied factors", (grid,))]
