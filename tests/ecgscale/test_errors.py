"""Everything that a user can mend gives one sentence and exit code 2, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

from tests.ecgscale.conftest import Run

UNREACHABLE = "postgresql://somebody:secret-word@127.0.0.1:9/nowhere"


def assert_user_error(done: object, *words: str) -> None:
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("ecgscale: ")
    for word in words:
        assert word in done.stderr


def test_prepare_refuses_a_wrong_path(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert_user_error(run("prepare", missing, "--out", tmp_path / "store"), str(missing))


def test_prepare_refuses_an_empty_folder_and_leaves_nothing(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_user_error(run("prepare", empty, "--out", tmp_path / "store"), str(empty))
    assert run("store", tmp_path / "store").returncode == 2


def test_store_refuses_a_folder_that_is_none(run: Run, tmp_path: Path) -> None:
    assert_user_error(run("store", tmp_path), str(tmp_path), "prepare")


def test_create_refuses_a_second_study_of_the_name(
    run: Run, finished: str, definition: Path, store: Path, database: str
) -> None:
    again = run("create", definition, "--data", store, "--storage", database)
    assert_user_error(again, finished, "exists")


def test_create_refuses_a_wrong_definition(
    run: Run, store: Path, database: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('name = "wrong"\n[recipe]\nepoch = 3\n', encoding="utf-8")
    assert_user_error(
        run("create", wrong, "--data", store, "--storage", database), "epoch", "epochs"
    )


def test_create_refuses_flops_that_the_space_does_not_offer(
    run: Run, store: Path, database: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "small.toml"
    wrong.write_text("[sample]\nflops = [10, 100]\nbins = 1\n", encoding="utf-8")
    assert_user_error(run("create", wrong, "--data", store, "--storage", database), "offers")


def test_worker_refuses_a_store_of_another_hash(
    run: Run, finished: str, other_store: Path, database: str
) -> None:
    done = run("worker", finished, "--data", other_store, "--storage", database)
    assert_user_error(done, finished, "hash")


def test_unknown_study_lists_those_there_are(run: Run, finished: str, database: str) -> None:
    assert_user_error(run("status", "tinny", "--storage", database), "tinny", finished)


def test_unreachable_database_does_not_show_its_password(run: Run) -> None:
    for command in (
        ("status", "tiny"),
        ("dashboard",),
        ("report", "tiny", "--out", "nowhere"),
    ):
        done = run(*command, "--storage", UNREACHABLE)
        assert_user_error(done, "127.0.0.1")
        assert "secret-word" not in done.stderr + done.stdout


def test_a_database_that_is_not_postgresql_is_refused(run: Run) -> None:
    assert_user_error(run("status", "tiny", "--storage", "sqlite:///x.db"), "PostgreSQL")


def test_a_path_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    where = tmp_path / "none" / "x.svg"
    assert_user_error(run("cost", "mobilenetv2@0.5", "--svg", where), str(where), "check the path")


def test_cost_refuses_what_is_no_architecture(run: Run, tmp_path: Path) -> None:
    assert_user_error(run("cost", tmp_path / "none.json"), "none.json")
    (tmp_path / "some.json").write_text("{}", encoding="utf-8")
    assert_user_error(run("cost", tmp_path / "some.json"))


def test_trials_refuses_an_unknown_column(run: Run, finished: str, database: str) -> None:
    done = run("trials", finished, "--storage", database, "--sort", "f1")
    assert_user_error(done, "'f1'", "macro_f1")


def test_an_option_of_the_url_that_libpq_has_not(run: Run) -> None:
    done = run("status", "--storage", "postgresql://u@h/d?pgbouncer=true")
    assert_user_error(done, "pgbouncer", "libpq")


def test_status_without_a_study_lists_all(run: Run, finished: str, database: str) -> None:
    listed = run("status", "--storage", database)
    assert listed.returncode == 0, listed.stderr
    assert finished in listed.stdout
    told = json.loads(run("status", "--storage", database, "--json").stdout)
    (mine,) = (study for study in told["studies"] if study["study"] == finished)
    assert (mine["planned"], mine["complete"], mine["failed"]) == (10, 10, 0)
    assert told["unreadable"] == {}
    assert_user_error(run("status", "--watch", "--storage", database), "STUDY")


def test_studies_are_kept_in_order(run: Run, finished: str, database: str, tmp_path: Path) -> None:
    at = ("--storage", database)
    assert_user_error(run("retry", finished, *at), "--failed")
    assert_user_error(run("retry", finished, "--trial", 3, *at), "not", "trials tiny")
    assert run("retry", finished, "--failed", *at).stdout == f"0 trials of {finished} wait again.\n"
    assert_user_error(run("dump", finished, *at), "--all DIR")
    assert run("dump", "--all", tmp_path, *at).returncode == 0
    kept = tmp_path / f"{finished}.jsonl.gz"
    assert run("load", kept, "--name", "kept-in-order", *at).returncode == 0
    assert (
        run("rename", "kept-in-order", "copied", *at).stdout
        == "The study kept-in-order is called copied now.\n"
    )
    assert_user_error(run("status", "kept-in-order", *at), "it is called copied now")
    assert_user_error(run("delete", "copied", *at), "--yes")
    assert "10 trials" in run("delete", "copied", "--yes", *at).stdout
    assert_user_error(run("status", "copied", *at), finished)


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").stdout.startswith("ecgscale ")
