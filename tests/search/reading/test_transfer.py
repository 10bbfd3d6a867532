from __future__ import annotations

import gzip
import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
from disks import needs_root, small_disk
from processes import slow_trainer
from sqlalchemy import text

from search.database.storage import Storage
from search.errors import StudyError
from search.reading.records import read_class_scores, read_curves, read_definition, read_trials
from search.reading.transfer import dump_all, dump_study, load_study
from search.study import study_names
from search.worker import run_worker


def test_study_travels_as_one_file(half_done, elsewhere: Storage, tmp_path: Path, store):
    path = tmp_path / "study.ecgscale"
    assert dump_study(half_done.name, half_done.storage, path) == 6
    assert list(tmp_path.iterdir()) == [path]
    loaded = load_study(path, elsewhere)
    assert study_names(elsewhere) == [half_done.name]
    assert loaded.definition == half_done.definition
    assert loaded.uid == half_done.uid
    here, there = (read_trials(half_done.name, where) for where in (half_done.storage, elsewhere))
    assert list(here["state"]) == ["complete"] * 3 + ["failed", "running", "waiting"]
    assert list(there["state"]) == ["complete"] * 3 + ["failed", "waiting", "waiting"]
    rest = [column for column in here.columns if column not in ("state", "started")]
    pd.testing.assert_frame_equal(here[rest], there[rest])
    for read in (read_curves, read_class_scores):
        pd.testing.assert_frame_equal(
            read(half_done.name, half_done.storage), read(half_done.name, elsewhere)
        )
    assert read_definition(half_done.name, elsewhere) == read_definition(
        half_done.name, half_done.storage
    )
    seen = loaded.optuna()
    assert seen.metric_names == ["macro_f1"]
    note = f"dashboard:{seen.trials[2]._trial_id}:note_ver"
    assert seen._storage.get_study_system_attrs(loaded.study_id)[note] == 1
    for a, b in zip(half_done.optuna().trials, seen.trials, strict=True):
        assert (a.params, a.distributions, a.user_attrs) == (
            b.params,
            b.distributions,
            b.user_attrs,
        )
        assert a.state is b.state or a.state is optuna.trial.TrialState.RUNNING
    # And it goes on where it is now.
    assert (
        run_worker(
            half_done.name, elsewhere, store, "cpu", train=slow_trainer(0.01), say=lambda _: None
        )
        == 0
    )
    assert list(read_trials(half_done.name, elsewhere)["state"]).count("complete") == 5


def test_name_taken_and_another_name(half_done, tmp_path: Path):
    path = tmp_path / "study"
    dump_study(half_done.name, half_done.storage, path)
    with pytest.raises(StudyError, match="exists already"):
        load_study(path, half_done.storage)
    with pytest.raises(StudyError, match="letters"):
        load_study(path, half_done.storage, name="a b")
    copy = load_study(path, half_done.storage, name=f"{half_done.name}-copy")
    assert copy.definition.name == copy.name
    with half_done.storage.connect() as connection:
        count = text("SELECT count(*) FROM ecgscale_trials WHERE study = :name")
        assert connection.scalar(count, {"name": copy.name}) == 6


def test_a_dump_of_the_first_version_is_read(half_done, elsewhere: Storage, tmp_path: Path):
    """It had neither the number of trials nor a checksum."""
    path = tmp_path / "study"
    dump_study(half_done.name, half_done.storage, path)
    first, rest = gzip.decompress(path.read_bytes()).split(b"\n", 1)
    header = json.loads(first) | {"version": 1}
    del header["trials"], header["sha256"]
    path.write_bytes(gzip.compress(json.dumps(header).encode() + b"\n" + rest))
    assert load_study(path, elsewhere).planned == 6


def test_all_studies_are_dumped_but_the_unreadable(half_done, elsewhere: Storage, tmp_path: Path):
    path = tmp_path / "study"
    dump_study(half_done.name, half_done.storage, path)
    for name in ("one", "two"):
        load_study(path, elsewhere, name=name)
    with elsewhere.begin() as connection:
        connection.execute(
            text(
                "UPDATE study_user_attributes SET value_json = '7' WHERE key = 'definition' "
                "AND study_id = (SELECT study_id FROM studies WHERE study_name = 'one')"
            )
        )
    dumped, refused = dump_all(elsewhere, tmp_path / "all")
    assert dumped == {"two": 6}
    assert list(refused) == ["one"]
    assert [found.name for found in (tmp_path / "all").iterdir()] == ["two.jsonl.gz"]


@needs_root
def test_a_full_disk_leaves_the_dump_there_was(half_done, tmp_path: Path):
    with small_disk(tmp_path / "full", 64) as folder:
        path = folder / "study"
        dump_study(half_done.name, half_done.storage, path)
        whole = path.read_bytes()
        (folder / "ballast").write_bytes(b"\0" * (64 * 1024 - 8192 * (len(whole) // 4096 + 1)))
        with pytest.raises(StudyError, match="No space left on device"):
            dump_study(half_done.name, half_done.storage, path)
        assert path.read_bytes() == whole
        assert {found.name for found in folder.iterdir()} == {"study", "ballast"}
