"""Small real file systems that are full, gone or frozen; they take root's rights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


def _call(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@contextmanager
def mounted(folder: Path, *what: object) -> Iterator[Path]:
    """Mount something on a folder for a while; skip the test where that is forbidden."""
    folder.mkdir(exist_ok=True)
    try:
        _call("mount", *what, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no mount here: {getattr(error, 'stderr', error)!r}")
    try:
        yield folder
    finally:
        _call("umount", "--lazy", folder)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of so many kB."""
    with mounted(folder, "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=777", "tmpfs") as disk:
        yield disk


@contextmanager
def frozen_disk(folder: Path) -> Iterator[Path]:
    """A file system on which every write waits for ever, as one whose server is gone."""
    image = folder.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(4_000_000)
    _call("mkfs.ext4", "-q", image)
    with mounted(folder, "-o", "loop", image) as disk:
        _call("fsfreeze", "--freeze", disk)
        try:
            yield disk
        finally:
            _call("fsfreeze", "--unfreeze", disk)
