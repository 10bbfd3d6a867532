"""What a confirmation found, in sentences."""

from __future__ import annotations

from analysis.page.quantities import difference, quantity, score, short
from analysis.page.text import listed, plural
from analysis.questions.confirmation.classes import split
from analysis.questions.confirmation.results import LAW, SEARCHED, Comparison, Pair
from analysis.stats.interval import ALPHA, PERCENT, Interval


def main_sentences(found: Comparison) -> list[str]:
    """Count the pairs of searched and reference networks that the test records settle."""
    pairs = found.compared(SEARCHED)
    if not pairs:
        return []
    better, worse = sum(pair.better for pair in pairs), sum(pair.worse for pair in pairs)
    known = {_base(pair) for pair in pairs}
    sentences = [
        f"Trained again with fresh seeds and scored on {plural(found.records, 'test record')}, "
        "the searched networks score significantly higher (Holm-adjusted) than reference "
        f"architectures within the same budget in {better} of {plural(len(pairs), 'comparison')} "
        f"({listed(sorted(known))}) and significantly lower in {worse or 'none'}; the other "
        "differences are not statistically significant."
    ]
    if never := sorted(known - {_base(pair) for pair in pairs if pair.better}):
        sentences.append(f"Never outscored significantly: {listed(never)}.")
    return sentences


def budget_sentences(found: Comparison) -> list[str]:
    """Say for each budget how the searched network compares with the reference architectures."""
    sentences = []
    for budget in found.budgets:
        chosen = found.chosen(budget)
        if chosen is None:
            continue
        own = [pair for pair in found.compared(SEARCHED) if pair.budget == budget]
        text = (
            f"Within {short(budget)} FLOPs the searched network {chosen.name} reaches a test "
            f"{found.sets.described(found.primary)} of {with_interval(chosen.test[found.primary])}"
        )
        sentences.append(
            f"{text}. {_verdict(own, found.primary)}"
            if own
            else f"{text}; no reference architecture was fitted into this budget."
        )
    return sentences


def law_sentences(found: Comparison) -> list[str]:
    """Say whether networks scaled by the law beat their opposites of equal cost."""
    sentences = []
    for pair in found.compared(LAW):
        verdict = (
            "the law holds there"
            if pair.better
            else "its opposite is better there"
            if pair.worse
            else "which is not statistically significant"
        )
        sentences.append(
            f"Within {short(pair.budget)} FLOPs networks scaled by the law score "
            f"{margin(pair)} against their opposites of equal cost: {verdict}."
        )
    return sentences


def how_sentences(found: Comparison, own: set[str]) -> str:
    """Say how networks were compared; `own` are the hashes of the study's random networks."""
    searched = {c.architecture_hash for c in found.contestants if c.group == "searched"}
    origin = (
        "which the search never read"
        if searched <= own
        else "which this study read for nothing else (its networks are another study's, whose "
        "search may have had some of these records)"
    )
    seeds = sorted({c.seeds for c in found.contestants})
    many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        "Every network here was trained again with fresh seeds "
        f"({many} each) under the study's one recipe and was then scored on "
        f"{plural(found.records, 'test record')} of {plural(found.patients, 'patient')}, "
        f"{origin}, over the {len(found.sets.occurring)} diagnoses that occur among them. Which "
        "searched network stands for a budget was decided before: the one with the best estimated "
        "score of the search. Intervals allow for who is in the test records "
        f"({found.draws} draws of patients, the same for both networks of a pair) and for "
        "seed-to-seed variability (t intervals; the variance of a network is drawn towards the "
        "mean of all, which counts for at most two degrees of freedom). p-values are Holm-adjusted "
        "for all pairs. Reference architectures are taken in the widest form that fits the budget. "
        "Scores their authors reached with other recipes or data are no part of this."
    )


def metric_sentences(found: Comparison) -> str:
    """Say which metric decides, and which classes the others are over."""
    sets = found.sets
    text = (
        f"The primary metric is the test {sets.described(found.primary)}, fixed with the study's "
        "definition; the others are reported beside it, adjusted for the pairs of a metric and not "
        "for their number."
    )
    tiny = len(sets.occurring) - len(sets.frequent)
    if sets.frequent and tiny:
        text += (
            f" {tiny} of the {len(sets.occurring)} diagnoses {'has' if tiny == 1 else 'have'} "
            f"fewer than {sets.fewest} positive test records, and one record more or less moves a "
            "macro score by them: every macro score is therefore reported without them, too."
        )
    return text


def margin(pair: Pair) -> str:
    """Write the difference of a pair with its unadjusted margin."""
    return difference(split(pair.metric)[1]).written(pair.interval)


def with_interval(interval: Interval) -> str:
    """Write a score with its interval, where that is known."""
    if not interval.known:
        return score(interval.estimate)
    return f"{score(interval.estimate)} ({score(interval.low)} to {score(interval.high)})"


def _verdict(own: list[Pair], metric: str) -> str:
    better, worse = [p for p in own if p.better], [p for p in own if p.worse]
    closest = min(own, key=lambda pair: pair.interval.estimate)
    text = (
        f"Of {plural(len(own), 'reference architecture')} it scores significantly higher than "
        f"{len(better)} (Holm-adjusted p < {ALPHA:g})"
    )
    if worse:
        text += f" and significantly lower than {len(worse)} ({listed([p.second for p in worse])})"
    undecided = len(own) - len(better) - len(worse)
    if undecided:
        text += (
            f"; {undecided} {'is' if undecided == 1 else 'are'} statistically indistinguishable "
            "from it"
        )
    return (
        f"{text}. Against the strongest, {closest.second}, its {quantity(split(metric)[1]).name} "
        f"differs by {margin(closest)} (unadjusted {PERCENT} CI)."
    )


def _base(pair: Pair) -> str:
    return pair.second.partition("@")[0]
