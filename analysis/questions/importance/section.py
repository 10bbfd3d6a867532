"""Which design choices matter: importances of a surrogate, with its quality beside them."""

from __future__ import annotations

import pandas as pd

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    GridBlock,
    Heading,
    Paragraph,
    Section,
    TableBlock,
)
from analysis.page.quantities import quantity, words
from analysis.questions.importance.figures import (
    beeswarm,
    dependence,
    importance_bars,
    predicted_against_observed,
)
from analysis.questions.importance.shap import Importance, Subset
from analysis.questions.importance.ties_section import ties_blocks
from analysis.report.results import TARGETS, Results
from analysis.surrogates.surrogate import Surrogate, Target

QUESTION = {
    "score": "What matters for the score",
    "equal cost": "What matters among networks of equal compute",
}
SUBSETS: dict[Subset, str] = {"all": "all networks", "best quarter": "the best quarter"}
MOST_PANELS = 6


def matters_section(results: Results) -> Section:
    """Show importances for the score as it is and at equal cost, or why there are none."""
    blocks: list[Block] = [
        Paragraph(
            "A surrogate model learns to predict the score from the design choices; SHAP values "
            "split each prediction among the choices. That is worth as much as the surrogate "
            "predicts of networks it has not seen, so its quality is stated first. A choice is "
            "called important only when its interval lies above what meaningless (permuted) "
            "choices reach in the same procedure."
        )
    ]
    for target in TARGETS:
        blocks += _target_blocks(results, target)
    blocks += ties_blocks(results)
    return Section("matters", "Which design choices matter", tuple(blocks))


def quality_sentence(fitted: Surrogate) -> str:
    """Say how well the surrogate predicts, beside the cost alone and the noise ceiling."""
    quality = fitted.quality
    alone = next(q for q in fitted.baselines if q.name == "cost alone")
    text = (
        f"The surrogate ({quality.name}) predicts networks it has not "
        f"seen with R² = {quality.r2:.2f} (the cost alone {alone.r2:.2f}; gain "
        f"{fitted.gain:+.2f}, 95 % interval {fitted.gain_low:+.2f} to {fitted.gain_high:+.2f}) "
        f"and Kendall τ = {quality.tau:.2f}, {quality.tau_within:.2f} among networks of like cost."
    )
    if pd.notna(fitted.ceiling):
        text += f" Seed noise allows no model more than R² = {fitted.ceiling:.2f}."
    return text


def _target_blocks(results: Results, target: Target) -> list[Block]:
    fitted = results.surrogates.get(target)
    if fitted is None:
        reason = results.reasons.get(f"surrogate of {target}", "no surrogate")
        return [Heading(QUESTION[target]), Paragraph(reason, "refusal")]
    blocks: list[Block] = [Heading(QUESTION[target]), Paragraph(quality_sentence(fitted))]
    if f"importance for {target}" in results.reasons:
        blocks.append(Paragraph(results.reasons[f"importance for {target}"], "refusal"))
    key = target.replace(" ", "_")
    for subset in SUBSETS:
        explained = results.importances.get((target, subset))
        if explained is not None and (subset == "all" or fitted.adequate):
            blocks += _importance_blocks(results, explained, f"{key}_{subset.replace(' ', '_')}")
    blocks.append(
        Details(
            "How well the surrogate predicts, beside its rivals",
            (
                _rivals(fitted, key),
                FigureBlock(
                    f"surrogate_{key}_predictions",
                    "Predicted and observed.",
                    "Every network as predicted by surrogates that did not see it; on the dashed "
                    "line the prediction is exact.",
                    predicted_against_observed(fitted.predictions, results.table.objective),
                ),
            ),
        )
    )
    return blocks


