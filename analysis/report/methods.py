"""Methods and references, for the statistician: every question says how it was answered."""

from __future__ import annotations

from analysis.page.blocks import Block, Details, Paragraph, Section
from analysis.page.words import Text, say
from analysis.questions.context import Context
from analysis.questions.estimates import expected_scores, seed_noise
from analysis.report.registry import QUESTIONS
from analysis.stats.interval import ALPHA
from analysis.stats.refusal import Refusal

REFERENCES = (
    "Dvoretzky, Kiefer, Wolfowitz 1956; Massart 1990: band of the empirical distribution.",
    "Radosavovic et al. 2019 (arXiv:1905.13214) and 2020 (arXiv:2003.13678): distributions of "
    "design spaces, matched by complexity.",
    "Tang et al. 2020 (arXiv:2004.13705): unbiased expected best of n.",
    "Lundberg et al. 2020, Nature Machine Intelligence 2: 56–67: SHAP values.",
    "Efron, Morris 1975, JASA 70: 311–319: empirical-Bayes shrinkage.",
    "Zitzler, Thiele 1999, IEEE Trans. Evol. Comput. 3: 257–271: hypervolume.",
    "Holm 1979, Scand. J. Statist. 6: 65–70: correction for several tests.",
    "MacKinnon, White 1985, J. Econometrics 29: 305–325: standard errors under unequal noise.",
    "Watanabe, Bansal, Hutter 2023 (arXiv:2304.10255): PED-ANOVA.",
    "Hoffmann et al. 2022 (arXiv:2203.15556) and its replication (arXiv:2404.10102): laws of error "
    "against compute; variable projection (arXiv:2603.22339).",
    "Tan, Le 2019 (arXiv:1905.11946); Alabdulmohsin et al. 2023 (arXiv:2305.13035): laws of shape.",
    "Hunter, Lange 2000, J. Comput. Graph. Statist. 9: 60–77: quantile regression.",
    "Barlow et al. 1972: isotonic regression.",
    "Wilson 1927, JASA 22: 209–212: interval of a share.",
    "Perez Alday et al. 2020, Physiol. Meas. 41: 124003; Reyna et al. 2021, CinC 48: the "
    "PhysioNet/CinC Challenges and their score.",
)
text = Text("report")


def methods_section(context: Context) -> Section:
    """State how every number was made."""
    table, noise, shrunken = context.table, context.of(seed_noise), context.known(expected_scores)
    blocks: list[Block] = [
        text.paragraph(
            "trials",
            n=len(context.designs),
            objective=table.objective,
            traced=table.study.traced,
        ),
        Paragraph(say(noise))
        if isinstance(noise, Refusal)
        else text.paragraph(
            "noise", sd=noise.sd, freedom=noise.degrees_of_freedom, n=len(noise.replicates)
        ),
        *(
            Text(question.name).paragraph("method", alpha=ALPHA, shrunken=shrunken)
            for question in QUESTIONS
            if Text(question.name).has("method")
        ),
        text.paragraph("random", seed=context.seed),
        Details("References", tuple(Paragraph(reference) for reference in REFERENCES)),
    ]
    parts = [f"{name}: {say(refusal)}" for name, refusal in context.refusals().items()]
    if parts:
        blocks.append(text.paragraph("parts", "refusal", parts=parts))
    if table.study.notes:
        blocks.append(text.paragraph("notes", "caution", notes=table.study.notes))
    return Section("methods", "Methods", tuple(blocks))
