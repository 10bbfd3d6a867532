import math
import time

import numpy as np
import pytest
from scipy import stats

from models import Factor, ModelError, sample_architectures, sampling
from models.space_file import space_from_table

RANGE = (3e6, 3e8)


@pytest.fixture(scope="module")
def sample():
    from models import load_space

    return sample_architectures(load_space("ecg-cnn"), 100, flops_range=RANGE, bins=10, seed=4)


def test_bins_are_filled_equally_and_by_flops(sample):
    assert np.bincount(sample.bins).tolist() == [10] * 10
    assert sample.accepted == (10,) * 10
    widths = np.diff(np.log(sample.edges))
    assert np.allclose(widths, widths[0])
    assert (sample.edges[0], sample.edges[-1]) == pytest.approx(RANGE)
    for architecture, place in zip(sample.architectures, sample.bins, strict=True):
        low, high = sample.edges[place : place + 2]
        assert low * (1 - 1e-9) <= architecture.cost().flops <= high * (1 + 1e-9)


def test_any_prefix_is_balanced(sample):
    for stop in range(1, 101):
        counts = np.bincount(sample.bins[:stop], minlength=10)
        assert counts.max() - counts.min() <= 1


def test_no_network_comes_twice(sample):
    assert len({architecture.hash for architecture in sample.architectures}) == 100


def test_the_seed_decides_everything(ecg_cnn, sample):
    again = sample_architectures(ecg_cnn, 100, flops_range=RANGE, bins=10, seed=4)
    assert again == sample
    other = sample_architectures(ecg_cnn, 100, flops_range=RANGE, bins=10, seed=5)
    assert other.architectures != sample.architectures


def test_a_count_that_bins_do_not_divide_is_shared_out(ecg_cnn):
    sample = sample_architectures(ecg_cnn, 23, flops_range=RANGE, bins=5, seed=0)
    assert sample.accepted == (5, 5, 5, 4, 4)
    assert np.bincount(sample.bins).tolist() == [5, 5, 5, 4, 4]


def test_acceptance_is_recorded_and_undoes_the_stratification(ecg_cnn):
    """The share of proposals in a bin estimates the space's own share of that bin."""
    sample = sample_architectures(ecg_cnn, 60, flops_range=RANGE, bins=3, seed=8)
    rng = np.random.default_rng(99)
    flops = []
    for _ in range(2000):
        values = {factor.name: factor.draw(rng, 1)[0] for factor in ecg_cnn.factors}
        flops.append(ecg_cnn.resolve(values).cost().flops)
    truth, _ = np.histogram(flops, sample.edges)
    table = [
        [*sample.hits, sample.proposals - sum(sample.hits)],
        [*truth, len(flops) - truth.sum()],
    ]
    assert stats.chi2_contingency(table).pvalue > 1e-3
    assert all(hit >= kept for hit, kept in zip(sample.hits, sample.accepted, strict=True))


def test_factors_stay_independent_within_the_sample_of_proposals(ecg_cnn):
    rng = np.random.default_rng(0)
    columns = [factor.draw(rng, 5000) for factor in ecg_cnn.factors if factor.kind != "choice"]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 4 / math.sqrt(5000)


def test_flops_are_those_of_the_given_record(ecg_cnn):
    sample = sample_architectures(
        ecg_cnn, 6, flops_range=(1e6, 1e7), bins=2, seed=0, samples=250, leads=1, outputs=5
    )
    assert all(1e6 <= a.cost(250, 1, 5).flops <= 1e7 for a in sample.architectures)


def test_500_unique_architectures_in_under_two_seconds(ecg_cnn):
    start = time.process_time()
    sample = sample_architectures(ecg_cnn, 500, flops_range=(3e6, 3e8), bins=10, seed=0)
    seconds = time.process_time() - start
    assert len(sample.architectures) == 500
    assert seconds < 2 * 3  # three times the claim: test machines are busy


@pytest.mark.parametrize("flops_range", [(1e17, 1e18), (1e3, 1e8)])
def test_an_impossible_range_says_what_the_space_offers(ecg_cnn, flops_range):
    with pytest.raises(ModelError, match=r"98 % lie between \d\.\d+e\+06 and \d\.\d+e\+10"):
        sample_architectures(ecg_cnn, 10, flops_range=flops_range, bins=5)


@pytest.mark.parametrize(
    "wrong",
    [{"flops_range": (10, 1)}, {"count": 0}, {"bins": 0}, {"bins": 20}, {"count": 3}],
)
def test_a_senseless_request_is_refused(ecg_cnn, wrong):
    request = {"count": 10, "flops_range": RANGE, "bins": 5, **wrong}
    with pytest.raises(ModelError, match="expected 0 < low < high"):
        sample_architectures(ecg_cnn, request.pop("count"), **request)


ONE_SHAPE = {
    "depth": 6, "stages": 3, "width": 32, "kernel_size": 5, "stem_kernel": 7, "expansion": 1.0,
    "grouping": "dense", "se_ratio": 0.0,
}  # fmt: skip


def test_more_networks_than_points_are_refused_before_any_is_drawn(monkeypatch):
    space = space_from_table({"factors": {**ONE_SHAPE, "width_growth": 1.5}}, "tiny")
    monkeypatch.setattr(np.random, "default_rng", None)
    with pytest.raises(ModelError, match="only 2 points"):
        sample_architectures(space, 3, flops_range=(1e3, 1e12), bins=1)


def test_a_search_that_finds_nothing_new_ends(monkeypatch):
    monkeypatch.setattr(sampling, "LONGEST_WAIT", 2_000)
    growth = {"low": 1.0, "high": 1.01}  # infinitely many points, two networks
    space = space_from_table({"factors": {**ONE_SHAPE, "width_growth": growth}}, "tiny")
    with pytest.raises(ModelError, match="found 2 in 2304 proposals"):
        sample_architectures(space, 20_000, flops_range=(1e3, 1e12), bins=1)


@pytest.mark.parametrize(
    ("factor", "values"),
    [
        (Factor.choice("x", 1, 2, 5), 3),
        (Factor.integer("x", 3, 24, log=True), 22),
        (Factor.integer("x", 32, 64, step=8), 5),
        (Factor.real("x", 1.1, 3.0, step=0.1), 20),
        (Factor.real("x", 2.0, 2.0), 1),
        (Factor.real("x", 1.0, 2.0), math.inf),
    ],
)
def test_a_factor_counts_its_values(factor, values):
    assert factor.values == values
    drawn = set(factor.draw(np.random.default_rng(0), 3000))
    assert len(drawn) == min(values, 3000)
