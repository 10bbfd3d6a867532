"""The operating-system account that PostgreSQL runs under: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.errors import StudyError

CANDIDATES = ("postgres", "nobody")
# Root passes only the right to walk through folders of others. `access(2)` ignores capabilities
# unless the set-uid fix-up is off, and initdb asks `access` whether it may run `postgres`.
CAPABILITIES = (
    "--securebits=+no_setuid_fixup",
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
    "--bounding-set=-all,+dac_override",
)


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server; `switch` says that we are root and become that user first."""

    uid: int
    gid: int
    switch: bool

    def run(
        self, command: Sequence[str], *, reach: Sequence[Path]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this account, able to read every path of `reach`."""
        argv = list(command)
        if not self.switch:
            return _run(argv)
        if self._reaches(reach):
            return _run(argv, self)
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise StudyError(
                f"expected a folder that user {self.uid} can reach, as PostgreSQL does not run as "
                f"root, got {' and '.join(map(str, reach))}: choose another place with "
                "--storage embedded:DIR, work as an ordinary user, or install setpriv (util-linux)"
            )
        become = [setpriv, f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        return _run([*become, *CAPABILITIES, *argv])

    def own(self, folder: Path) -> None:
        """Give a folder to this account, closed to everybody else."""
        folder.chmod(0o700)
        if self.switch:
            os.chown(folder, self.uid, self.gid)

    def _reaches(self, paths: Sequence[Path]) -> bool:
        return all(_run(["test", "-r", str(path)], self).returncode == 0 for path in paths)


def account_for(data: Path) -> Account:
    """Choose who runs the server of a data folder: its owner, else us, and for root another."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    if data.exists():
        owner = data.stat()
        return Account(owner.st_uid, owner.st_gid, switch=True)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, switch=True)
    raise StudyError(
        f"expected one of the users {', '.join(CANDIDATES)} on this machine, because PostgreSQL "
        "does not run as root: create one, or run ecgscale as an ordinary user"
    )


def _run(argv: list[str], account: Account | None = None) -> subprocess.CompletedProcess[str]:
    # Its own session, so that Ctrl-C in our terminal does not reach the server.
    return subprocess.run(
        argv,
        cwd="/",
        env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
