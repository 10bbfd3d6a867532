"""Confirmation: who is chosen, and whether differences on test records are what was planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from analysis.confirmation.choose import RIVALS, choose_candidates
from analysis.confirmation.compare import compare, multiplier, two_sided
from analysis.confirmation.two_level import Run, bootstrap_networks, weighted_auroc, weighted_f1
from analysis.errors import AnalysisError
from analysis.pareto import estimate_front, shrink
from analysis.recommend import posterior
from analysis.study import StudyFacts
from analysis.trials import TrialTable
from ecgscale.confirm_commands import BudgetOption, ReferenceOption
from ecgscale.steps import BUDGETS
from models import ModelError, load_space, reference, sample_architectures
from models.references.budget import reference_within
from search.confirm import Confirmation, Entry
from search.outputs import Outputs
from search.records import Confirmed
from tests.analysis.simulate import FACTORS, simulate

CLASSES = ("AF", "NSR", "PVC", "LBBB")
SHAPE = {"samples": 1000, "leads": 12, "outputs": 26}


def test_weighted_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((80, 3)) < 0.3
    values = rng.integers(0, 12, (80, 3)) / 12  # with ties
    weights = rng.integers(0, 4, (5, 80)).astype(float)
    decided = values > 0.6
    areas, f1 = weighted_auroc(truth, values, weights), weighted_f1(truth, decided, weights)
    for draw in range(5):
        for column in range(3):
            want = roc_auc_score(truth[:, column], values[:, column], sample_weight=weights[draw])
            assert areas[draw, column] == pytest.approx(want, abs=1e-12)
            want = f1_score(truth[:, column], decided[:, column], sample_weight=weights[draw])
            assert f1[draw, column] == pytest.approx(want, abs=1e-12)


def test_undefined_classes_are_left_out() -> None:
    truth, values = np.array([[True, False], [False, False]]), np.array([[0.9, 0.1], [0.2, 0.1]])
    once, never = np.array([[1.0, 1.0]]), np.array([[0.0, 1.0]])
    assert np.isnan(weighted_auroc(truth, values, once)[0, 1])
    assert np.isnan(weighted_auroc(truth, values, never)[0, 0])
    assert np.isnan(weighted_f1(truth, values > 0.5, never)[0]).all()
    assert weighted_f1(truth, values > 0.5, once)[0, 0] == 1


def make_outputs(
    strengths: dict[str, float],
    rng: np.random.Generator,
    *,
    records: int = 400,
    seeds: int = 3,
    spread: float = 0.1,
) -> tuple[np.ndarray, np.ndarray, dict[str, list[np.ndarray]]]:
    """Labels, patients and, per network and seed, probabilities that see labels this well."""
    patients = np.repeat(np.arange(records // 2), 2)
    prevalence = np.array([0.3, 0.5, 0.1, 0.05])
    labels = rng.random((records, len(CLASSES))) < prevalence
    shared = rng.standard_normal(labels.shape)
    outputs = {}
    for name, strength in strengths.items():
        outputs[name] = []
        for _ in range(seeds):
            own = strength + spread * rng.standard_normal()
            noise = 0.7 * shared + 0.7 * rng.standard_normal(labels.shape)
            outputs[name].append(1 / (1 + np.exp(-(own * labels + noise - 1))))
    return labels, patients, outputs


def runs_of(outputs: dict[str, list[np.ndarray]]) -> dict[str, list[Run]]:
    cuts = np.full(len(CLASSES), 0.5)
    return {name: [Run(one, cuts) for one in own] for name, own in outputs.items()}


@pytest.mark.slow
def test_intervals_of_a_difference_cover_at_their_rate() -> None:
    """Equal networks: the interval of their difference holds 0 about 95 times in 100."""
    covered, small = [], []
    for trial in range(150):
        rng = np.random.default_rng(trial)
        strengths = {"a": 1.0, "b": 1.0}
        labels, patients, outputs = make_outputs(strengths, rng, spread=0.0, seeds=4)
        draws = bootstrap_networks(labels, patients, runs_of(outputs), rng, draws=300)
        drawn = draws.difference("macro_auroc", "a", "b")
        low, high = np.quantile(drawn, [0.025, 0.975])
        covered.append(low <= 0 <= high)
        small.append(two_sided(drawn) < 0.05)
    assert np.mean(covered) >= 0.90
    assert np.mean(small) <= 0.10


def test_pairing_by_patient_narrows_the_interval() -> None:
    rng = np.random.default_rng(1)
    labels, patients, outputs = make_outputs({"a": 1.2, "b": 1.0}, rng, spread=0.0)
    draws = bootstrap_networks(labels, patients, runs_of(outputs), rng, draws=400)
    paired = draws.difference("macro_auroc", "a", "b").std()
    apart = np.hypot(*(draws.scores["macro_auroc"][name].std() for name in "ab"))
    assert paired < 0.9 * apart


def test_patients_are_drawn_whole() -> None:
    """Records of one patient that say the same are worth one record."""
    rng = np.random.default_rng(2)
    labels, _, outputs = make_outputs({"a": 1.0}, rng, records=100, seeds=1)
    many = np.repeat(labels, 6, axis=0)
    runs = {"a": [Run(np.repeat(outputs["a"][0], 6, axis=0), np.full(4, 0.5))]}
    same = np.repeat(np.arange(100), 6)
    whole = bootstrap_networks(many, same, runs, rng, draws=400).scores["macro_auroc"]["a"].std()
    single = bootstrap_networks(many, np.arange(600), runs, rng, draws=400)
    assert whole > 1.8 * single.scores["macro_auroc"]["a"].std()


@pytest.fixture(scope="module")
def study() -> TrialTable:
    """A simulated study whose networks can be built."""
    simulated = simulate(architectures=120, flops_range=(3e6, 3e8), seed=4)
    drawn = sample_architectures(
        load_space("ecg-cnn"), 120, flops_range=(3e6, 3e8), bins=6, seed=4, **SHAPE
    )
    frame = simulated.frame.copy()
    hashes = frame.loc[frame["role"] == "sample", "architecture_hash"].tolist()
    made = dict(zip(hashes, drawn.architectures, strict=True))
    for place, row in frame.iterrows():
        network = made[row["architecture_hash"]]
        cost = network.cost(**SHAPE)
        frame.loc[place, ["flops", "params", "activations"]] = (
            cost.flops, cost.params, cost.activations,
        )  # fmt: skip
        frame.loc[place, "architecture"] = network.to_json()
        frame.loc[place, "architecture_hash"] = network.hash
    facts = StudyFacts("simulated", len(frame), {"space": "ecg-cnn"}, {**SHAPE, "records": 2000})
    return TrialTable(frame, FACTORS, facts)


def test_candidates_are_the_best_by_estimate_within_the_budget(study: TrialTable) -> None:
    estimated = posterior(study)
    chosen = choose_candidates(
        study, [3e7, 1e8], top=4, references=("resnet18", "densenet121"), shrunken=estimated,
        **SHAPE,
    )  # fmt: skip
    designs = study.designs()
    for budget in (3e7, 1e8):
        own = [c for c in chosen.candidates if c.budget == budget]
        searched = [c for c in own if c.group == "searched"]
        assert len(searched) == 4
        cost = designs["flops"].to_numpy()
        near = (cost <= budget) & (cost >= 0.75 * budget)
        order = np.flatnonzero(near)[np.argsort(-estimated.mean[near])][:4]
        assert [c.architecture.hash for c in searched] == list(
            designs["architecture_hash"].iloc[order]
        )
        for candidate in own:
            assert candidate.architecture.cost(**SHAPE).flops <= budget
    names = [c.name for c in chosen.candidates if c.group == "reference"]
    assert all(name.startswith("resnet18") for name in names)
    assert any("densenet121" in note for note in chosen.notes)


def test_budget_outside_the_study_is_refused(study: TrialTable) -> None:
    with pytest.raises(AnalysisError, match="choose a larger budget"):
        choose_candidates(study, [1e5], **SHAPE)
    chosen = choose_candidates(study, [1e5, 3e7], references=(), **SHAPE)
    assert {c.budget for c in chosen.candidates} == {3e7}
    assert chosen.notes[0].startswith("100k: The cheapest network")


def test_the_help_names_the_default_rivals_and_budgets() -> None:
    references, budgets = (
        option.__metadata__[0].help for option in (ReferenceOption, BudgetOption)
    )
    assert references.split("Default: ")[1].rstrip(".").split(", ") == list(RIVALS)
    assert all(budget in budgets for budget in BUDGETS)


@pytest.mark.parametrize("budget", [3e7, 1e8, 1e9])
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "convnext-atto", "isibrno"])
def test_reference_is_the_widest_within_the_budget(name: str, budget: float) -> None:
    network = reference_within(name, budget, **SHAPE)
    flops = network.cost(**SHAPE).flops
    assert budget / 2 <= flops <= budget
    _, _, multiplier_text = network.name.partition("@")
    wider = reference(f"{name}@{float(multiplier_text or 1) + 0.05:.2f}")
    assert wider.cost(**SHAPE).flops > flops


def confirmed_of(
    strengths: dict[str, tuple[float, str]], study: TrialTable, *, seed: int = 0
) -> Confirmed:
    """A confirmation at one budget of networks that see labels so well."""
    rng = np.random.default_rng(seed)
    labels, patients, outputs = make_outputs({n: s for n, (s, _) in strengths.items()}, rng)
    rows, kept, cuts = [], {}, {}
    for name, own in outputs.items():
        for place, values in enumerate(own):
            trial = len(rows)
            rows.append(
                {
                    "trial": trial, "role": "confirm", "state": "complete", "seed": place,
                    "architecture_hash": name, "learning_rate": 5e-3, "flops": 9e7, "params": 1e5,
                    "activations": 1e5, "macro_f1": 0.5 + strengths[name][0] / 10 + place / 1000,
                }
            )  # fmt: skip
            kept[trial] = Outputs(
                values.astype(np.float32), labels.astype(np.uint8), patients, ("x",) * len(labels)
            )
            cuts[trial] = np.full(len(CLASSES), 0.5)
    entries = tuple(Entry(n, 1e8, group, n) for n, (_, group) in strengths.items())
    rounds = (Confirmation(entries, 3, (5e-3,)),)
    return Confirmed(rounds, pd.DataFrame(rows), kept, cuts, CLASSES)


def test_planted_difference_is_found_and_an_absent_one_is_not(study: TrialTable) -> None:
    strengths = {
        "good": (2.0, "searched"),
        "weaker": (1.5, "searched"),
        "equal": (2.0, "reference"),
        "poor": (0.8, "reference"),
        "with": (2.0, "law"),
        "opposite": (1.0, "against the law"),
    }
    confirmed = confirmed_of(strengths, study)
    found = compare(study, confirmed, shrunken=posterior(study), draws=400)
    best = found.best(1e8)
    assert best is not None
    assert best.name == "good"
    by_second = {d.second: d for d in found.differences if d.metric == "macro_auroc"}
    assert set(by_second) == {"equal", "poor", "against the law"}
    assert by_second["poor"].estimate.low > 0.05
    assert by_second["poor"].p_adjusted < 0.05
    assert by_second["equal"].estimate.low < 0 < by_second["equal"].estimate.high
    assert by_second["equal"].p_adjusted > 0.05
    assert by_second["against the law"].estimate.low > 0
    want = np.mean(
        [
            roc_auc_score(o.labels, o.probabilities, average="macro")
            for t, o in confirmed.outputs.items()
            if confirmed.trials["architecture_hash"][t] == "good"
        ]
    )
    assert best.test["macro_auroc"].value == pytest.approx(want, abs=1e-12)
    assert best.test["macro_auroc"].low < want < best.test["macro_auroc"].high
    assert best.neighbours > 5
    frame = found.to_frame()
    assert len(frame) == 6
    assert found.records == 400
    assert found.patients == 200


def test_learning_rate_is_chosen_on_validation_records(study: TrialTable) -> None:
    confirmed = confirmed_of({"a": (1.0, "searched"), "b": (1.0, "reference")}, study)
    trials = confirmed.trials.copy()
    of_b = trials["architecture_hash"] == "b"
    trials.loc[of_b, "learning_rate"] = [1e-3, 5e-3, 5e-3]
    trials.loc[of_b, "macro_f1"] = [0.9, 0.1, 0.2]
    changed = Confirmed(confirmed.rounds, trials, confirmed.outputs, confirmed.thresholds, CLASSES)
    of = {c.name: c for c in compare(study, changed, draws=50).contestants}
    assert of["b"].learning_rate == 1e-3
    assert of["b"].seeds == 1
    assert of["b"].validation == pytest.approx(0.9)
    assert of["a"].seeds == 3


def test_only_the_first_round_counts(study: TrialTable) -> None:
    confirmed = confirmed_of({"a": (1.0, "searched"), "b": (1.0, "reference")}, study)
    first = Confirmation((confirmed.rounds[0].entries[0],), 3, (5e-3,))
    second = Confirmation((confirmed.rounds[0].entries[1],), 3, (5e-3,))
    twice = Confirmed(
        (first, second), confirmed.trials, confirmed.outputs, confirmed.thresholds, CLASSES
    )
    found = compare(study, twice, draws=20)
    assert [c.name for c in found.contestants] == ["a"]
    assert found.rounds == 2


@pytest.mark.parametrize(("name", "told"), [("resnet101", "narrowest"), ("resnet50", "step from")])
def test_reference_that_does_not_fit_says_why(name: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        reference_within(name, 1e7 if told == "narrowest" else 6e7, **SHAPE)


def test_without_a_confirmation_it_says_what_to_do(study: TrialTable) -> None:
    nothing = Confirmed((), pd.DataFrame(), {}, {}, CLASSES)
    with pytest.raises(AnalysisError, match="ecgscale confirm"):
        compare(study, nothing)
    planned = Confirmed(
        (Confirmation((Entry("a", 1e8, "searched", "a"),), 1, (1e-3,)),),
        pd.DataFrame({"architecture_hash": [], "trial": [], "learning_rate": [], "macro_f1": []}),
        {}, {}, CLASSES,
    )  # fmt: skip
    with pytest.raises(AnalysisError, match="run the workers"):
        compare(study, planned)


def test_multiplier_of_a_front_that_is_known() -> None:
    """Score = log10(cost) / 10: a network of 1e8 FLOPs that scores 0.7 needs ten times too many."""
    cost = np.geomspace(1e6, 1e9, 200)
    score = np.log10(cost) / 10
    known = shrink(score, np.ones(200), np.full(200, 1e-10), score)
    front = estimate_front(cost, score, known, np.random.default_rng(0), grid_points=301)
    found = multiplier(front, 1e8, 0.7)
    assert found.times == pytest.approx(10, rel=0.05)
    assert found.low <= found.times <= found.high
    assert found.bound == ""
    assert multiplier(front, 1e8, 0.95).bound == "at most"
    assert multiplier(front, 1e8, 0.1).bound == "at least"
