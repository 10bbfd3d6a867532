"""The page: it stands by itself, says what was computed and refused, and survives poor studies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

import analysis
from analysis.page.blocks import GridBlock, Paragraph
from analysis.page.quantities import difference, short
from analysis.questions.budgets.numbers import picks, recommendations
from analysis.questions.budgets.section import drawing, stage_rows
from analysis.questions.budgets.section import resolved as network
from analysis.questions.context import Context
from analysis.questions.effects.interactions import Interactions, interactions
from analysis.questions.effects.numbers import effects_at_equal_cost, effects_of_pairs
from analysis.questions.effects.pairs import pair_blocks
from analysis.questions.effects.section import sentence as effect_sentence
from analysis.questions.laws.numbers import laws_of_shape
from analysis.questions.laws.scaled import study_shape
from analysis.questions.laws.section import finding as scaling
from analysis.questions.laws.section import section as laws_section
from analysis.questions.laws.shape import ShapeLaw, shape_law
from analysis.questions.trust.leak import judge_leak
from analysis.questions.trust.section import KINDS, leak_paragraph
from analysis.report import write_report
from analysis.report.write import write_page
from analysis.stats.refusal import Refusal
from analysis.surrogates.surrogate import MODELS, surrogate
from analysis.trials.table import StudyFacts, TrialTable
from models import load_space, sample_architectures
from tests.analysis.simulate import FACTORS, FLOPS_ONLY, LAW, PLANTED, simulate

NOT_COMPUTED = "This part could not be computed"


def curves_of(table: TrialTable, epochs: int = 4) -> pd.DataFrame:
    """Rise to each trial's score."""
    complete = table.complete()
    return pd.DataFrame(
        {
            "trial": np.repeat(complete["trial"].to_numpy(), epochs),
            "epoch": np.tile(np.arange(1, epochs + 1), len(complete)),
            "macro_f1": np.repeat(complete["macro_f1"].to_numpy(), epochs)
            * np.tile(np.linspace(0.5, 1, epochs), len(complete)),
        }
    )


def classes_of(table: TrialTable) -> pd.DataFrame:
    complete = table.complete()
    rows = [
        {"trial": t, "class": c, "positives": n, "f1": 0.5, "auroc": a, "auprc": 0.4}
        for t in complete["trial"]
        for c, n, a in (("NSR", 50, 0.9), ("<b>AF</b>", 0, np.nan))
    ]
    return pd.DataFrame(rows)


class Outline(HTMLParser):
    """Collect what the tests ask of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.identifiers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "link", "source", "embed", "object"):
            self.loaded += [v for k, v in attrs if k in ("src", "href", "data") and v]
        if tag == "a":
            self.links.append(values.get("href") or "")
        if values.get("id"):
            self.identifiers.append(values["id"] or "")


def text_of(page: str) -> str:
    """Return what a reader sees, in one line."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


