"""Commands that are printed can be typed as they stand."""

import shlex

import pytest

from ecgscale.output import command_line
from tests.ecgscale.conftest import Run


def test_hints_repeat_the_storage_and_quote_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECGSCALE_STORAGE", raising=False)
    line = command_line("worker", "my study", "--data", "a b", storage="embedded:/x y")
    assert shlex.split(line)[1:] == [
        *("worker", "my study", "--data", "a b", "--storage", "embedded:/x y"),
    ]
    assert "--storage" not in command_line("status", "s")
    url = "postgresql+psycopg2://me:secret@host:5432/db?sslmode=require"
    shown = shlex.split(command_line("status", "s", storage=url))
    assert shown[-1] == "postgresql+psycopg2://me@host:5432/db?sslmode=require"
    monkeypatch.setenv("ECGSCALE_STORAGE", url)
    assert "--storage" not in command_line("status", "s", storage=url)


def test_prepare_tells_what_comes_next_and_what_it_reused(run: Run, raw, tmp_path) -> None:  # type: ignore[no-untyped-def]
    first = run("prepare", raw, "--out", tmp_path / "a store", "--quiet")
    assert first.returncode == 0, first.stderr
    assert "was made from the same files" not in first.stdout
    following = shlex.split(first.stdout.splitlines()[-1])
    assert following[2:] == ["create", "DEFINITION.toml", "--data", str(tmp_path / "a store")]
    again = run("prepare", raw, "--out", tmp_path / "a store", "--quiet")
    assert "was made from the same files with the same options before" in again.stdout
    offered = run("show", tmp_path / "a store", "--out", tmp_path / "ecg.svg").stdout
    command = shlex.split(offered.splitlines()[-1])[2:]
    drawn = run(*command)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "ecg.svg").read_text().startswith("<svg")


def test_a_failed_preparation_is_one_sentence(run: Run, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "A1.hea").write_text("nonsense")
    done = run("prepare", tmp_path / "raw", "--out", tmp_path / "store")
    assert done.returncode == 2
    assert "A1: bad header, is not a WFDB header" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "store" / "excluded.csv").exists()
