"""What is published arrives in optuna-dashboard, and again replaces it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import optuna
import pytest
from optuna_dashboard import get_note, save_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from analysis.questions.budgets.numbers import picks
from analysis.questions.context import Context
from analysis.report.dashboard import publish
from analysis.surrogates.surrogate import MODELS, surrogate
from analysis.trials.table import TrialTable


@pytest.fixture(scope="module")
def context(small: TrialTable) -> Iterator[Context]:
    with pytest.MonkeyPatch.context() as patch:
        quick = partial(surrogate, models=MODELS[:1], repeats=1)
        patch.setattr("analysis.questions.estimates.surrogate", quick)
        yield Context(small, bootstraps=20)


def published(study: optuna.Study) -> dict[str, str]:
    attrs = study._storage.get_study_system_attrs(study._study_id)
    found: dict[str, str] = get_plotly_graph_objects(attrs)
    return found


def test_publish_twice(context: Context) -> None:
    study = optuna.create_study(study_name="published", direction="maximize")
    names = publish(study, context)
    assert "ecgscale-front-macro-f1-flops" in names
    first = published(study)
    assert set(first) == set(names)
    assert publish(study, context) == names
    assert published(study) == first
    for text in first.values():
        figure = json.loads(text)
        assert figure["layout"]["title"]["text"]
        assert len(text) < 200_000


def test_note_has_the_findings_and_the_picks(context: Context) -> None:
    study = optuna.create_study(study_name="noted")
    save_note(study, "What the plan says.")
    publish(study, context)
    publish(study, context)
    text = get_note(study)
    assert text.endswith("What the plan says.")
    assert text.count("What was found") == 1
    assert "Synthetic ECGs" in text
    pick = picks(context)[0]
    assert f"| {pick.architecture_hash[:8]} |" in text
