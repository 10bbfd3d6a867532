"""Scaling laws: the error against compute and the best shape, or why none can be claimed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.page.blocks import (
    Block,
    Details,
    FigureBlock,
    Heading,
    Kind,
    Paragraph,
    Section,
    TableBlock,
)
from analysis.page.quantities import fixed, short, words
from analysis.page.text import listed, unit_of_cost
from analysis.page.words import Text, gates_frame, say, sentence
from analysis.questions.context import Context, Finding, Question
from analysis.questions.laws.error import ErrorLaw
from analysis.questions.laws.figures import (
    error_law_curve,
    exponent_profile,
    mean_over_cost,
    shape_law_curve,
)
from analysis.questions.laws.numbers import law_of_error, laws_of_shape, rise_with_cost
from analysis.questions.laws.scaled import standing
from analysis.questions.laws.shape import ShapeLaw
from analysis.questions.training.numbers import late_gain
from analysis.stats.interval import PERCENT, Interval
from analysis.stats.refusal import Gate, Refusal, failed

text = Text("laws")
VERDICTS = {"grows": "yes", "shrinks": "shrinks", "constant": "none", "open": "cannot be told"}


def section(context: Context) -> Section:
    """Show the error law, the rise with cost and the shape laws with all their gates."""
    hedge = epochs_hedge(context)
    blocks: list[Block] = [
        text.paragraph("intro"),
        *([Paragraph(hedge, "caution")] if hedge else []),
        Heading("How the score grows with compute"),
        *_error_law(context),
        *_rise(context),
        Heading("How the best shape grows with compute"),
        *_shape_laws(context),
    ]
    return Section("laws", "Scaling laws", tuple(blocks))


def finding(context: Context) -> Finding:
    """Say how the best depth and width grow with compute, that they do not, or why it is open."""
    laws = context.of(laws_of_shape)
    if isinstance(laws, Refusal):
        return Finding("How to scale", ())
    moving = [e for law in standing(laws) for e in law.exponents if e.verdict != "constant"]
    told = [text("scaling", parts=[text("scaling_part", e=e) for e in moving])] if moving else []
    told += [say(still) for still in constant(laws)]
    first = laws[0]
    if isinstance(first, Refusal):
        why = text("too_few" if "n" in first.values else "flat_shape", **first.values)
        told.append(text("no_scaling", factors=first.values["factors"], why=why))
    elif first.outcome in ("none", "open"):
        told.append(
            text("no_scaling", factors=first.factors, why=text("means", gates=first.missed))
        )
    return Finding("How to scale", tuple(told))


def constant(laws: Sequence[ShapeLaw | Refusal]) -> list[Refusal]:
    """Return what does not grow: laws of which nothing does, and parts of laws that stand."""
    found = [law.refusal for law in laws if isinstance(law, ShapeLaw) and law.outcome == "constant"]
    for law in standing(laws):
        still = [e for e in law.exponents if e.verdict == "constant"]
        if still:
            about = {"factors": [e.factor for e in still], "exponents": still}
            found.append(Refusal("laws.constant", about))
    return found


def growth_sentences(context: Context) -> list[str]:
    """Say by the error law what compute buys, that it buys nothing, or why that is open."""
    law, table = context.known(law_of_error), context.table
    if law is None:
        return []
    if law.constant:
        return [text("flat", law=law)]
    if not law.grows:
        return [text("no_rule", gates=failed(law.gates))]
    ends = law.reference_cost * 10 ** np.array([-0.5, 0.5])
    before, after = table.from_error(law.error_at(ends))
    limit = None
    if law.stands and law.floor_supported:
        at, *limits = table.from_error(
            np.array([law.floor.estimate, law.floor.low, law.floor.high])
        ).tolist()
        limit = Interval(at, min(limits), max(limits))
    return [
        text(
            "buys",
            metric=table.objective,
            cost=unit_of_cost(table),
            before=float(before),
            after=float(after),
            start=float(ends[0]),
            gain=context.unit.written(law.tenfold),
            limit=limit,
        )
    ]


def epochs_hedge(context: Context) -> str:
    """Say for how long a comparison of computes holds, if scores still rose; "" if they did not."""
    found = context.known(late_gain)
    return "" if found is None else text("epochs", found=found)


def error_law_sentence(law: ErrorLaw, context: Context) -> str:
    """Say the error law with its exponent and what ten times the compute does."""
    before, after = law.error_at(np.array([law.reference_cost, 10 * law.reference_cost]))
    return text(
        "error_law",
        law=law,
        share=f"{law.quantile:.0%}",
        before=float(before),
        after=float(after),
        cost=unit_of_cost(context.table),
    )


def shape_law_sentence(law: ShapeLaw) -> str:
    """Say a shape law with the design's own slope beside each exponent."""
    return sentence(listed([text("shape", e=e) for e in law.exponents]))