def _importance_blocks(results: Results, explained: Importance, key: str) -> list[Block]:
    which = SUBSETS[explained.subset]
    shown: list[Block] = [_bars(results, explained, key)]
    if explained.subset == "all":
        shown.append(_swarm(results, explained, key))
    if explained.refusal is not None:
        text = f"Not to be relied on, {which}: {explained.refusal.rstrip('.')}."
        folded = f"The importances all the same, {which} – without evidence"
        return [Paragraph(text, "refusal"), Details(folded, tuple(shown))]
    if explained.subset != "all":
        return [Details(f"The same within {which}", tuple(shown))]
    each_value = tuple(_each_value(results, explained, key))
    return [*shown, Details("Effect of each value, and pairs of factors", each_value)]


def _bars(results: Results, explained: Importance, key: str) -> FigureBlock:
    metric = results.table.objective
    return FigureBlock(
        f"importance_{key}",
        f"{QUESTION[explained.target]}, {SUBSETS[explained.subset]}.",
        f"Mean absolute SHAP value over {explained.n} networks, each explained by a surrogate "
        f"that did not see it, with 95 % intervals over {explained.bootstraps} bootstrap refits. "
        "The dashed line is what permuted factors reach; filled points lie above it. The unit is "
        f"that of {quantity(metric).name}: a factor at 0.010 moves the score by 0.010 on average.",
        importance_bars(explained, metric),
    )


def _swarm(results: Results, explained: Importance, key: str) -> FigureBlock:
    return FigureBlock(
        f"beeswarm_{key}",
        "Direction of effects.",
        "One point per network and factor; to the right the choice raised the predicted score. "
        "Colour runs from the factor's lowest to its highest value.",
        beeswarm(explained, results.table, results.table.objective),
    )


def _each_value(results: Results, explained: Importance, key: str) -> list[Block]:
    table = results.table
    names = [f.factor for f in explained.factors][:MOST_PANELS]
    panels = tuple(
        FigureBlock(
            f"dependence_{key}_{name}",
            words(name),
            "",
            dependence(explained, table, name, table.objective),
        )
        for name in names
    )
    grid = GridBlock(
        f"dependence_{key}",
        "Effect of each value.",
        f"SHAP values over the values of the {len(names)} most important factors; colour is the "
        "compute of the network.",
        panels,
    )
    return [grid, *_pairs(explained, key)]


def _pairs(explained: Importance, key: str) -> list[Block]:
    strongest = explained.pairs[:8]
    if not strongest:
        return []
    shown = pd.DataFrame(
        {
            "pair": [f"{words(p.first)} × {words(p.second)}" for p in strongest],
            "mean |interaction|": [f"{p.importance:.4f}" for p in strongest],
            "95 % interval": [f"{p.low:.4f} to {p.high:.4f}" for p in strongest],
            "Friedman's H": [f"{p.h:.2f}" if pd.notna(p.h) else "–" for p in strongest],
        }
    )
    return [
        TableBlock(
            f"pairs_{key}",
            "Strongest pairs.",
            "What two factors do together beyond the sum of each, by SHAP interaction values; "
            "Friedman's H is the share of the pair's joint effect that is not additive.",
            shown,
            explained.pairs_frame(),
        )
    ]


def _rivals(fitted: Surrogate, key: str) -> TableBlock:
    frame = fitted.to_frame()
    columns = ["r2", "mae", "tau", "tau_within", "top_recall", "coverage", "r2_new_costs"]
    titles = ["R²", "mean error", "τ", "τ at like cost", "top-tenth recall", "90 % coverage",
              "R² on new costs"]  # fmt: skip
    shown = pd.DataFrame(
        {"model": frame["model"].where(~frame["chosen"], frame["model"] + " (used)")}
    )
    for column, title in zip(columns, titles, strict=True):
        digits = 4 if column == "mae" else 2
        shown[title] = [
            f"{v:.{digits}f}".replace("-", "−") if pd.notna(v) else "–" for v in frame[column]
        ]
    return TableBlock(
        f"surrogate_{key}",
        "Models compared.",
        f"Means over {fitted.repeats} repeats of 5-fold cross-validation over {fitted.n} "
        "networks; the last rows are the baselines to beat.",
        shown,
        frame,
    )
