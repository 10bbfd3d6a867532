from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import Cluster, installed

from search.database.storage import open_storage
from search.errors import StudyError
from search.launchers.slurm import (
    SlurmJob,
    cancel,
    job_states,
    require_shared,
    study_jobs,
    submit,
)
from search.reading.records import read_trials

HERE = Path(__file__).parent


def job(**changes) -> SlurmJob:
    values = {"study": "s", "workers": 3, "command": ("ecgscale", "worker", "s", "--data", "/a b")}
    return SlurmJob(**values | {"logs": Path("/logs")} | changes)


def test_script_is_sound_bash_and_quotes_the_command(tmp_path: Path):
    script = job(options=("--partition=gpu", "--exclusive")).script()
    assert "#SBATCH --array=0-2\n" in script
    assert "#SBATCH --partition=gpu\n#SBATCH --exclusive\n" in script
    assert "--data '/a b' &" in script
    (tmp_path / "script").write_text(script)
    subprocess.run(["bash", "-n", tmp_path / "script"], check=True)
    assert "$$" not in script


@pytest.mark.parametrize(
    "changes",
    [
        {"workers": 0},
        {"options": ("partition=gpu",)},
        {"options": ("--gres=gpu:1\nrm -rf /",)},
        {"logs": Path("/a b")},
    ],
)
def test_wrong_options_are_refused(changes):
    with pytest.raises(StudyError, match="expected"):
        job(**changes).script()


def test_a_script_takes_no_database_and_asks_for_what_was_wanted(tmp_path: Path):
    def script(*options: object) -> str:
        path = tmp_path / "script.sh"
        command = [sys.executable, "-m", "ecgscale", "launch", "slurm", "s", "--workers", "3"]
        where = ("--data", tmp_path, "--script", path, "--storage", "postgresql://me@nowhere/x")
        done = subprocess.run(
            [*command, *map(str, (*where, *options))], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return path.read_text()

    wanted = script("--gpus", 2, "--memory", "40G", "--time", "8:00:00", "--option=--partition=x")
    for line in ("gres=gpu:2", "mem=40G", "time=8:00:00", "partition=x", "cpus-per-task=4"):
        assert f"#SBATCH --{line}\n" in wanted
    assert "--device=cuda" in wanted, "a worker without its GPU refuses"
    assert "gpu" not in (none := script("--gpus", 0)).replace("ecgscale", "")
    assert "--device" not in none


def test_embedded_database_is_refused(storage):
    with pytest.raises(StudyError, match="other machines reach"):
        require_shared(storage)
    require_shared(open_storage(storage.engine.url.render_as_string()))


def test_no_slurm_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match="login node"):
        submit(tmp_path / "script")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if not installed():
        pytest.skip("needs root and Debian's slurm-wlm, slurmctld, slurmd, munge")
    made = Cluster(Path(tempfile.mkdtemp(prefix="slurm")))
    try:
        made.start()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in made.environment.items():
                patch.setenv(name, value)
            yield made
    finally:
        made.stop()


def start(make_study, store, tmp_path: Path, *, trials: int, seconds: float, options=(), **rest):
    study = make_study(sample={"architectures": trials, "flops": [1e6, 1e7], "bins": 1})
    command = (
        *(sys.executable, "-u", str(HERE / "slurm_worker.py"), study.storage.label, study.name),
        *(str(store.path), str(seconds), str(tmp_path / "kept")),
    )
    script = tmp_path / "job.sh"
    planned = SlurmJob(study.name, 2, command, tmp_path, ("--time=30", *options), **rest)
    script.write_text(planned.script())
    return study, submit(script)


def wait_for(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.5)


def states(study) -> list[str]:
    return list(read_trials(study.name, study.storage)["state"])


def said(folder: Path) -> str:
    return "\n".join(log.read_text() for log in sorted(folder.glob("*.log")))


@pytest.mark.slow
def test_array_runs_the_study(cluster: Cluster, make_study, store, tmp_path: Path):
    study, number = start(make_study, store, tmp_path, trials=6, seconds=0.5)
    wait_for(lambda: not job_states(number), 120)
    assert states(study) == ["complete"] * 6, said(tmp_path)
    hosts = read_trials(study.name, study.storage)["host"]
    assert hosts.notna().all()


