"""Definitions load as they always did, and their reference says what they allow."""

from __future__ import annotations

import gzip
import hashlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_pipeline import PrepareOptions
from models import Factor, Space, load_space
from search.definition import StudyDefinition
from search.template import template
from search.training.recipe import Recipe

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "studies" / "ecg-cnn-2320"
# Hashes of the recipe and of the definition, from before pydantic checked them.
STORED = {
    "study": ("72c26a4734ccb3ae", "efccfa663dd94ab7"),
    "generality/fraction-30": ("c103848a870d1f74", "b5f3455a21043284"),
    "generality/hybrid": ("72c26a4734ccb3ae", "9b365049372181d3"),
    "generality/without-cpsc": ("72c26a4734ccb3ae", "c6ff75009910637c"),
}


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", STORED)
def test_published_studies_keep_their_hashes(name: str) -> None:
    with gzip.open(STUDIES / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        stored = {key: json.loads(value) for key, value in json.loads(next(lines))["user"].items()}
    definition = StudyDefinition.from_stored(stored["definition"])
    assert (definition.recipe.hash, definition.hash) == STORED[name]
    plain = definition.to_dict()
    assert plain["recipe"].pop("empty_classes") == "challenge", "the rule of before it was a choice"
    assert plain["recipe"].pop("weight_decay_per") == "step", "as before it was a choice"
    assert {plain["recipe"].pop(name) for name in ("init", "init_hash")} == {""}
    assert plain.pop("scores") == {"primary": "macro_f1", "fewest_positives": 5}
    assert json.dumps(plain) == json.dumps(stored["definition"])
    factors = tuple(Factor.from_dict(factor) for factor in stored["factors"])
    assert factors == load_space(definition.space).factors
    space = Space.from_dict({**stored["space"], "factors": stored["factors"]})
    assert space == load_space(definition.space)


def test_files_keep_their_hashes() -> None:
    published = StudyDefinition.from_toml(STUDIES / "study.toml")
    assert (published.recipe.hash, published.hash) == STORED["study"]
    demo = StudyDefinition.from_toml(ROOT / "ecgscale" / "demo.toml")
    rules = {"empty_classes": "challenge", "weight_decay": 0.05, "weight_decay_per": "step"}
    before = replace(demo, recipe=replace(demo.recipe, **rules))
    assert (before.recipe.hash, before.hash) == ("d464476ca5c5fd10", "e3a48a1ffb3e612a")
    assert Recipe(**rules).hash == "c103848a870d1f74"
    for name in ("empty_classes", "weight_decay_per"):
        assert Recipe(**{name: rules[name]}).hash != Recipe().hash


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ecg-cnn", "d5d3e658ed8c37ba"),
        ("ecg-hybrid", "013b0e543e8d41c8"),
        ("regnet1d", "2c0a7bb346dbbd1f"),
    ],
)
def test_built_in_spaces_are_what_they_were(name: str, expected: str) -> None:
    assert digest(load_space(name).to_dict()) == expected


def test_options_of_a_store_are_what_they_were() -> None:
    assert digest(PrepareOptions().to_dict()) == "5b4762720aa95798"
    # Whole numbers stay whole: 10 and 10.0 hash apart, as in stores that were made before.
    given = PrepareOptions(seconds=10, band_hz=(1, 40), split=(1, 0, 0)).to_dict()
    assert json.dumps([given["seconds"], given["band_hz"], given["split"]]) == (
        "[10, [1, 40], [1, 0, 0]]"
    )


def test_the_template_is_a_definition_of_nothing_but_defaults() -> None:
    values = tomllib.loads(template())
    assert StudyDefinition.from_dict({"name": "a", **values}) == StudyDefinition("a")
    kept = {name for part in values.values() if isinstance(part, dict) for name in part}
    recipe = set(Recipe().to_dict()) - {"augment_crop_samples"}
    assert recipe <= kept
