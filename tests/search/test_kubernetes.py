from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.errors import StudyError
from search.launchers.kubernetes import KubernetesJob, write_manifests

KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="needs kubectl (with kustomize)")


def render(folder: Path) -> str:
    command = [str(KUBECTL), "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def objects(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found = yaml.safe_load_all(render(folder))
    return {(o["kind"], o["metadata"]["name"]): o for o in found}


@needs_kubectl
def test_overlay_changes_what_was_asked(tmp_path: Path):
    job = KubernetesJob("My.Study_1", 7, "registry.example:5000/me/ecgscale:1.2", "my-store")
    found = objects(write_manifests(job, tmp_path))
    workers = found["Job", f"ecgscale-workers-{job.suffix}"]["spec"]
    assert workers["completions"] == workers["parallelism"] == 7
    pod = workers["template"]["spec"]
    (worker,) = pod["containers"]
    assert worker["image"] == "registry.example:5000/me/ecgscale:1.2"
    assert worker["args"][:2] == ["worker", "My.Study_1"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    claims = {
        v["name"]: v.get("persistentVolumeClaim", {}).get("claimName") for v in pod["volumes"]
    }
    assert claims["store"] == "my-store"
    assert ("PersistentVolumeClaim", claims["checkpoints"]) in found


@needs_kubectl
def test_workers_survive_preemption_and_stop_when_set_up_wrongly(tmp_path: Path):
    job = KubernetesJob("s", 2, "ecgscale:1", gpu=False)
    found = objects(write_manifests(job, tmp_path))
    spec = found["Job", "ecgscale-workers-s"]["spec"]
    assert spec["completionMode"] == "Indexed"
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 120
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert ignore["action"] == "Ignore"
    assert ignore["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert fail["action"] == "FailIndex"
    assert fail["onExitCodes"]["values"] == [2]
    assert fail["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]


@needs_kubectl
def test_volumes_services_and_rights(tmp_path: Path):
    found = objects(write_manifests(KubernetesJob("s", 2, "ecgscale:1"), tmp_path))
    pods = [
        o["spec"]["template"] for (kind, _), o in found.items() if kind in ("Job", "Deployment")
    ]
    assert len(pods) == 3
    for pod in pods:
        spec = pod["spec"]
        volumes = {volume["name"] for volume in spec["volumes"]}
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
            for variable in container["env"]:
                # Paths and times only: the password and where the database is are secrets.
                assert re.fullmatch(r"/.*|\d+|", variable.get("value", ""))
    service = found["Service", "ecgscale-dashboard-s"]["spec"]
    deployment = found["Deployment", "ecgscale-dashboard-s"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    assert service.get("type", "ClusterIP") == "ClusterIP"


def test_no_two_studies_share_a_name():
    long = "a-study-whose-name-goes-on-and-on-and-on-until-the-end-"
    studies = ["s", "S", "s.", "s-1", "s_1", "S.1", "my-study", f"{long}one", f"{long}two"]
    suffixes = [KubernetesJob(study, 2, "ecgscale:1").suffix for study in studies]
    assert len(set(suffixes)) == len(studies), suffixes
    assert suffixes[0] == "s", "a name that fits stays as it is"
    for suffix in suffixes:  # the host name of a pod, with its index, is a label of DNS
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", suffix)
        assert len(f"ecgscale-workers-{suffix}-99999") <= 63


def validate(manifests: str, version: str, file: Path) -> subprocess.CompletedProcess[str]:
    file.write_text(manifests)
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version]
    return subprocess.run([*command, str(file)], capture_output=True, text=True)


@needs_kubectl
@pytest.mark.parametrize("gpu", [True, False])
@pytest.mark.parametrize(
    "version", ["1.31", "1.37"]
)  # Ignore and FailIndex are stable from 1.31 on
def test_manifests_are_valid(tmp_path: Path, version: str, gpu: bool):
    job = KubernetesJob("s", 2, "ecgscale:1", gpu=gpu, options=("--log=json",))
    rendered = render(write_manifests(job, tmp_path))
    assert rendered.count("kind: Job") == 2
    done = validate(rendered, version, tmp_path / "all.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    slip = rendered.replace("backoffLimitPerIndex:", "backoffLimitPerIndices:")
    assert validate(slip, version, tmp_path / "slip.yaml").returncode != 0
    slip = rendered.replace("parallelism: 2", "parallelism: two")
    assert validate(slip, version, tmp_path / "slip.yaml").returncode != 0


@needs_kubectl
def test_a_job_creates_the_study_and_plug_ins_go_along(tmp_path: Path):
    plugin, definition = tmp_path / "mine.py", tmp_path / "odd name.toml"
    plugin.write_text("MINE = 1\n")
    definition.write_text('name = "s"\n')
    job = KubernetesJob("s", 2, "ecgscale:1", "my-store", definition=definition, plugins=(plugin,))
    rendered = render(write_manifests(job, tmp_path / "out"))
    for version in ("1.31", "1.37"):
        done = validate(rendered, version, tmp_path / "all.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
    found = {(o["kind"], o["metadata"]["name"]): o for o in yaml.safe_load_all(rendered)}
    (files,) = (o for (kind, _), o in found.items() if kind == "ConfigMap")
    assert files["data"] == {"mine.py": "MINE = 1\n", "study.toml": 'name = "s"\n'}
    for name, container in (("create", "create"), ("workers", "worker")):
        pod = found["Job", f"ecgscale-{name}-s"]["spec"]["template"]["spec"]
        (one,) = pod["containers"]
        assert one["name"] == container
        assert {"name": "ECGSCALE_PLUGINS", "value": "/files/mine.py"} in one["env"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert volumes["files"]["configMap"]["name"] == files["metadata"]["name"]
        assert volumes["store"]["persistentVolumeClaim"]["claimName"] == "my-store"
        mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
        assert (mounts["files"], mounts["store"]) == ("/files", "/data")
    create = found["Job", "ecgscale-create-s"]["spec"]["template"]["spec"]["containers"][0]
    assert create["args"] == ["create", "/files/study.toml", "--data=/data"]


@needs_kubectl
def test_every_container_says_what_it_needs(tmp_path: Path):
    definition = tmp_path / "s.toml"
    definition.write_text('name = "s"\n')
    job = KubernetesJob("s", 2, "ecgscale:1", definition=definition)
    for (kind, name), one in objects(write_manifests(job, tmp_path / "out")).items():
        if kind in ("Job", "Deployment"):
            (container,) = one["spec"]["template"]["spec"]["containers"]
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name


@needs_kubectl
def test_options_go_to_the_worker(tmp_path: Path):
    job = KubernetesJob("s", 2, "ecgscale:1", options=("--log=json", "--trial-seconds=60"))
    found = objects(write_manifests(job, tmp_path))
    (worker,) = found["Job", "ecgscale-workers-s"]["spec"]["template"]["spec"]["containers"]
    assert worker["args"] == [
        *("worker", "s", "--data=/data", "--checkpoints=/checkpoints", "--metrics=0.0.0.0:9090"),
        *("--log=json", "--trial-seconds=60"),
    ]


@pytest.mark.parametrize(
    "job",
    [
        KubernetesJob("s", 0, "ecgscale:1"),
        KubernetesJob("s", 1, "ecgscale"),
        KubernetesJob("s", 1, "host:5000/ecgscale"),
        KubernetesJob("s", 1, "ecgscale:1\nx: y"),
        KubernetesJob("s", 1, "ecgscale:1", store_claim="A b"),
        KubernetesJob("s", 1, "ecgscale:1", options=('--log="x"',)),
        KubernetesJob("s", 1, "ecgscale:1", plugins=(Path("nowhere.py"),)),
        KubernetesJob("s", 1, "ecgscale:1", plugins=(Path(__file__).parent,)),
    ],
)
def test_wrong_options_are_refused(job: KubernetesJob, tmp_path: Path):
    with pytest.raises(StudyError, match="expected"):
        write_manifests(job, tmp_path)
    assert not (tmp_path / "s").exists()
