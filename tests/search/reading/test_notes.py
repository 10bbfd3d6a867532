"""Notes in optuna-dashboard, read back by its own functions."""

from __future__ import annotations

import optuna
import pytest
from conftest import define
from optuna_dashboard._note import get_note, get_note_from_system_attrs
from sqlalchemy import event, text

from ecgscale.dashboard import complete_notes
from models import Architecture, reference
from search.reading.notes import PIECE, note_attributes
from search.reading.records import read_trials
from search.reading.transfer import dump_study, load_study
from search.study import create_study, extend_study
from search.training.metric_table import metrics_of
from search.trials.plan import Extension


def trial_notes(study) -> dict[int, str]:
    opened = study.optuna()
    attributes = opened._storage.get_study_system_attrs(opened._study_id)
    notes = {
        trial.number: get_note_from_system_attrs(attributes, trial._trial_id)["body"]
        for trial in opened.get_trials(deepcopy=False)
    }
    return {number: note for number, note in notes.items() if note}


def test_study_says_what_it_is(make_study):
    study = make_study(controls={"shuffled_labels": 1})
    note = get_note(study.optuna())
    assert note.startswith(f"# {study.name}\n")
    for part in ("6 networks of the space ecg-cnn", "1 on shuffled labels", "Synthetic"):
        assert part in note
    for metric in metrics_of():
        assert f"{metric.name} | {metric.meaning}" in note
    assert f"epochs {study.definition.recipe.epochs}" in note


def test_every_trial_shows_its_network(make_study):
    study = make_study()
    notes = trial_notes(study)
    frame = read_trials(study.name, study.storage).set_index("trial")
    assert sorted(notes) == list(range(6))
    for number, note in notes.items():
        network = Architecture.from_json(frame["architecture"][number])
        rows = [line.split(" | ") for line in note.splitlines() if line.startswith("| ")][2:]
        assert len(rows) == len(network.describe(**study.shape))
        params = sum(int(row[4].replace(",", "")) for row in rows)
        assert params == frame["params"][number]


def test_notes_of_all_trials_cost_one_statement(storage, store):
    statements: list[str] = []
    event.listen(storage.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    create_study(
        define(sample={"architectures": 40, "flops": [1e5, 1e7], "bins": 2}), store, storage
    )
    assert sum("study_system_attributes" in s and "INSERT" in s for s in statements) == 3


def test_further_trials_have_notes_and_notes_travel(make_study, storage, tmp_path):
    study = extend_study(make_study(), Extension(references=(reference("xresnet1d18@0.25"),)))
    notes = trial_notes(study)
    assert sorted(notes) == list(range(7))
    assert "**reference**" in notes[6]
    dump_study(study.name, storage, tmp_path / "study.gz")
    copy = load_study(tmp_path / "study.gz", storage, name=f"{study.name}-copy")
    assert trial_notes(copy) == notes


def test_studies_without_notes_get_them_and_others_keep_theirs(make_study, own_storage, store):
    study = create_study(define(), store, own_storage)
    before = trial_notes(study)
    with own_storage.begin() as connection:
        connection.execute(text("DELETE FROM study_system_attributes WHERE key LIKE 'dashboard:%'"))
    assert trial_notes(study) == {}
    assert complete_notes(own_storage) == ([study.name], {})
    assert trial_notes(study) == before
    assert complete_notes(own_storage) == ([], {})


def test_reader_opens_the_dashboard_without_notes(own_storage, store):
    from search.database.roles import grant_access
    from search.database.storage import open_storage

    server = own_storage.server
    hba = server.data / "pg_hba.conf"
    hba.write_text("local all guest trust\n" + hba.read_text())
    grant_access(own_storage, "guest", "reader", password=None)
    create_study(define(), store, own_storage)
    with own_storage.begin() as connection:
        connection.execute(text("DELETE FROM study_system_attributes WHERE key LIKE 'dashboard:%'"))
        connection.execute(text("SELECT pg_reload_conf()"))
    url = own_storage.engine.url.set(username="guest").render_as_string()
    guest = open_storage(url, patience_seconds=5)
    assert complete_notes(guest) == ([], {})
    guest.engine.dispose()


@pytest.mark.parametrize("length", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
def test_long_notes_are_cut_as_the_dashboard_joins_them(length: int):
    note = "".join(chr(97 + i % 26) for i in range(length))
    assert get_note_from_system_attrs(note_attributes(note), None)["body"] == note


def test_optuna_still_reads_a_study_with_notes(make_study):
    study = make_study()
    assert len(study.optuna().get_trials(states=(optuna.trial.TrialState.WAITING,))) == 6
