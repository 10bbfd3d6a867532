"""Methods and references, for the statistician."""

from __future__ import annotations

from analysis.page.blocks import Block, Details, Paragraph, Section
from analysis.report.results import Results

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
    "Apley, Zhu 2020, J. R. Statist. Soc. B 82: 1059–1086: accumulated local effects.",
    "Watanabe, Bansal, Hutter 2023 (arXiv:2304.10255): PED-ANOVA.",
    "Hoffmann et al. 2022 (arXiv:2203.15556) and its replication (arXiv:2404.10102): laws of error "
    "against compute; variable projection (arXiv:2603.22339).",
    "Tan, Le 2019 (arXiv:1905.11946); Alabdulmohsin et al. 2023 (arXiv:2305.13035): laws of shape.",
    "Hunter, Lange 2000, J. Comput. Graph. Statist. 9: 60–77: quantile regression.",
    "Barlow et al. 1972: isotonic regression; Jonckheere 1954, Biometrika 41: 133–145: trends.",
    "Friedman, Popescu 2008, Ann. Appl. Stat. 2: 916–954: H of interactions.",
    "Wilson 1927, JASA 22: 209–212: interval of a share.",
    "Perez Alday et al. 2020, Physiol. Meas. 41: 124003; Reyna et al. 2021, CinC 48: the "
    "PhysioNet/CinC Challenges and their score.",
)


def methods_section(results: Results) -> Section:
    """State how every number was made."""
    table = results.table
    noise = results.noise
    noise_text = (
        f"Seed noise of one run: sd {noise.sd:.4f} (95 % interval {noise.low:.4f} to "
        f"{noise.high:.4f}, {noise.degrees_of_freedom} degrees of freedom), pooled over "
        f"{len(noise.replicates)} architectures trained with several seeds."
        if noise is not None and noise.known
        else (noise.refusal if noise is not None else None)
        or results.reasons.get("noise", "Seed noise was not estimated.")
    )
    shrink_text = (
        f"Scores are shrunk towards cross-fitted predictions with weight tau²/(tau² + sigma²/n); "
        f"tau, the sd of true scores about the prediction, is "
        f"{results.shrunken.spread_variance**0.5:.4f}"
        + (
            "."
            if results.shrunken.spread_resolved
            else ", which is not resolved from zero: differences at equal cost may all be noise."
        )
        if results.shrunken is not None
        else "Scores are not shrunk, as the noise is unknown."
    )
    blocks: list[Block] = [
        Paragraph(
            f"Trials: randomly drawn networks (roles sample and replicate) enter every estimate, "
            f"one row per architecture with the mean over its seeds ({len(results.designs)} "
            "rows); control, reference and confirm trials are shown but never enter. Cost is "
            f"exact, the objective is {table.objective}."
        ),
        Paragraph(noise_text),
        Paragraph(
            f"{shrink_text} Front membership, band, hypervolume interval, regret and P(best) come "
            "from 2,000 to 4,000 posterior draws. A pick is the smallest network (latency, else "
            "parameters) within one standard error of the best expected score among networks "
            "that cost 75–100 % of the budget (or the ten dearest within it); kept as "
            "indistinguishable are those with P(within 0.001 of the best expected score or "
            "above) ≥ 0.1; refused are budgets outside the range and those with fewer than ten "
            "networks."
        ),
        Paragraph(
            "Distributions at equal compute: equal-width bins of log cost; in bins that hold both "
            "sides, weights 1/(k·m); distance D = sup |F₁ − F₂| of a value against the rest; "
            "p-value of the largest D over the values of a factor by permutation within bins, "
            "(1 + exceedances)/(1 + permutations); Holm over factors."
        ),
        Paragraph(
            "Effects at equal cost: least squares of the score on a natural spline in log cost and "
            "the factor (value and square, or levels), HC3 standard errors, t-intervals; factors "
            "that do not go with the cost enter as covariates. Pairs: the same with both factors "
            "and the products of their values or levels, Wald test of the products, Holm over all "
            "pairs; within a value of the other the slope is its own, the bend shared. Trends: "
            "Kendall's S within ranges of cost after the spline. Failures: chi-square of levels by "
            "permutation within ranges of cost, one row per network; they are never scored as zero."
        ),
        Paragraph(
            "Error law: quantile regression of the error on E + A·C^−a by variable projection over "
            "a, 200 bootstraps of networks; compared by cross-validated pinball loss with a "
            "constant, a power law without floor and a line in log cost. Shape laws: spline in log "
            "cost plus a quadratic surface in the logarithms of the sizes whose optimum moves "
            "with cost, 400 bootstraps; best shapes are never found by a regression through good "
            "networks, which returns the design's own slope. More trials: standard errors shrink "
            "as 1/√n; power 80 %, α = 0.05 shared by all factors."
        ),
        Paragraph(
            "Surrogates: repeated 5-fold cross-validation over architectures, stratified by cost. "
            "Gate: importances are shown only if R² beats both the mean and a spline in log cost "
            "with a bootstrap interval above zero. SHAP values are interventional and "
            "cross-fitted; three permuted shadow factors give the noise floor (95 % quantile of "
            "their maximum over refits)."
        ),
        Paragraph(
            f"Everything random follows from seed {results.seed}. Every figure can be redrawn "
            "from its CSV, every number recomputed from trials.csv."
        ),
        Details("References", tuple(Paragraph(text) for text in REFERENCES)),
    ]
    parts = [f"{name}: {reason}" for name, reason in results.reasons.items()]
    if parts:
        blocks.append(Paragraph("Parts without a result. " + " ".join(parts), "refusal"))
    if table.study.notes:
        blocks.append(Paragraph("Of the table: " + "; ".join(table.study.notes) + ".", "caution"))
    return Section("methods", "Methods", tuple(blocks))
