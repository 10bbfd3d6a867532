"""A real Slurm of two nodes on this host, for tests: no root daemons of the system are touched."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

CONFIGURATION = """
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmdParameters=config_overrides
AuthType=auth/munge
AuthInfo=socket={d}/munge/munge.socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
SlurmctldPort={port}17
SlurmdPort={port}18
SlurmctldPidFile={d}/slurmctld.pid
SlurmdPidFile={d}/slurmd.%n.pid
StateSaveLocation={d}/state
SlurmdSpoolDir={d}/spool/%n
SlurmctldLogFile={d}/slurmctld.log
SlurmdLogFile={d}/slurmd.%n.log
SlurmdTimeout=20
KillWait=5
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=DEFAULT CPUs=4 RealMemory=2000 State=UNKNOWN
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={port}21
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={port}22
PartitionName=high Nodes=n[1-2] MaxTime=2-0 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes=n[1-2] Default=YES MaxTime=2-0 State=UP PriorityTier=1 {grace}
"""


def installed() -> bool:
    programs = ("slurmctld", "slurmd", "munged", "sbatch")
    return os.geteuid() == 0 and all(shutil.which(program) for program in programs)


class Cluster:
    """Start and stop the daemons, all below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        for name in ("munge", "state", "spool/n1", "spool/n2"):
            (self.folder / name).mkdir(parents=True)
        grace = "GraceTime=10 PreemptMode=REQUEUE"
        # Two processes of pytest may each have a cluster.
        number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        text = CONFIGURATION.format(
            host=platform.node(), d=self.folder, grace=grace, port=168 + number
        )
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        munge = self.folder / "munge"
        (munge / "munge.key").write_bytes(os.urandom(1024))
        (munge / "munge.key").chmod(0o400)
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid"}
        names |= {"log-file": "log", "seed-file": "seed"}
        files = [f"--{option}={munge}/munge.{end}" for option, end in names.items()]
        self.run("munged", *files, "--force")
        for node in ("n1", "n2"):
            self.run("slurmd", "-f", self.environment["SLURM_CONF"], "-N", node)
        self.run("slurmctld", "-f", self.environment["SLURM_CONF"])
        deadline = time.monotonic() + 60
        while self.run("sinfo", "-h", "-p", "low", "-o", "%t %D", check=False).strip() != "idle 2":
            assert time.monotonic() < deadline, (self.folder / "slurmctld.log").read_text()
            time.sleep(0.3)

    def kill_node(self, node: str) -> int:
        """Kill the daemon, the step managers and the jobs of a node; return how many died."""
        doomed = {psutil.Process(int((self.folder / f"slurmd.{node}.pid").read_text()))}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                here = process.environ().get("SLURM_CONF") == self.environment["SLURM_CONF"]
                if here and process.environ().get("SLURMD_NODENAME") == node:
                    doomed |= {process, *process.parents()}
        names = ("slurmstepd", "slurmd")
        mine = [p for p in doomed if p.pid != os.getpid() and p not in psutil.Process().parents()]
        killed = 0
        for process in mine:
            with suppress(psutil.NoSuchProcess):  # it went with one killed before it
                if process.name() in names or "SLURMD_NODENAME" in process.environ():
                    process.kill()
                    killed += 1
        return killed

    def revive_node(self, node: str) -> None:
        self.run("slurmd", "-f", self.environment["SLURM_CONF"], "-N", node)

    def run(self, *command: str, check: bool = True) -> str:
        # Output to a file: the daemons would hold a pipe open.
        out = self.folder / "out"
        with out.open("w") as file:
            subprocess.run(
                command,
                env={**os.environ, **self.environment},
                check=check,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        return out.read_text()

    def stop(self) -> None:
        names = ["slurmctld.pid", "slurmd.n1.pid", "slurmd.n2.pid", "munge/munge.pid"]
        for name in names:
            pid_file = self.folder / name
            if pid_file.exists():
                subprocess.run(["kill", pid_file.read_text().strip()], check=False)
        time.sleep(2)
