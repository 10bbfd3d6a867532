"""Costs against torch's own counters, which know nothing of our formulas."""

import numpy as np
import pytest
from torch import nn

from models import Cost, ModelError, load_space
from models.build import build


def test_cost_of_200_random_architectures_is_what_torch_counts(ecg_cnn, draw, measured_cost):
    rng = np.random.default_rng(1)
    for architecture in draw(ecg_cnn, 200, seed=1):
        leads, outputs = int(rng.integers(1, 16)), int(rng.integers(1, 40))
        samples = int(rng.integers(1, 700))
        network = build(architecture, leads=leads, outputs=outputs)
        assert architecture.cost(samples, leads, outputs) == measured_cost(network, leads, samples)


@pytest.mark.parametrize("name", ["ecg-cnn-2", "regnet1d", "ecg-hybrid"])
def test_cost_of_the_other_spaces_is_what_torch_counts(draw, name, measured_cost):
    rng = np.random.default_rng(5)
    for architecture in draw(load_space(name), 25, seed=5):
        samples = int(rng.integers(1, 600))
        network = build(architecture, leads=3, outputs=4)
        assert architecture.cost(samples, 3, 4) == measured_cost(network, 3, samples)


def test_flops_of_convolutions_double_with_the_length_and_parameters_stay(ecg_cnn, draw):
    # What does not depend on the length is the linear layers (gates and head): 2 FLOPs a weight.
    # The length must be divisible by all halvings, else a half sample is rounded up.
    for architecture in draw(ecg_cnn, 50, seed=2):
        linear = sum(
            2 * module.weight.numel()
            for module in build(architecture).modules()
            if isinstance(module, nn.Linear)
        )
        once, twice = architecture.cost(1024), architecture.cost(2048)
        assert twice.flops - linear == 2 * (once.flops - linear)
        assert twice.activations == 2 * once.activations
        assert twice.params == once.params


def test_describe_sums_to_the_cost(ecg_cnn, draw):
    for architecture in draw(ecg_cnn, 20, seed=3):
        rows = architecture.describe(samples=777, leads=3, outputs=5)
        total = Cost(*(sum(getattr(row, key) for row in rows) for key in Cost.__slots__))
        assert total == architecture.cost(777, 3, 5)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"leads": -1}, {"outputs": 0}])
def test_nothing_to_count_is_an_error(ecg_cnn, draw, wrong):
    with pytest.raises(ModelError, match="expected at least 1"):
        draw(ecg_cnn, 1)[0].cost(**wrong)