def _gates(name: str, gates: Sequence[Gate]) -> TableBlock:
    """Tabulate the checks of a law."""
    frame = gates_frame(gates)
    shown = pd.DataFrame(
        {
            "check": frame["gate"],
            "passed": frame["passed"].map({True: "yes", False: "no"}),
            "what was found": frame["detail"],
        }
    )
    return text.table(name, shown, frame, key="gates")


def _error_law(context: Context) -> list[Block]:
    law = context.of(law_of_error)
    if isinstance(law, Refusal):
        return [Paragraph(say(law), "refusal")]
    if law.stands:
        claim = [Paragraph(error_law_sentence(law, context))]
    else:
        grown = growth_sentences(context) if law.grows or law.constant else []
        claim = [Paragraph(one) for one in grown]
        if not law.constant:
            reason = Refusal("laws.error_gates", {"gates": failed(law.gates)})
            claim.append(Paragraph(say(reason), "refusal"))
    figure = text.figure(
        "error_law",
        error_law_curve(law, context.table),
        share=f"{law.quantile:.0%}",
        stands=law.stands,
    )
    rivals = pd.DataFrame(
        {
            "form": law.models["model"],
            "loss on unseen networks": [fixed(loss, 5) for loss in law.models["loss"]],
            "relative to the best": [fixed(r, 3) for r in law.models["relative"]],
        }
    )
    more = (
        text.table("error_law_rivals", rivals, law.models),
        text.table(
            "error_law_parameters", _parameters(law), law.to_frame(), reference=law.reference_cost
        ),
        text.figure("error_law_profile", exponent_profile(law)),
    )
    folded = Details("Rival forms, and how well the exponent is known", more)
    return [*claim, figure, _gates("error_law_gates", law.gates), folded]


def _rise(context: Context) -> list[Block]:
    """Say whether more compute ever hurt."""
    found = context.known(rise_with_cost)
    if found is None:
        return []
    figure = text.figure("rise_with_cost", mean_over_cost(found, context.table))
    return [text.paragraph("rise", found=found), Details("The rise of the mean", (figure,))]


def _shape_laws(context: Context) -> list[Block]:
    laws = context.of(laws_of_shape)
    if isinstance(laws, Refusal):
        return [Paragraph(say(laws), "refusal")]
    blocks: list[Block] = []
    for law in sorted(laws, key=lambda law: law not in standing(laws)):
        if isinstance(law, Refusal):
            blocks.append(Paragraph(say(law), "refusal"))
            continue
        key = "_".join(law.factors)
        if law.stands:
            blocks += [Paragraph(shape_law_sentence(law)), _curves(context, law, key)]
        else:
            kind: Kind = "text" if law.outcome == "constant" else "refusal"
            blocks.append(Paragraph(say(law.refusal), kind))
        inner = (_gates(f"shape_law_{key}_gates", law.gates), _exponents(law, key))
        names = listed([words(name) for name in law.factors])
        blocks.append(Details(f"Checks and numbers for {names}", inner))
    return blocks


def _curves(context: Context, law: ShapeLaw, key: str) -> Block:
    panels = [
        FigureBlock(
            f"shape_law_{key}_{name}", words(name), "", shape_law_curve(law, name, context.table)
        )
        for name in law.factors
    ]
    return text.grid(f"shape_law_{key}", panels, key="shape_law")


def _exponents(law: ShapeLaw, key: str) -> TableBlock:
    shown = pd.DataFrame(
        {
            "factor": [words(e.factor) for e in law.exponents],
            "exponent": [fixed(e.exponent.estimate) for e in law.exponents],
            f"{PERCENT} interval": [_ends(e.exponent, 2) for e in law.exponents],
            "growth": [VERDICTS[e.verdict] for e in law.exponents],
            "design's own slope": [fixed(e.design_slope) for e in law.exponents],
            f"best at {short(law.reference_cost)}": [
                f"{e.best.estimate:.3g}" for e in law.exponents
            ],
        }
    )
    return text.table(
        f"shape_law_{key}_exponents",
        shown,
        law.to_frame(),
        key="exponents",
        n=law.n,
        decades=law.decades,
        stands=law.stands,
    )


def _parameters(law: ErrorLaw) -> pd.DataFrame:
    found = {"floor": law.floor, "amplitude": law.amplitude, "exponent": law.exponent}
    found |= {"fall over ten times the compute": law.tenfold}
    return pd.DataFrame(
        {
            "parameter": list(found),
            "estimate": [fixed(one.estimate, 3) for one in found.values()],
            f"{PERCENT} interval": [_ends(one, 3) for one in found.values()],
        }
    )


def _ends(found: Interval, digits: int) -> str:
    return f"{fixed(found.low, digits)} to {fixed(found.high, digits)}"


QUESTION = Question("laws", section, finding)
