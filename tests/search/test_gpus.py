"""Several workers on a GPU: who sits where, how many fit, and NVIDIA's service for sharing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from search.launchers import gpus, mps
from search.launchers.gpus import Gpu, parse_list, visible_gpus, workers_per_gpu
from search.launchers.local import launch_local, plan_slots, worker_bytes
from search.machine import MEMORY_SHARE_VARIABLE
from search.training import device as devices

GIB = 2**30
TWO = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-c6f8e2ab-1c1e-4d5b-9ab5-6ea0cbb4b1d2)
"""
DIVIDED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-c6f8e2ab-1c1e-4d5b-9ab5-6ea0cbb4b1d2)
"""
FACTS = """\
GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f, 00000000:3B:00.0, 80000, 81559
GPU-c6f8e2ab-1c1e-4d5b-9ab5-6ea0cbb4b1d2, 00000000:D8:00.0, 40000, 81559
"""
FIRST, SECOND = (uuid for uuid, _ in parse_list(TWO))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A machine with GPUs, as its nvidia-smi and its PCI bus tell of them."""
    programs, bus = tmp_path / "bin", tmp_path / "devices"
    programs.mkdir()
    for place, cores in (("0000:3b:00.0", "0-3,8"), ("0000:d8:00.0", "4-7")):
        (bus / place).mkdir(parents=True)
        (bus / place / "local_cpulist").write_text(f"{cores}\n")
    monkeypatch.setattr(gpus, "DEVICES", bus)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(listed: str) -> Path:
        (tmp_path / "listed").write_text(listed)
        (tmp_path / "facts").write_text(FACTS)
        smi = programs / "nvidia-smi"
        smi.write_text(
            f'#!/bin/sh\n[ "$1" = -L ] && exec cat {tmp_path}/listed\nexec cat {tmp_path}/facts\n'
        )
        smi.chmod(0o755)
        return programs

    return install


def test_gpus_are_told_with_memory_and_the_cores_next_to_them(machine) -> None:
    machine(TWO)
    first, second = visible_gpus()
    assert first == Gpu(FIRST, 80000 * 2**20, 81559 * 2**20, (0, 1, 2, 3, 8))
    assert (second.name, second.cores) == (SECOND, (4, 5, 6, 7))


