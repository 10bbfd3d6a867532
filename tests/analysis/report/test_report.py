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
from analysis.questions.budgets.section import drawing, stage_rows
from analysis.questions.budgets.section import resolved as network
from analysis.questions.effects.interactions import Interactions, interactions
from analysis.questions.effects.pairs import pair_blocks
from analysis.questions.effects.section import difference_of
from analysis.questions.effects.section import sentence as effect_sentence
from analysis.questions.laws.section import laws_section
from analysis.questions.laws.shape import shape_law
from analysis.questions.trust.leak import judge_leak
from analysis.report.computing import compute
from analysis.report.findings import scaling_sentences
from analysis.report.results import NOT_COMPUTED, Results
from analysis.report.write import write_report, write_results
from analysis.surrogates.candidates import CANDIDATES
from analysis.surrogates.surrogate import surrogate
from analysis.trials.table import StudyFacts, TrialTable
from models import load_space, sample_architectures
from tests.analysis.simulate import FACTORS, FLOPS_ONLY, LAW, PLANTED, simulate


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
        quick = partial(surrogate, candidates=CANDIDATES[:1], repeats=1)
        patch.setattr("analysis.report.computing.surrogate", quick)
        yield


@pytest.fixture(scope="module")
def results() -> Results:
    table = simulate(
        PLANTED, architectures=60, replicates=(8, 3), controls=3, failures=2, references=2, seed=2
    )
    return compute(
        table,
        bootstraps=24,
        facts={"commit": "0123abc", "weather": "<sunny>"},
        curves=curves_of(table),
        class_scores=classes_of(table),
    )


