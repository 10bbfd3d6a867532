"""Scaling laws: the error against compute and the best shape, or why none can be claimed."""

from __future__ import annotations

import numpy as np
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
from analysis.page.quantities import p_value, score, short, words
from analysis.page.text import listed, unit_of_cost
from analysis.questions.laws.error import ErrorLaw
from analysis.questions.laws.figures import (
    error_law_curve,
    exponent_profile,
    rise_with_cost,
    shape_law_curve,
)
from analysis.questions.laws.shape import ShapeLaw
from analysis.report.results import Results
from analysis.stats.gates import Gate


def laws_section(results: Results) -> Section:
    """Show the error law, the rise with cost and the shape laws with all their gates."""
    blocks: list[Block] = [
        Paragraph(
            "A law is called one only if it passes every check in the table below it. Where one "
            "does not, that is a finding too: the networks tried do not show such a rule, and a "
            "line drawn through the best of them would mostly show how they were chosen."
        ),
        Heading("How the score grows with compute"),
        *_error_law(results),
        *_rise(results),
        Heading("How the best shape grows with compute"),
        *_shape_laws(results),
    ]
    return Section("laws", "Scaling laws", tuple(blocks))


def error_law_sentence(law: ErrorLaw, results: Results) -> str:
    """Say the error law with its exponent and what ten times the compute does."""
    table = results.table
    costs = np.array([law.reference_cost, 10 * law.reference_cost])
    before, after = law.error_at(costs)
    floor = (
        f" A floor of {score(law.floor)} (95 % interval {score(law.floor_low)} to "
        f"{score(law.floor_high)}) remains however much is spent."
        if law.floor_supported
        else " Whether a floor remains cannot be told from these networks."
    )
    return (
        f"The error that the best {law.quantile:.0%} of the networks stay below falls as compute "
        f"to the power −{law.exponent:.2f} (95 % interval {law.exponent_low:.2f} to "
        f"{law.exponent_high:.2f}) above its floor: ten times the compute takes it from "
        f"{score(float(before))} at {short(law.reference_cost)} {unit_of_cost(table)} to "
        f"{score(float(after))}.{floor}"
    )


def shape_law_sentence(law: ShapeLaw) -> str:
    """Say a shape law with the design's own slope beside each exponent."""
    return (
        listed(
            [
                f"the best {words(e.factor)} grows as compute to the power {_two(e.exponent)} "
                f"(95 % interval {_two(e.low)} to {_two(e.high)}; the design's own slope "
                f"{_two(e.design_slope)})"
                for e in law.exponents
            ]
        )
        + "."
    )


def gates_table(name: str, title: str, gates: tuple[Gate, ...], data: pd.DataFrame) -> TableBlock:
    """Tabulate the checks of a law."""
    shown = pd.DataFrame(
        {
            "check": [gate.name for gate in gates],
            "passed": ["yes" if gate.passed else "no" for gate in gates],
            "what was found": [gate.detail for gate in gates],
        }
    )
    return TableBlock(name, title, "A law needs every “yes”.", shown, data)


def _error_law(results: Results) -> list[Block]:
    law = results.error_law
    if law is None:
        return [Paragraph(results.reasons.get("error law", "No law was looked for."), "refusal")]
    if not law.gates:
        return [Paragraph(_sentence(law.refusal), "refusal")]
    blocks: list[Block] = []
    if law.refusal is None:
        blocks.append(Paragraph(error_law_sentence(law, results)))
    else:
        blocks.append(Paragraph(_sentence(law.refusal), "refusal"))
    blocks.append(
        FigureBlock(
            "error_law",
            "Score against compute.",
            f"Grey: all networks. Curve: the score that the best {law.quantile:.0%} reach at each "
            "compute, by floor + power law with a 95 % bootstrap band"
            + (" (dashed, as it is not claimed)." if law.refusal else "."),
            error_law_curve(law, results.table),
        )
    )
    blocks.append(gates_table("error_law_gates", "Checks of this law.", law.gates,
                              law.gates_frame()))  # fmt: skip
    rivals = pd.DataFrame(
        {
            "form": law.models["model"],
            "loss on unseen networks": [f"{loss:.5f}" for loss in law.models["loss"]],
            "relative to the best": [f"{r:.3f}" for r in law.models["relative"]],
        }
    )
    blocks.append(
        Details(
            "Rival forms, and how well the exponent is known",
            (
                TableBlock(
                    "error_law_rivals",
                    "Forms of the law.",
                    "Cross-validated pinball loss; where two forms are within a few per cent, "
                    "these networks do not tell them apart.",
                    rivals,
                    law.models,
                ),
                TableBlock(
                    "error_law_parameters",
                    "Parameters.",
                    f"error = floor + amplitude · (cost / {short(law.reference_cost)})^−exponent; "
                    "95 % bootstrap intervals.",
                    _parameters(law),
                    law.to_frame(),
                ),
                FigureBlock(
                    "error_law_profile",
                    "Profile of the exponent.",
                    "Loss with floor and amplitude at their best for each exponent: a wide valley "
                    "means that floor and exponent trade off.",
                    exponent_profile(law),
                ),
            ),
        )
    )
    return blocks


