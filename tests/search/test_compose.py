"""What the schema of compose files does not say, and what a Dockerfile promises."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).parents[2]
COMPOSE = TOP / "docker-compose.yml"
DOCKERFILE = TOP / "Dockerfile"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(path)], capture_output=True, text=True)


def test_schema_accepts_it_and_would_not_accept_a_slip(tmp_path: Path):
    assert check_schema(COMPOSE).returncode == 0
    slip = tmp_path / "slip.yml"
    slip.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:"))
    assert check_schema(slip).returncode == 1


def test_everything_named_is_declared(compose: dict[str, Any]):
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        assert set(service.get("networks", [])) <= set(compose["networks"]), name
        assert set(service.get("depends_on", {})) <= set(services), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0] if not volume.startswith("$") else "."
            assert source[0] in "./" or source in compose["volumes"], (name, volume)
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], name
            profiles = set(services[other].get("profiles", []))
            assert profiles <= set(service.get("profiles", [])), (name, other)


def test_gpu_is_for_one_container_with_all_of_them(compose: dict[str, Any]):
    with_gpu = []
    for name, service in compose["services"].items():
        deploy = service.get("deploy", {})
        assert "replicas" not in deploy
        for device in deploy.get("resources", {}).get("reservations", {}).get("devices", []):
            with_gpu.append(name)
            assert ("count" in device) != ("device_ids" in device)
            assert device["capabilities"] == ["gpu"]
    assert with_gpu == ["workers-gpu"]
    profiles = {
        name: compose["services"][name]["profiles"] for name in ("workers-gpu", "workers-cpu")
    }
    assert profiles == {"workers-gpu": ["gpu"], "workers-cpu": ["cpu"]}


def test_no_password_and_no_open_door(compose: dict[str, Any]):
    text = COMPOSE.read_text()
    assert not re.search(r"://[^@/\s]*:[^@/\s]+@", text)
    assert not re.search(r"PASSWORD:", text)
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        if name != "database":
            assert service["cap_drop"] == ["ALL"]
    assert "ports" not in compose["services"]["database"]


def test_the_images_own_temporary_server_is_not_taken_for_the_database(compose: dict[str, Any]):
    """It listens on a socket only, is up before the real one, and goes again."""
    assert "--host=127.0.0.1" in compose["services"]["database"]["healthcheck"]["test"]


def test_workers_have_time_to_hand_back(compose: dict[str, Any]):
    for name in ("workers-gpu", "workers-cpu"):
        service = compose["services"][name]
        assert service["stop_grace_period"] == "2m"
        assert service["init"] is True
        assert service["depends_on"]["init-db"]["condition"] == "service_completed_successfully"


def test_commands_are_those_of_the_program(compose: dict[str, Any]):
    from typer.main import get_command

    from ecgscale.cli import app

    group = get_command(app)
    for name, service in compose["services"].items():
        if name == "database":
            continue
        words = [*service.get("entrypoint", ["ecgscale"])[1:], *service.get("command", [])]
        command: Any = group
        while words and hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= options, name


def test_image_is_built_from_all_packages_and_runs_as_nobody_special():
    lines = DOCKERFILE.read_text().splitlines()
    copied = [
        line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line
    ]
    sources = {source for group in copied for source in group}
    assert all((TOP / source).exists() for source in sources)
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.rstrip("*") for package in packages} <= sources
    allowed = {
        line[1:] for line in (TOP / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert sources == allowed
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001"]
    assert lines.index("USER 10001") > max(i for i, line in enumerate(lines) if "RUN " in line)
    assert not any(word in DOCKERFILE.read_text() for word in ("PASSWORD", "TOKEN", ":latest"))
    bases = {line.split()[1] for line in lines if line.startswith("FROM ")}
    assert bases == {"python:${PYTHON}-slim-bookworm"}, "built and run with the same Python"


def test_build_arguments_are_the_dockerfiles(compose: dict[str, Any]):
    known = set(re.findall(r"^ARG (\w+)", DOCKERFILE.read_text(), re.MULTILINE))
    for name, service in compose["services"].items():
        assert set(service.get("build", {}).get("args", {})) <= known, name


def test_smoke_test_of_the_image_is_sound_bash():
    subprocess.run(["bash", "-n", TOP / "tests" / "image_smoke.sh"], check=True)
    assert (TOP / "tests" / "image_smoke.sh").stat().st_mode & 0o100
