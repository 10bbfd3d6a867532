"""The real ECGs, where there are some."""

import os
from pathlib import Path

import pytest


def real_ecgs() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("ECGSCALE_REAL_ECGS") or default)


@pytest.fixture(scope="session")
def real() -> Path:
    folder = real_ecgs()
    if not (folder / "challenge-2021").is_dir():
        pytest.skip(f"no real ECGs at {folder}")
    return folder
