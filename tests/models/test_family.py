"""The networks handed out: what their files say is what they cost, and what the study found."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from models import ModelError, family, family_names, find_architecture
from models.build import build
from models.family import provenance

STUDIES = Path(__file__).parents[2] / "studies"


def test_the_family_is_one_network_per_budget_the_cheapest_first():
    assert family_names() == ("ecgscale-xs", "ecgscale-s", "ecgscale-m", "ecgscale-l")
    budgets = [provenance(name)["budget_flops"] for name in family_names()]
    assert budgets == [1e7, 3e7, 1e8, 3e8]


@pytest.mark.parametrize("name", family_names())
def test_a_network_costs_what_its_file_says_and_runs(name, measured_cost):
    network, known = family(name), provenance(name)
    assert find_architecture(name) == network
    assert network.name == name
    shape = known["input"]
    cost = network.cost(**shape)
    assert (cost.flops, cost.params) == (known["costs"]["flops"], known["costs"]["params"])
    assert cost.flops <= known["budget_flops"]
    built = build(network, leads=shape["leads"], outputs=shape["outputs"]).eval()
    assert cost == measured_cost(built, shape["leads"], shape["samples"])
    records = torch.randn(2, shape["leads"], shape["samples"])
    assert built(records).shape == (2, shape["outputs"])


@pytest.mark.parametrize("name", family_names())
def test_its_scores_are_those_of_the_published_report(name):
    known = provenance(name)
    assert not known["synthetic_data"]
    table = pd.read_csv(STUDIES / known["study"] / "report" / "tables" / "confirmed.csv")
    own = table[table["architecture_hash"] == family(name).hash]
    own = own[own["budget"] == known["budget_flops"]]
    assert own["group"].tolist() in (["searched"], ["law"])
    for metric, score in known["test"].items():
        row = own.iloc[0]
        assert score["mean"] == pytest.approx(row[f"test_{metric}"])
        assert score["low"] == pytest.approx(row[f"test_{metric}_low"])
        assert score["high"] == pytest.approx(row[f"test_{metric}_high"])


def test_another_name_is_told_what_there_is():
    with pytest.raises(ModelError, match=r"ecgscale-xs, .*'ecgscale-xxl'"):
        family("ecgscale-xxl")
    with pytest.raises(ModelError, match=r"ecgscale-m.*resnet18"):
        find_architecture("ecgscale-xxl")