@pytest.mark.slow
def test_cancelled_job_hands_back_and_stays_away(cluster, make_study, store, tmp_path: Path):
    study, number = start(make_study, store, tmp_path, trials=4, seconds=60)
    wait_for(lambda: states(study).count("running") == 2, 90)
    cancel(number)
    wait_for(lambda: not job_states(number), 60)
    assert states(study) == ["waiting"] * 4, said(tmp_path)
    time.sleep(5)
    assert not job_states(number)


@pytest.mark.slow
def test_command_line_submits_shows_and_cancels(cluster, make_study, store, tmp_path: Path):
    """The real worker, its storage given by option; the jobs are found by the study's name."""
    study = make_study(
        sample={"architectures": 2, "flops": [1e6, 1e7], "bins": 1},
        recipe={"epochs": 5000, "batch_size": 8},
    )
    url = study.storage.engine.url.render_as_string()

    def launch(*options: object) -> str:
        command = [sys.executable, "-m", "ecgscale", "launch", "slurm", study.name]
        done = subprocess.run([*command, *map(str, options)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "No jobs" in launch("--status")
    logs = ("--logs", tmp_path, "--checkpoints", tmp_path / "kept", "--log", "json")
    where = ("--data", store.path, "--storage", url, "--workers", 2)
    little = ("--gpus", 0, "--cpus", 1, "--memory", "500M", "--time", 30)
    number = re.search(r"Array job (\d+): 2 workers", launch(*where, *logs, *little))[1]
    wait_for(lambda: states(study).count("running") == 2, 120)
    assert launch("--status") == f"Array job {number}: 2 RUNNING\n"
    assert study_jobs(study.name) == {number: {"RUNNING": 2}}
    assert study_jobs(f"{study.name}-other") == {}
    assert "is cancelled" in launch("--cancel")
    wait_for(lambda: not job_states(number), 60)
    assert states(study) == ["waiting"] * 2, said(tmp_path)
    assert "No jobs" in launch("--status")
    events = [json.loads(line) for line in said(tmp_path).splitlines() if line.startswith("{")]
    assert [event["event"] for event in events].count("trial_handed_back") == 2


@pytest.mark.slow
def test_preempted_job_hands_back_comes_again_and_completes(
    cluster: Cluster, make_study, store, tmp_path: Path
):
    study, number = start(make_study, store, tmp_path, trials=4, seconds=12)
    wait_for(lambda: states(study).count("running") == 2, 90)
    urgent = cluster.run(
        *("sbatch", "--parsable", "-p", "high", "-N2", "--exclusive", "--wrap=sleep 5")
    ).strip()
    wait_for(lambda: states(study).count("running") == 0, 60)
    wait_for(lambda: not job_states(urgent), 90)
    wait_for(lambda: not job_states(number), 280)
    assert states(study) == ["complete"] * 4, said(tmp_path)
    assert "handed back" in said(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_wall_time_hands_back_and_requeues(cluster, make_study, store, tmp_path: Path):
    study, number = start(
        *(make_study, store, tmp_path),
        trials=2,
        seconds=80,
        options=("--time=2",),
        notice_seconds=60,
    )
    wait_for(lambda: not job_states(number), 500)
    assert states(study) == ["complete"] * 2, said(tmp_path)
    assert "handed back" in said(tmp_path)
    with study.storage.connect() as connection:
        from sqlalchemy import text

        backs = connection.scalar(
            text(
                "SELECT sum(hand_backs) FROM ecgscale_leases JOIN trials USING (trial_id) "
                "WHERE study_id = :study"
            ),
            {"study": study.study_id},
        )
    assert backs >= 2


@pytest.mark.slow
def test_dead_node_costs_no_trial(cluster: Cluster, make_study, store, tmp_path: Path):
    """Everything on one node is killed: the other takes its trial over."""
    study, number = start(make_study, store, tmp_path, trials=4, seconds=6)
    wait_for(lambda: states(study).count("running") == 2, 90)
    node = cluster.kill_node("n1")
    wait_for(lambda: states(study) == ["complete"] * 4, 280)
    assert node >= 3, "expected slurmd, slurmstepd and a worker to be killed"
    cluster.revive_node("n1")
    wait_for(lambda: not job_states(number), 120)
    assert states(study) == ["complete"] * 4, said(tmp_path)