@pytest.fixture(scope="module")
def folder(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(results, tmp_path_factory.mktemp("report")).parent


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


def test_every_figure_has_its_csv(results: Results, folder: Path, page: str) -> None:
    tables = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert {"front_macro_f1_flops", "front_macro_auroc_flops", "distribution_macro_f1"} <= tables
    assert {"recommendations", "learning_curves", "leak_check", "class_scores"} <= tables
    assert {
        "effects_at_equal_cost",
        "effects_of_levels",
        "trends",
        "error_law",
        "error_law_gates",
    } <= tables
    assert {"power", "networks_needed", "learning_curve", "hypervolume", "ties"} <= tables
    for name in re.findall(r'<figure id="([^"]+)">', page):
        assert name in tables
    trials = pd.read_csv(folder / "tables" / "trials.csv")
    assert len(trials) == len(results.table.frame)


def test_banner_is_loud_for_synthetic_ecgs_and_absent_for_real_ones(
    results: Results, page: str, tmp_path: Path
) -> None:
    assert 'role="alert"' in page
    assert "Synthetic ECGs" in text_of(page)
    facts = replace(results.table.study, data={"synthetic": False})
    real = replace(results, table=replace(results.table, study=facts))
    assert "Synthetic ECGs" not in text_of(write_results(real, tmp_path).read_text("utf-8"))


def test_text_states_what_was_computed(results: Results, page: str) -> None:
    text = text_of(page)
    assert NOT_COMPUTED not in text
    designs = results.designs
    best = designs.iloc[int(designs["score"].to_numpy().argmax())]
    assert f"reached Macro-F1 {best['macro_f1']:.3f}" in text
    assert f"{len(designs)} randomly drawn network" in text
    assert "Leak check passed: 3 control trials" in text
    assert "diverged: the loss became infinite" in text
    for pick in results.recommendations:
        if pick.refusal is None:
            assert pick.architecture_hash[:8] in text


def test_effects_are_said_as_they_were_computed(results: Results, page: str) -> None:
    text, found = text_of(page), results.effects
    assert found is not None
    told = [effect for effect in found.effects if effect.settled]
    assert told
    for effect in told:
        assert f"{effect_sentence(effect, difference('macro_f1'))}, p" in text
    top = text[text.index("What helps.") : text.index("How to scale.")]
    assert "residual connections (on against off) +" in top
    assert f"the other {len(found.effects) - len(told)} choices could not be told" in top


def test_a_refused_law_is_said_with_its_reason_at_the_top(results: Results, page: str) -> None:
    assert all(law.refusal for law in results.shape_laws)
    text = text_of(page)
    assert "How to scale. How depth and width should grow with compute cannot be read" in text
    assert not re.search(r"scaling law of \w+ and \w+ is identified(?!:)", text)


def test_a_law_that_stands_is_said_with_the_designs_own_slope(results: Results) -> None:
    law = shape_law(simulate(LAW, architectures=300, seed=1), ["depth", "width"], bootstraps=60)
    assert law.refusal is None
    standing = replace(results, shape_laws=(law,))
    (top,) = scaling_sentences(standing)
    tenfold = 10 ** law.exponents[0].exponent
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
    assert "no design choice changes the score beyond doubt" in text
    assert "at equal compute, shape makes no difference" in text
    assert "At equal compute no factor goes with failing beyond chance" in text
    assert "no surrogate is adequate" in text


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


def test_same_results_give_the_same_page(results: Results, folder: Path, tmp_path: Path) -> None:
    again = write_results(results, tmp_path)
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
    assert "Intervals, regret and correction for luck are missing" in text
    assert "Only observed fronts are drawn" in text


def test_a_bare_table_of_other_networks(tmp_path: Path) -> None:
    table = simulate(PLANTED, architectures=30, replicates=(0, 1), seed=3)
    names = [factor.name for factor in FACTORS]
    columns = ["trial", "state", "role", "architecture_hash", *names, "flops", "macro_f1"]
    bare = replace(table, frame=table.frame[columns], study=StudyFacts("bare", 30))
    text = _text(bare, tmp_path)
    assert "Macro-AUROC" not in text
    assert "No learning curves were given" in text


def test_picks_are_resolved_into_stages(results: Results, tmp_path: Path) -> None:
    space = load_space("ecg-cnn")
    (built,) = sample_architectures(space, 1, flops_range=(1e7, 1e8), bins=1, seed=1).architectures
    facts = replace(results.table.study, data={"samples": 500, "leads": 12, "outputs": 26})
    picks = [replace(r, architecture=built.to_json()) for r in results.recommendations]
    resolved = replace(
        results, table=replace(results.table, study=facts), recommendations=tuple(picks)
    )
    architecture = network(next(pick for pick in picks if pick.refusal is None))
    assert architecture is not None
    rows = stage_rows(resolved, architecture)
    assert drawing(resolved, architecture).svg.startswith("<svg")
    assert rows is not None
    assert len(rows) == len(built.describe()) + 1
    assert rows["FLOPs"].iloc[-1] == short(built.cost(samples=500).flops)
    text = text_of(write_results(resolved, tmp_path).read_text("utf-8"))
    assert "with the exact cost of each for one ECG" in text


@pytest.mark.parametrize(
    ("aurocs", "kind", "word"),
    [
        ([], "caution", "Not checked"),
        ([0.52], "good", "passed"),
        ([0.44], "caution", "undecided"),
        ([0.47, 0.53, 0.51], "good", "passed"),
        ([0.72], "alarm", "FAILED"),
        ([0.68, 0.70, 0.71], "alarm", "FAILED"),
        ([0.40, 0.80], "caution", "undecided"),
    ],
)
def test_leak_verdicts(results: Results, aurocs: list[float], kind: str, word: str) -> None:
    frame = results.table.frame
    controls = frame[frame["role"] == "control"].head(len(aurocs)).assign(macro_auroc=aurocs)
    rest = frame[frame["role"] != "control"]
    table = replace(results.table, frame=pd.concat([rest, controls], ignore_index=True))
    verdict = judge_leak(replace(results, table=table))
    assert verdict.kind == kind
    assert word in verdict.text
    assert verdict.trials == len(aurocs)


def test_pairs_of_choices_are_told_denied_or_refused(results: Results, planted: TrialTable) -> None:
    def told(found: Interactions | None) -> str:
        blocks = pair_blocks(replace(results, interactions=found), difference_of(results))
        return " ".join(block.text for block in blocks if isinstance(block, Paragraph))

    found = interactions(planted)
    off, on = found.settled[0].within
    text = told(found)
    assert f"of {len(found.pairs)} pairs of choices one depends on the other" in text
    assert "with residual connections off" in text
    assert f"{100 * off.estimate:+.1f}".replace("-", "−") in text
    assert f"{100 * on.estimate:+.1f}".replace("-", "−") in text
    none = replace(found, pairs=tuple(replace(pair, p_adjusted=1.0) for pair in found.pairs))
    assert f"None of {len(found.pairs)} pairs" in told(none)
    assert "Not tried: pairs of choices need 60 architectures" in told(results.interactions)
    assert "Not tried: not computed." in told(None)
