from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest tests: short ones fill up what is left on the other core."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


def real_ecgs() -> Path:
    """The folder with real ECGs, where there is one."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("ECGSCALE_REAL_ECGS") or default)


@pytest.fixture(scope="session")
def real() -> Path:
    folder = real_ecgs()
    if not (folder / "challenge-2021").is_dir():
        pytest.skip(f"no real ECGs at {folder}")
    return folder