def _rise(results: Results) -> list[Block]:
    """Say whether more compute ever hurt."""
    found = results.monotone
    if found is None or found.refusal is not None:
        return []
    away = (
        f"the largest fall is {found.violation:.4f} away from a curve that never falls (two "
        f"standard errors there: {found.limit:.4f}; {p_value(found.p)})."
    )
    if found.violation == 0:
        text = "The mean score rises from each range of compute to the next."
    elif found.rises:
        text = f"More compute never hurt beyond chance: {away}"
    else:
        text = f"The score does not rise throughout: {away}"
    figure = FigureBlock(
        "rise_with_cost",
        "Mean score over compute.",
        "Isotonic regression (pool adjacent violators) of the means in ranges of equal numbers of "
        "networks.",
        rise_with_cost(found, results.table),
    )
    return [Paragraph(text), Details("The rise of the mean", (figure,))]


def _shape_laws(results: Results) -> list[Block]:
    if "shape laws" in results.reasons:
        return [Paragraph(results.reasons["shape laws"], "refusal")]
    if not results.shape_laws:
        return [Paragraph("No factor is a size spaced by ratios.", "refusal")]
    blocks: list[Block] = []
    for law in sorted(results.shape_laws, key=lambda law: law.refusal is not None):
        key = "_".join(law.factors)
        if law.refusal is not None:
            blocks.append(Paragraph(_sentence(law.refusal), "refusal"))
        else:
            text = shape_law_sentence(law)
            blocks.append(Paragraph(f"{text[0].upper()}{text[1:]}"))
            blocks.append(_curves(results, law, key))
        if not law.gates:
            continue
        inner: list[Block] = [
            gates_table(f"shape_law_{key}_gates", "Checks of this law.", law.gates,
                        law.gates_frame()),
            _exponents(law, key),
        ]  # fmt: skip
        names = listed([words(name) for name in law.factors])
        blocks.append(Details(f"Checks and numbers for {names}", tuple(inner)))
    return blocks


def _curves(results: Results, law: ShapeLaw, key: str) -> GridBlock:
    panels = tuple(
        FigureBlock(
            f"shape_law_{key}_{name}", words(name), "", shape_law_curve(law, name, results.table)
        )
        for name in law.factors
    )
    return GridBlock(
        f"shape_law_{key}",
        "Best shape over compute.",
        "Blue: the best value with its 95 % bootstrap band, from a spline in log cost and a "
        "quadratic surface in the logarithms of the sizes. Dashed: what a line through all "
        "networks gives, good or bad – the design's own slope, which says nothing about what is "
        "good. Where both agree, look at the checks before believing the law.",
        panels,
    )


def _exponents(law: ShapeLaw, key: str) -> TableBlock:
    shown = pd.DataFrame(
        {
            "factor": [words(e.factor) for e in law.exponents],
            "exponent": [_two(e.exponent) for e in law.exponents],
            "95 % interval": [f"{_two(e.low)} to {_two(e.high)}" for e in law.exponents],
            "design's own slope": [_two(e.design_slope) for e in law.exponents],
            f"best at {short(law.reference_cost)}": [f"{e.best:.3g}" for e in law.exponents],
        }
    )
    note = "" if law.refusal is None else " Not to be relied on: the law is refused."
    return TableBlock(
        f"shape_law_{key}_exponents",
        "Exponents.",
        f"{law.n} networks over {law.decades:.1f} decades of compute.{note}",
        shown,
        law.to_frame(),
    )


def _parameters(law: ErrorLaw) -> pd.DataFrame:
    frame = law.to_frame()
    return pd.DataFrame(
        {
            "parameter": frame["parameter"],
            "estimate": [f"{v:.3f}" for v in frame["estimate"]],
            "95 % interval": [
                f"{low:.3f} to {high:.3f}"
                for low, high in zip(frame["low"], frame["high"], strict=True)
            ],
        }
    )


def _sentence(reason: str | None) -> str:
    text = reason or ""
    for name in ("width_growth", "kernel_size", "stem_kernel", "se_ratio"):
        text = text.replace(name, words(name))
    return f"{text[:1].upper()}{text[1:]}."


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
