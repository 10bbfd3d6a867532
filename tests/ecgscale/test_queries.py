"""The documentation's queries on the addresses that `ecgscale url` prints, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from search.database.address import address_of
from search.database.listen import Address, listen
from search.database.storage import Storage, open_storage
from tests.ecgscale.conftest import Run

PAGE = (Path(__file__).parents[2] / "docs/how-to/sql.md").read_text(encoding="utf-8")


def block(language: str, marker: str) -> str:
    """Find the page's block of code that has the marker."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (one,) = [code for code in found if marker in code]
    return one


@pytest.mark.skipif(shutil.which("psql") is None, reason="needs psql")
def test_psql(finished: str, database: str, tmp_path: Path) -> None:
    command = block("bash", "--for psql").replace("my-study", finished)
    (tmp_path / "ecgscale").write_text(f'#!/bin/sh\nexec {sys.executable} -m ecgscale "$@"\n')
    (tmp_path / "ecgscale").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    here = {**os.environ, "PATH": path, "ECGSCALE_STORAGE": database, "OMP_NUM_THREADS": "1"}
    here["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        ["bash", "-euc", command], env=here, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "(5 rows)" in done.stdout


def test_pandas(run: Run, finished: str, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    address = run("url", "--for", "sqlalchemy", "--storage", database).stdout.strip()
    code = block("python", "read_sql").replace("my-study", finished)
    exec(compile(code.replace("ADDRESS", address), "sql.md", "exec"), {})
    assert "macro_f1" in capsys.readouterr().out


def test_everything_at_once(run: Run, finished: str, database: str) -> None:
    shown = run("url", finished, "--storage", database)
    assert shown.returncode == 0, shown.stderr
    assert "postgresql+psycopg2://" in shown.stdout
    assert "init-db --listen" in shown.stdout, "a socket is no address for DBeaver"
    refused = run("url", "--for", "dbeaver", "--storage", database)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1


def test_an_open_database_has_a_port_and_no_password_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret-word")
    opened = open_storage(f"embedded:{tmp_path / 'db'}")
    try:
        listen(opened, Address.parse("127.0.0.1:54329"))
        there = address_of(opened)
        assert (there.host, there.port, there.database) == ("127.0.0.1", 54329, "postgres")
        assert there.jdbc == "jdbc:postgresql://127.0.0.1:54329/postgres?user=ecgscale_worker"
        assert "secret-word" not in str(there)
    finally:
        opened.engine.dispose()
        opened.server.stop()


def test_a_server_by_url_is_shown_without_its_password() -> None:
    url = "postgresql+psycopg2://me:secret-word@db.example:6543/ecg?sslmode=require"
    there = address_of(Storage(create_engine(url)))
    assert there.psql == "postgresql://me@db.example:6543/ecg?sslmode=require"
    assert there.sqlalchemy == "postgresql+psycopg2://me@db.example:6543/ecg?sslmode=require"
    assert there.jdbc == "jdbc:postgresql://db.example:6543/ecg?user=me&sslmode=require"