@pytest.fixture(scope="module", autouse=True)
def _quick_surrogates() -> Iterator[None]:
    """Try one kind of surrogate once: how well each predicts is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        quick = partial(surrogate, models=MODELS[:1], repeats=1)
        patch.setattr("analysis.questions.estimates.surrogate", quick)
        yield


@pytest.fixture(scope="module")
def context() -> Context:
    table = simulate(
        PLANTED, architectures=60, replicates=(8, 3), controls=3, failures=2, references=2, seed=2
    )
    return Context(
        table,
        bootstraps=24,
        facts={"commit": "0123abc", "weather": "<sunny>"},
        curves=curves_of(table),
        class_scores=classes_of(table),
    )


def changed(context: Context, **changes: object) -> Context:
    """Copy a context, with other results or another table."""
    results = {**context.results, **changes.pop("results", {})}  # type: ignore[dict-item]
    return replace(context, results=results, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(context: Context, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(context, tmp_path_factory.mktemp("report")).parent


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_page_loads_nothing_and_its_links_lead_somewhere(page: str, folder: Path) -> None:
    outline = Outline(page)
    assert [url for url in outline.loaded if not url.startswith("data:")] == []
    assert len(set(outline.identifiers)) == len(outline.identifiers)
    for link in outline.links:
        if link.startswith("#"):
            assert link[1:] in outline.identifiers
        else:
            assert (folder / link).is_file(), link


def test_every_figure_has_its_csv(context: Context, folder: Path, page: str) -> None:
    tables = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert {"front_macro_f1_flops", "front_macro_auroc_flops", "distribution_macro_f1"} <= tables
    assert {"recommendations", "learning_curves", "leak_check", "class_scores"} <= tables
    assert {"effects_at_equal_cost", "effects_of_levels", "error_law", "error_law_gates"} <= tables
    assert {"power", "learning_curve", "hypervolume", "ties"} <= tables
    for name in re.findall(r'<figure id="([^"]+)">', page):
        assert name in tables
    trials = pd.read_csv(folder / "tables" / "trials.csv")
    assert len(trials) == len(context.table.frame)


def test_banner_is_loud_for_synthetic_ecgs_and_absent_for_real_ones(
    context: Context, page: str, tmp_path: Path
) -> None:
    assert 'role="alert"' in page
    assert "Synthetic ECGs" in text_of(page)
    facts = replace(context.table.study, data={"synthetic": False})
    real = changed(context, table=replace(context.table, study=facts))
    assert "Synthetic ECGs" not in text_of(write_page(real, tmp_path).read_text("utf-8"))


def test_text_states_what_was_computed(context: Context, page: str) -> None:
    text = text_of(page)
    assert NOT_COMPUTED not in text
    designs = context.designs
    best = designs.iloc[int(designs["score"].to_numpy().argmax())]
    assert f"reached Macro-F1 {best['macro_f1']:.3f}" in text
    assert f"{len(designs)} randomly drawn network" in text
    assert "Negative control as expected: 3 control trials" in text
    assert "diverged: the loss became infinite" in text
    assert picks(context)
    for pick in picks(context):
        assert pick.architecture_hash[:8] in text


def test_effects_are_said_as_they_were_computed(context: Context, page: str) -> None:
    text, found = text_of(page), context.known(effects_at_equal_cost)
    assert found is not None
    assert found.settled
    for effect in found.settled:
        assert f"{effect_sentence(effect, difference('macro_f1'))}, p" in text
    top = text[text.index("What helps.") : text.index("How to scale.")]
    assert "residual connections (on against off) +" in top
    rest = len(found.effects) - len(found.settled)
    assert f"the other {rest} choices are not statistically significant" in top


def test_a_refused_law_is_said_with_its_reason_at_the_top(context: Context, page: str) -> None:
    laws = context.known(laws_of_shape)
    assert laws is not None
    assert not any(isinstance(law, ShapeLaw) and law.stands for law in laws)
    text = text_of(page)
    assert "How to scale. How depth and width should grow with compute cannot be read" in text
    assert not re.search(r"scaling law of \w+ and \w+ is identified(?!:|, as)", text)


def test_a_law_that_stands_is_said_with_the_designs_own_slope(context: Context) -> None:
    law = shape_law(simulate(LAW, architectures=300, seed=1), ["depth", "width"], bootstraps=60)
    assert isinstance(law, ShapeLaw)
    assert law.stands
    standing = changed(context, results={laws_of_shape: (law,)})
    (top,) = scaling(standing).sentences
    tenfold = 10 ** law.exponents[0].exponent.estimate
    assert f"the best depth becomes {tenfold:.1f} times as large" in top
    section = laws_section(standing)
    texts = " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))
    for exponent in law.exponents:
        assert f"the design's own slope {exponent.design_slope:.2f}" in texts
    names = {block.name for block in section.blocks if isinstance(block, GridBlock)}
    assert "shape_law_depth_width" in names


def test_only_cost_mattering_is_found_as_that(tmp_path: Path) -> None:
    table = simulate(FLOPS_ONLY, architectures=120, replicates=(12, 3), failures=10, seed=3)
    text = _text(table, tmp_path)
    assert "no design choice has a statistically significant effect" in text
    assert "the effect of shape is not statistically significant" in text
    assert "no factor has a statistically significant association with failing" in text
    assert "Surrogate not adequate: the best model" in text


def test_anybodys_optuna_study_gets_a_page(tmp_path: Path) -> None:
    def loss(trial: optuna.Trial) -> float:
        depth, rate = trial.suggest_int("depth", 1, 64, log=True), trial.suggest_float("rate", 0, 1)
        trial.set_user_attr("macs", 50.0 * depth)
        return 2 + depth**-0.3 + 0.5 * rate + float(noise.normal(0, 0.01))

    noise = np.random.default_rng(0)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name="theirs", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(loss, n_trials=60)
    text = _text(analysis.table(study, cost="macs"), tmp_path)
    # From the tenth to the ninth tenth of rate the loss rises by 0.4, so the sign is plus.
    found = re.search(r"these choices change the value: rate \([^)]*\) \+0\.(\d+) ±", text)
    assert found
    assert float(f"0.{found[1]}") == pytest.approx(0.4, abs=0.06)
    assert "To the left is better" in text
    assert "How these trials were drawn and scored is not known" in text
    assert "Of 60 networks, the one that scored best" in text


def test_what_users_wrote_is_escaped(page: str) -> None:
    assert "&lt;sunny&gt;" in page
    assert "<sunny>" not in page
    assert "<b>AF</b>" not in page


def test_same_results_give_the_same_page(context: Context, folder: Path, tmp_path: Path) -> None:
    again = write_page(context, tmp_path)
    assert again.read_bytes() == (folder / "report.html").read_bytes()


def _text(table: TrialTable, out: Path) -> str:
    text = text_of(write_report(table, out, bootstraps=20).read_text(encoding="utf-8"))
    assert NOT_COMPUTED not in text
    assert " nan" not in text
    return text


def test_five_trials(tmp_path: Path) -> None:
    table = simulate(PLANTED, architectures=10, replicates=(0, 1), seed=3)
    text = _text(replace(table, frame=table.frame.head(5)), tmp_path)
    assert "5 randomly drawn networks" in text
    assert "at least 20 are needed" in text
    assert "Not checked for leaks" in text


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_trials(count: int, tmp_path: Path) -> None:
    table = simulate(PLANTED, architectures=10, replicates=(0, 1), seed=3)
    text = _text(replace(table, frame=table.frame.head(count)), tmp_path)
    assert "What was found" in text


def test_all_failed(tmp_path: Path) -> None:
    table = simulate(PLANTED, architectures=10, replicates=(0, 1), seed=3)
    frame = table.frame.assign(state="failed", failure="out of memory", macro_f1=np.nan)
    text = _text(replace(table, frame=frame), tmp_path)
    assert "nothing to analyse yet" in text
    assert "out of memory 10" in text


def test_nothing_has_run_yet(tmp_path: Path) -> None:
    table = simulate(PLANTED, architectures=10, replicates=(0, 1), seed=3)
    frame = table.frame.assign(state="waiting", macro_f1=np.nan, macro_auroc=np.nan)
    text = _text(replace(table, frame=frame), tmp_path)
    assert "not finished" in text


def test_constant_scores(tmp_path: Path) -> None:
    table = simulate(PLANTED, architectures=30, replicates=(4, 3), seed=3)
    frame = table.frame.assign(macro_f1=0.5, macro_auroc=0.7)
    text = _text(replace(table, frame=frame), tmp_path)
    assert "Which design choices matter" in text


def test_no_replicates(tmp_path: Path) -> None:
    table = simulate(PLANTED, architectures=30, replicates=(0, 1), seed=3)
    text = _text(table, tmp_path)
    assert "Intervals, regret and correction for selection are missing" in text
    assert "Only observed fronts are drawn" in text


def test_a_bare_table_of_other_networks(tmp_path: Path) -> None:
    table = simulate(PLANTED, architectures=30, replicates=(0, 1), seed=3)
    names = [factor.name for factor in FACTORS]
    columns = ["trial", "state", "role", "architecture_hash", *names, "flops", "macro_f1"]
    bare = replace(table, frame=table.frame[columns], study=StudyFacts("bare", 30))
    text = _text(bare, tmp_path)
    assert "Macro-AUROC" not in text
    assert "No learning curves were given" in text


def test_picks_are_resolved_into_stages(context: Context, tmp_path: Path) -> None:
    space = load_space("ecg-cnn")
    (built,) = sample_architectures(space, 1, flops_range=(1e7, 1e8), bins=1, seed=1).architectures
    facts = replace(context.table.study, data={"samples": 500, "leads": 12, "outputs": 26})
    found = {p.budget: replace(p, architecture=built.to_json()) for p in picks(context)}
    resolved = changed(
        context,
        table=replace(context.table, study=facts),
        results={recommendations: found},
    )
    architecture = network(picks(resolved)[0])
    assert architecture is not None
    shape = study_shape(resolved.table)
    rows = stage_rows(shape, architecture)
    picture = drawing(shape, architecture, "ours", "as built")
    assert picture.svg.startswith("<svg")
    assert picture.caption == "as built"
    assert len(rows) == len(built.describe()) + 1
    assert rows["FLOPs"].iloc[-1] == short(built.cost(samples=500).flops)
    text = text_of(write_page(resolved, tmp_path).read_text("utf-8"))
    assert "with the exact cost of each for one ECG" in text


@pytest.mark.parametrize(
    ("aurocs", "kind", "word"),
    [
        ([], "caution", "Not checked"),
        ([0.52], "good", "as expected"),
        ([0.44], "caution", "undecided"),
        ([0.47, 0.53, 0.51], "good", "as expected"),
        ([0.72], "alarm", "FAILED"),
        ([0.68, 0.70, 0.71], "alarm", "FAILED"),
        ([0.40, 0.80], "caution", "undecided"),
    ],
)
def test_leak_verdicts(context: Context, aurocs: list[float], kind: str, word: str) -> None:
    frame = context.table.frame
    controls = frame[frame["role"] == "control"].head(len(aurocs)).assign(macro_auroc=aurocs)
    rest = frame[frame["role"] != "control"]
    table = replace(context.table, frame=pd.concat([rest, controls], ignore_index=True))
    verdict = judge_leak(table, context.class_scores)
    assert KINDS[verdict.outcome] == kind
    assert verdict.trials == len(aurocs)
    told = leak_paragraph(Context(table, class_scores=context.class_scores))
    assert word in told.text
    assert told.kind == kind


def test_pairs_of_choices_are_told_denied_or_refused(context: Context, planted: TrialTable) -> None:
    def told(found: Interactions | Refusal) -> str:
        blocks = pair_blocks(changed(context, results={effects_of_pairs: found}))
        return " ".join(block.text for block in blocks if isinstance(block, Paragraph))

    found = interactions(planted)
    assert isinstance(found, Interactions)
    off, on = found.settled[0].within
    text = told(found)
    assert f"of {len(found.pairs)} pairs of choices one depends on the other" in text
    assert "with residual connections off" in text
    assert f"{100 * off.effect.estimate:+.1f}".replace("-", "−") in text
    assert f"{100 * on.effect.estimate:+.1f}".replace("-", "−") in text
    none = replace(found, pairs=tuple(replace(pair, p_adjusted=1.0) for pair in found.pairs))
    assert f"none of {len(found.pairs)} pairs" in told(none)
    assert "Pairs of choices need 60 architectures" in told(context.of(effects_of_pairs))


@pytest.mark.breaks
def test_an_unforeseen_error_costs_one_part_and_is_told(small: TrialTable) -> None:
    def broken(_: Context) -> int:
        raise ZeroDivisionError("by nothing")

    context = Context(small)
    about = {"kind": "ZeroDivisionError", "text": "by nothing"}
    assert context.of(broken) == Refusal("report.broken", about)
    assert list(context.refusals()) == ["broken"]


def test_each_result_is_computed_once(small: TrialTable) -> None:
    asked: list[str] = []
    context = Context(small, progress=asked.append)
    assert context.of(effects_of_pairs) is context.of(effects_of_pairs)
    assert asked == ["effects of pairs"]