@pytest.mark.parametrize(("given", "names"), [("1", [SECOND]), ("GPU-5c89", [FIRST]), ("", [])])
def test_only_what_is_visible_is_used(
    machine, monkeypatch: pytest.MonkeyPatch, given: str, names: list[str]
) -> None:
    machine(TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    if not given:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert [gpu.name for gpu in visible_gpus()] == names


def test_without_nvidia_smi_the_numbers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == [Gpu("0"), Gpu("1")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert visible_gpus() == [Gpu("3"), Gpu("5")]


def test_an_instance_of_a_divided_gpu_takes_one_worker(machine) -> None:
    machine(DIVIDED)
    found = visible_gpus()
    assert [gpu.name[:8] for gpu in found] == ["MIG-c6d4", "MIG-cba6", "GPU-c6f8"]
    slots = plan_slots(gpus=found, per_gpu=2, cores=range(9))
    assert [slot.gpu and slot.gpu[:8] for slot in slots] == [
        *("MIG-c6d4", "MIG-cba6", "GPU-c6f8", "GPU-c6f8")
    ]
    halves = [None, None, *(pytest.approx(0.5 - 600 / 81559),) * 2]
    assert [slot.memory_share for slot in slots] == halves
    assert workers_per_gpu(found, GIB, 64) == 1


def test_workers_sit_next_to_their_gpus() -> None:
    pair = [Gpu("a", cores=(0, 1, 2, 3)), Gpu("b", cores=(4, 5, 6, 7))]
    slots = plan_slots(gpus=pair, per_gpu=2, cores=range(8))
    assert [(slot.gpu, slot.cores) for slot in slots] == [
        ("a", (0, 1)), ("b", (4, 5)), ("a", (2, 3)), ("b", (6, 7)),
    ]  # fmt: skip
    assert all(slot.environment[MEMORY_SHARE_VARIABLE] == "0.4500" for slot in slots)
    # One of them is nobody's neighbour, or cores overlap: everybody may be anywhere.
    for other in (Gpu("b"), Gpu("b", cores=(3, 4))):
        slots = plan_slots(gpus=[pair[0], other], cores=range(8))
        assert [slot.cores for slot in slots] == [(0, 1, 2, 3), (4, 5, 6, 7)]
        assert all(MEMORY_SHARE_VARIABLE not in slot.environment for slot in slots)


def test_as_many_workers_as_memory_and_cores_take() -> None:
    h100 = Gpu("a", 79 * GIB, 80 * GIB)
    assert workers_per_gpu([h100], 4 * GIB, 64) == 6  # never more
    assert workers_per_gpu([h100], 20 * GIB, 64) == 3
    assert workers_per_gpu([h100, Gpu("b", 30 * GIB, 80 * GIB)], 20 * GIB, 64) == 1
    assert workers_per_gpu([h100, h100], 4 * GIB, 6) == 3
    assert workers_per_gpu([h100], 400 * GIB, 64) == 1
    assert workers_per_gpu([Gpu("unknown")], GIB, 64) == 1
    assert workers_per_gpu([], GIB, 64) == 1


def test_a_worker_takes_the_records_and_the_largest_step(make_study) -> None:
    small = make_study(name="small", sample={"architectures": 2, "flops": [1e6, 2e6], "bins": 1})
    large = make_study(name="large", sample={"architectures": 2, "flops": [1e8, 2e8], "bins": 1})
    records = sum(small.data["splits"].values())
    resident = records * small.shape.leads * small.shape.samples * 2
    assert resident < worker_bytes(small) < worker_bytes(large)


def test_memory_is_bounded_by_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (70, 80))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 10)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 15)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, _: asked.append(share)
    )
    devices.bound_memory(cuda)
    assert (devices.total_memory_bytes(cuda), devices.free_memory_bytes(cuda)) == (80, 70)
    monkeypatch.setenv(MEMORY_SHARE_VARIABLE, "0.5")
    devices.bound_memory(cuda)
    assert (devices.total_memory_bytes(cuda), devices.free_memory_bytes(cuda)) == (40, 30)
    assert asked == [0.5]


def control(programs: Path, log: Path, *, broken: bool = False) -> None:
    """Install a stand-in for the service's control: it writes down its orders."""
    program = programs / mps.CONTROL
    program.write_text(
        "#!/bin/sh\n"
        + ("echo 'Cannot find MPS server' >&2; exit 1\n" if broken else "")
        + f'[ "$1" = -d ] && echo "start $CUDA_MPS_PIPE_DIRECTORY" >> {log} || cat >> {log}\n'
    )
    program.chmod(0o755)


SHARED = plan_slots(gpus=[Gpu("0")], per_gpu=2, cores=range(2))


@pytest.mark.parametrize("code", [0, 9])
def test_the_service_lives_as_long_as_the_launch(
    make_study, machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    study, log, seen = make_study(), tmp_path / "orders", tmp_path / "seen"
    control(machine(TWO), log)
    monkeypatch.setattr(mps, "USUAL_PIPES", tmp_path / "none")
    script = ["/bin/sh", "-c", f'echo "$CUDA_MPS_PIPE_DIRECTORY" >> {seen}; exit {code}']
    said: list[str] = []
    if code:
        with pytest.raises(Exception, match="5 in a row"):
            launch_local(study.name, study.storage, script, SHARED, logs=tmp_path, say=said.append)
    else:
        assert not launch_local(study.name, study.storage, script, SHARED, logs=tmp_path)
    started, ended = log.read_text().splitlines()
    assert started.startswith("start ")
    assert ended == "quit"
    assert set(seen.read_text().splitlines()) == {started.removeprefix("start ")}


def test_a_service_that_does_not_start_is_told_and_done_without(
    machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(mps, "USUAL_PIPES", tmp_path / "none")
    control(machine(TWO), tmp_path / "orders", broken=True)
    with mps.shared_gpus(True, said.append) as places:
        assert places == {}
    assert "Cannot find MPS server" in said[0]


def test_somebody_elses_service_is_left_alone(
    machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "orders"
    control(machine(TWO), log)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    for wanted in (True, False):
        with mps.shared_gpus(wanted, print) as places:
            assert places == {}
    assert not log.exists()
