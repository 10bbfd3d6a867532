from __future__ import annotations

import dataclasses

import pytest

from search.training.recipe import Recipe
from tests.search.rhythms import QUICK


@pytest.fixture(params=["fp32", "bf16"])
def quick(request: pytest.FixtureRequest) -> Recipe:
    """A short recipe in each precision; small networks are quick in bf16 also where emulated."""
    return dataclasses.replace(QUICK, precision=request.param)
